"""The Spike-driven Transformer as its authors arrange it: time first, heads split and merged.

Modules are called as in the published checkpoints. Written anew from the paper and the names.
"""

from __future__ import annotations

from torch import nn

from tests.importers.library_neurons import MultiStepLIFNode


def lif(threshold=1.0):
    # The kernels of this backend run on GPUs only: the tracer must not need them.
    return MultiStepLIFNode(tau=2.0, v_threshold=threshold, detach_reset=True, backend="cupy")


def noted(hook, name, x):
    if hook is not None:
        hook[name] = x.detach()
    return x


class Sps(nn.Module):
    def __init__(self, channels, dim, pooling):
        super().__init__()
        self.pooling = pooling
        widths = (dim // 8, dim // 4, dim // 2, dim)
        for stage, width in enumerate(widths):
            suffix = str(stage or "")
            self.add_module(f"proj_conv{suffix}", nn.Conv2d(channels, width, 3, 1, 1, bias=False))
            self.add_module(f"proj_bn{suffix}", nn.BatchNorm2d(width))
            self.add_module(f"proj_lif{suffix}", lif())
            self.add_module(f"maxpool{suffix}", nn.MaxPool2d(3, 2, 1))
            channels = width
        self.rpe_conv = nn.Conv2d(dim, dim, 3, 1, 1, bias=False)
        self.rpe_bn = nn.BatchNorm2d(dim)

    def forward(self, x, hook=None):
        T, B, _, H, W = x.shape
        ratio = 1
        x = x.flatten(0, 1)
        for stage in range(4):
            suffix = str(stage or "")
            x = getattr(self, f"proj_bn{suffix}")(getattr(self, f"proj_conv{suffix}")(x))
            if stage == 3:
                break
            x = x.reshape(T, B, -1, H // ratio, W // ratio).contiguous()
            x = noted(hook, f"lif{stage}", getattr(self, f"proj_lif{suffix}")(x))
            x = x.flatten(0, 1).contiguous()
            if self.pooling[stage] == "1":
                x, ratio = getattr(self, f"maxpool{suffix}")(x), 2 * ratio
        if self.pooling[3] == "1":
            x, ratio = self.maxpool3(x), 2 * ratio
        current = x
        x = self.proj_lif3(x.reshape(T, B, -1, H // ratio, W // ratio).contiguous())
        x = self.rpe_bn(self.rpe_conv(x.flatten(0, 1).contiguous()))
        return (x + current).reshape(T, B, -1, H // ratio, W // ratio).contiguous(), hook


class Dilation(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 1, 1), (0, 1, 1))

    def forward(self, x):
        return self.pool(x)


class Attention(nn.Module):
    def __init__(self, dim, heads, dilates):
        super().__init__()
        self.heads, self.dilates = heads, dilates
        for name in ("q", "k", "v"):
            self.add_module(f"{name}_conv", nn.Conv2d(dim, dim, 1, bias=False))
            self.add_module(f"{name}_bn", nn.BatchNorm2d(dim))
            self.add_module(f"{name}_lif", lif())
        if dilates:
            self.pool = Dilation()
        self.attn_lif = lif(0.5)
        self.talking_heads = nn.Conv1d(heads, heads, 1, bias=False)
        self.talking_heads_lif = lif(0.5)
        self.proj_conv = nn.Conv2d(dim, dim, 1)
        self.proj_bn = nn.BatchNorm2d(dim)
        self.shortcut_lif = lif()

    def branch(self, name, x, shape):
        T, B, C, H, W = shape
        out = getattr(self, f"{name}_bn")(getattr(self, f"{name}_conv")(x))
        out = getattr(self, f"{name}_lif")(out.reshape(T, B, C, H, W).contiguous())
        if self.dilates and name != "q":
            out = self.pool(out)
        out = out.flatten(3).transpose(-1, -2)
        out = out.reshape(T, B, H * W, self.heads, C // self.heads)
        return out.permute(0, 1, 3, 2, 4).contiguous()

    def forward(self, x, hook=None):
        shape, identity = x.shape, x
        x = noted(hook, "first_lif", self.shortcut_lif(x)).flatten(0, 1)
        q, k, v = (self.branch(name, x, shape) for name in ("q", "k", "v"))
        kv = noted(hook, "kv_before", k.mul(v))
        if self.dilates:
            kv = self.pool(kv)
        kv = self.talking_heads_lif(kv.sum(dim=-2, keepdim=True))
        x = q.mul(kv)
        if self.dilates:
            x = self.pool(x)
        x = x.transpose(3, 4).reshape(shape).contiguous()
        x = self.proj_bn(self.proj_conv(x.flatten(0, 1))).reshape(shape).contiguous()
        return x + identity, v, hook


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.res = dim == hidden
        self.fc1_conv, self.fc1_bn, self.fc1_lif = nn.Conv2d(dim, hidden, 1), *after(hidden)
        self.fc2_conv, self.fc2_bn, self.fc2_lif = nn.Conv2d(hidden, dim, 1), *after(dim)

    def forward(self, x, hook=None):
        T, B, C, H, W = x.shape
        identity = x
        x = self.fc1_bn(self.fc1_conv(self.fc1_lif(x).flatten(0, 1)))
        x = x.reshape(T, B, -1, H, W).contiguous()
        if self.res:
            x = identity + x
            identity = x
        x = self.fc2_bn(self.fc2_conv(self.fc2_lif(x).flatten(0, 1)))
        return x.reshape(T, B, C, H, W).contiguous() + identity, hook


def after(width):
    return nn.BatchNorm2d(width), lif()


class Block(nn.Module):
    def __init__(self, dim, heads, hidden, dilates):
        super().__init__()
        self.attn, self.mlp = Attention(dim, heads, dilates), Mlp(dim, hidden)
        self.drop_path = nn.Identity()

    def forward(self, x, hook=None):
        x, attention, hook = self.attn(x, hook=hook)
        x, hook = self.mlp(x, hook=hook)
        return x, attention, hook


class AuthorsSdt(nn.Module):
    """The network of a configuration of this package, in the authors' arrangement."""

    def __init__(self, config):
        super().__init__()
        self.steps = config.timesteps
        self.patch_embed = Sps(config.in_channels, config.dim, config.pooling_stat)
        self.block = nn.ModuleList(
            Block(config.dim, config.num_heads, config.hidden_dim, config.dvs_mode)
            for _ in range(config.depth)
        )
        self.head_lif = lif()
        self.head = nn.Linear(config.dim, config.num_classes)

    def features(self, x, hook=None):
        x, hook = self.patch_embed(x, hook=hook)
        for block in self.block:
            x, _, hook = block(x, hook=hook)
        return x.flatten(3).mean(3), hook

    def forward(self, x, hook=None):
        if len(x.shape) < 5:
            x = (x.unsqueeze(0)).repeat(self.steps, 1, 1, 1, 1)
        else:
            x = x.transpose(0, 1).contiguous()
        x, hook = self.features(x, hook=hook)
        x = noted(hook, "head_lif", self.head_lif(x))
        return self.head(x).mean(0), hook
