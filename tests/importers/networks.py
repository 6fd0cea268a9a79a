"""Networks as users write them: nothing in them comes from this package."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.importers.library_neurons import IFNode, LIFNode, MultiStepLIFNode


def unsettle(network: nn.Module, seed: int) -> nn.Module:
    """Give all normalisations statistics and factors, some of them negative, as training does."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            size = module.num_features
            with torch.no_grad():
                module.running_mean.copy_(0.3 * torch.randn(size, generator=generator))
                module.running_var.copy_(0.2 + torch.rand(size, generator=generator))
                module.weight.copy_(1.5 + torch.randn(size, generator=generator))
                module.bias.copy_(0.8 + 0.8 * torch.randn(size, generator=generator))
        elif isinstance(module, nn.Linear):
            with torch.no_grad():
                module.weight.mul_(3)
                module.bias.abs_().add_(0.5)
    return network.eval()


class Vgg(nn.Module):
    """Convolutions with OR pools and average pools of spikes, in the style of SpikingJelly 2.x.

    Time first; what knows no time is given time and batch as one axis.
    """

    def __init__(self, channels=8, classes=5, side=8, in_channels=2):
        super().__init__()
        self.features = nn.ModuleList(
            [
                nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                LIFNode(step_mode="m"),
                nn.MaxPool2d(2),
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.BatchNorm2d(channels),
                IFNode(step_mode="m"),
                nn.AvgPool2d(2),
                nn.Conv2d(channels, 2 * channels, 3, padding=1, groups=2),
                nn.BatchNorm2d(2 * channels),
                LIFNode(step_mode="m", decay_input=False, tau=4.0),
                nn.AvgPool2d(2, ceil_mode=False),
            ]
        )
        left = side // 2 // 2 // 2
        self.fc1 = nn.Linear(2 * channels * left * left, 16)
        self.bn = nn.BatchNorm1d(16)
        self.sn = LIFNode(step_mode="m")
        self.fc2 = nn.Linear(16, classes)

    def forward(self, x):  # (T, B, C, H, W)
        for layer in self.features:
            if isinstance(layer, MultiStepLIFNode):
                x = layer(x)
            else:
                steps = len(x)
                x = layer(x.flatten(0, 1)).unflatten(0, (steps, -1))
        steps, batch = x.shape[:2]
        current = self.bn(self.fc1(x.flatten(2).flatten(0, 1))).view(steps, batch, -1)
        return self.fc2(self.sn(current)).mean(0)


class MembraneBlock(nn.Module):
    """A residual block whose shortcut adds membrane potentials."""

    def __init__(self, channels_in, channels, stride=1):
        super().__init__()
        self.lif1, self.lif2 = MultiStepLIFNode(), MultiStepLIFNode()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.down = None
        if stride > 1 or channels_in != channels:
            self.down_lif = MultiStepLIFNode()
            self.down = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        identity = x if self.down is None else self.all_steps(self.down, self.down_lif(x))
        out = self.all_steps(lambda y: self.bn1(self.conv1(y)), self.lif1(x))
        out = self.all_steps(lambda y: self.bn2(self.conv2(y)), self.lif2(out))
        out += identity
        return out

    @staticmethod
    def all_steps(function, x):
        steps, batch = x.shape[0], x.shape[1]
        out = function(x.reshape(steps * batch, *x.shape[2:]))
        return out.reshape(steps, batch, *out.shape[1:]).contiguous()


class ResNet(nn.Module):
    """A spiking ResNet with membrane shortcuts, for a static image that it repeats itself."""

    def __init__(self, steps=4, channels=8, classes=4, in_channels=3):
        super().__init__()
        self.steps = steps
        self.stem = nn.Conv2d(in_channels, channels, 3, 1, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(channels)
        self.layer1 = MembraneBlock(channels, channels)
        self.layer2 = MembraneBlock(channels, 2 * channels, stride=2)
        self.head_lif = MultiStepLIFNode()
        self.fc = nn.Linear(2 * channels, classes)

    def forward(self, image):
        x = self.stem_bn(self.stem(image))
        x = x.unsqueeze(0).expand(self.steps, -1, -1, -1, -1)
        x = self.layer2(self.layer1(x))
        x = functional.adaptive_avg_pool2d(x.flatten(0, 1), 1).flatten(1)
        spikes = self.head_lif(x.view(self.steps, image.shape[0], -1))
        return self.fc(spikes).mean(dim=0)


class Loop(nn.Module):
    """A network that calls itself step by step and adds its results up, as tutorials do."""

    def __init__(self, steps=5, features=12, classes=3, neuron=LIFNode):
        super().__init__()
        self.steps = steps
        self.fc1, self.lif1 = nn.Linear(features, 10), neuron()
        self.fc2, self.lif2 = nn.Linear(10, classes), neuron()

    def forward(self, x):
        total = 0.0
        for _ in range(self.steps):
            total = total + self.lif2(self.fc2(self.lif1(self.fc1(x))))
        return total / self.steps
