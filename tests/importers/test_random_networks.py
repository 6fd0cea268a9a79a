"""Random networks in random arrangements of axes spike as their graphs do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sdt_lava.importers import trace
from sdt_lava.quantize.float_run import evaluate
from tests.importers.library_neurons import IFNode, LIFNode


class RandomNetwork(nn.Module):
    """Layers drawn by a seed; every operation takes its own way through the axes."""

    def __init__(self, seed, channels):
        super().__init__()
        rng = np.random.default_rng(seed)
        kinds = rng.choice(["tokens", "pool", "mask", "shortcut", "scaled"], 4).tolist()
        self.first = nn.Conv2d(2, channels, 3, padding=1)
        self.stages = nn.ModuleList(Stage(kind, channels, rng) for kind in kinds)
        self.last, self.head = LIFNode(step_mode="m"), nn.Linear(channels, 3)

    def forward(self, x):  # (T, B, C, H, W)
        current = self.first(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        for stage in self.stages:
            current = stage(current)
        mean = current.flatten(3).mean(3)
        return self.head(self.last(mean)).sum(0)


class Stage(nn.Module):
    """Currents to currents, ``(T, B, C, H, W)``."""

    def __init__(self, kind, channels, rng):
        super().__init__()
        self.kind, self.way = kind, int(rng.integers(3))
        neuron = LIFNode if rng.random() < 0.5 else IFNode
        self.lif = neuron(step_mode="m")
        self.key, self.gate = LIFNode(step_mode="m", v_threshold=0.6), LIFNode(step_mode="m")
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=int(rng.choice([1, 2])))
        self.norm, self.linear = nn.BatchNorm2d(channels), nn.Linear(channels, channels)

    def forward(self, x):
        spikes = self.lif(x)
        return getattr(self, self.kind)(spikes, x)

    def folded(self, function, spikes):
        """Apply a function of images, with time and batch joined in one of several ways."""
        steps, batch = spikes.shape[:2]
        if self.way == 0:
            return function(spikes.flatten(0, 1)).unflatten(0, (steps, batch))
        if self.way == 1:
            out = function(spikes.transpose(0, 1).reshape(batch * steps, *spikes.shape[2:]))
            return out.view(batch, steps, *out.shape[1:]).permute(1, 0, 2, 3, 4)
        return torch.stack([function(step) for step in spikes])

    def conv_norm(self, image):
        return self.norm(self.conv(image))

    def shortcut(self, spikes, x):
        branch = self.folded(self.conv_norm, spikes)
        return x + branch if self.way else branch + x

    def tokens(self, spikes, _):
        steps, batch, channels, height, width = spikes.shape
        if self.way == 0:
            out = self.linear(spikes.permute(0, 1, 3, 4, 2))
            return out.permute(0, 1, 4, 2, 3)
        flat = spikes.flatten(3).transpose(2, 3).reshape(steps * batch, height * width, channels)
        out = self.linear(flat).transpose(1, 2)
        return out.reshape(steps, batch, channels, height, width) * 0.5

    def pool(self, spikes, _):
        pools = (
            lambda image: functional.max_pool2d(image, 3, 1, 1),
            lambda image: functional.avg_pool2d(image, 2, 1) * 2,
            lambda image: functional.avg_pool2d(image, 2),
        )
        side = min(spikes.shape[3:])
        pool = pools[self.way] if side > 1 else pools[0]
        weight = self.linear.weight[:, :, None, None]
        return self.folded(lambda image: functional.conv2d(pool(image), weight), spikes)

    def mask(self, spikes, x):
        steps, batch, channels, height, width = spikes.shape
        heads = (1, 2, 4)[self.way]
        shape = (steps, batch, height * width, heads, channels // heads)
        query, key = (
            s.flatten(3).transpose(-1, -2).reshape(shape).permute(0, 1, 3, 2, 4)
            for s in (spikes, self.key(x))
        )
        gate = self.gate((query * key).sum(-2, keepdim=True))
        masked = (key * gate).transpose(3, 4).reshape(steps, batch, channels, height, width)
        return self.folded(self.conv_norm, masked)

    def scaled(self, spikes, _):
        current = self.folded(self.conv_norm, spikes)
        return current * torch.tensor(1.5) + self.linear.bias[:, None, None]


@pytest.mark.parametrize("seed", range(40))
def test_random_networks(seed):
    rng = np.random.default_rng(1000 + seed)
    steps, height, width = int(rng.integers(1, 5)), *map(int, rng.integers(1, 8, 2))
    torch.manual_seed(seed)
    network = RandomNetwork(seed, channels=8).eval().double()
    for stage in network.stages:
        with torch.no_grad():
            stage.norm.weight.copy_(1 + torch.randn(8))
            stage.norm.bias.copy_(0.5 + torch.randn(8))
    x = 2 * torch.rand(steps, 3, 2, height, width, dtype=torch.float64)
    graph = trace(network, x, axes="TBCHW")
    spikes = {}
    for name, module in network.named_modules():
        if isinstance(module, LIFNode):
            module.register_forward_hook(lambda m, i, out, name=name: spikes.update({name: out}))
    with torch.no_grad():
        result = network(x)
    values = evaluate(graph, x)
    assert graph.timesteps == steps
    for name in graph.lif_names:
        expected = spikes[name]
        if name.endswith("gate"):  # (T, B, heads, 1, channels of a head)
            expected = expected.flatten(2)
        assert torch.equal(values[name].double(), expected.reshape(values[name].shape)), name
    assert torch.allclose(values["head"].sum(0), result)
