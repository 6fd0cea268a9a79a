"""An independent float64 forward of the Spike-driven Transformer, written from its equations.

Loops and direct formulas, no torch: slow, and sharing nothing with the implementation but the
names of the weights. The state of the neuron 'cuba' is kept in steps of 1/4096 as SLAYER keeps it.
Weights may be in the authors' layout: four axes, and biases before some normalisations.
"""

from __future__ import annotations

import numpy as np

LEVELS = 4096


class NumpySdt:
    """Runs one network; then its spikes, membranes and the margin of each decision are known."""

    def __init__(self, config, state):
        self.config = config
        self.state = {key: np.asarray(value, np.float64) for key, value in state.items()}
        self.spikes = {}
        self.margins = {}
        self.membranes = {}

    def __call__(self, x):
        """Return logits ``(B, classes)`` of images ``(B, C, H, W)`` or frames ``(B, T, ...)``."""
        return self.step_logits(x).mean(axis=0)

    def step_logits(self, x):
        """Return the logits of each step ``(T, B, classes)``."""
        x = np.asarray(x, np.float64)
        if x.ndim == 4:
            frames = np.repeat(x[None], self.config.timesteps, axis=0)
        else:
            frames = np.moveaxis(x, 1, 0)
        potential = self.membranes["patch_embed"] = self.patches(frames)
        for block in range(self.config.depth):
            for part in ("attn", "mlp"):
                name = f"block.{block}.{part}"
                step = self.attention if part == "attn" else self.mlp
                potential = self.membranes[name] = step(potential, name)
        mean = self.membranes["head_mean"] = potential.mean(axis=(3, 4))
        spikes = self.lif(mean, "head_lif")
        return spikes @ self.state["head.weight"].T + self.state["head.bias"]

    def patches(self, frames):
        kind = self.config.downsampling
        s = frames
        for stage in range(4):
            number = str(stage) if stage else ""
            halve = self.config.pooling_stat[stage] == "1"
            stride = 2 if halve and kind == "stride" else 1
            f = self.conv_bn(
                s, f"patch_embed.proj_conv{number}", f"patch_embed.proj_bn{number}", stride
            )
            pools = halve and kind != "stride"
            if stage == 3 and pools and kind == "max":
                f = windows(f, stride=2, fill=-np.inf).max(axis=0)
                pools = False
            s = self.lif(f, f"patch_embed.proj_lif{number}")
            if pools:
                s = windows(s, stride=2, fill=0).max(axis=0)
                if stage == 3:
                    f = f[..., ::2, ::2]
        return f + self.conv_bn(s, "patch_embed.rpe_conv", "patch_embed.rpe_bn")

    def attention(self, u, name):
        a = self.lif(u, f"{name}.shortcut_lif")
        q, k, v = (
            self.lif(self.conv_bn(a, f"{name}.{b}_conv", f"{name}.{b}_bn"), f"{name}.{b}_lif")
            for b in "qkv"
        )
        if self.config.dvs_mode:
            k, v = (windows(z, stride=1, fill=0).max(axis=0) for z in (k, v))
        count = self.head_dilation(k * v).sum(axis=(3, 4))
        m = self.lif(count, f"{name}.talking_heads_lif", self.config.attention_threshold, at=True)
        o = self.head_dilation(q * m[..., None, None])
        return u + self.conv_bn(o, f"{name}.proj_conv", f"{name}.proj_bn")

    def head_dilation(self, s):
        if not self.config.dvs_mode:
            return s
        t, b, c, h, w = s.shape
        heads = self.config.num_heads
        # (T, B, heads, N, C/heads), as the official code arranges it.
        grid = s.reshape(t, b, heads, c // heads, h * w).swapaxes(3, 4)
        grid = windows(grid, stride=1, fill=0).max(axis=0)
        return grid.swapaxes(3, 4).reshape(s.shape)

    def mlp(self, u, name):
        h = self.lif(u, f"{name}.fc1_lif")
        g = self.conv_bn(h, f"{name}.fc1_conv", f"{name}.fc1_bn")
        if self.config.hidden_dim == self.config.dim:
            g = u = g + u
        z = self.lif(g, f"{name}.fc2_lif")
        return u + self.conv_bn(z, f"{name}.fc2_conv", f"{name}.fc2_bn")

    def conv_bn(self, x, conv, bn, stride=1):
        weight = self.state[f"{conv}.weight"]
        if weight.ndim == 5:
            weight = weight[..., 0]
        if weight.shape[-1] == 1:
            y = np.einsum("tbchw,oc->tbohw", x, weight[..., 0, 0])
        else:
            taps = windows(x, stride, fill=0)
            flat = weight.reshape(*weight.shape[:2], 9)
            y = np.einsum("ktbchw,ock->tbohw", taps, flat)
        if f"{conv}.bias" in self.state:
            y = y + self.state[f"{conv}.bias"][:, None, None]
        mean, var, gamma, beta = (
            self.state[f"{bn}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (y - mean) / np.sqrt(var + 1e-5) * gamma + beta

    def lif(self, x, name, v_th=None, at=False):
        v_th = self.config.threshold if v_th is None else v_th
        if self.config.neuron == "lif":
            return self.float_lif(x, name, v_th)
        level = np.trunc(2 * v_th * 64) * LEVELS / 64
        v = np.zeros(x.shape[1:])
        spikes, margins = [], []
        for current in x:
            v = np.trunc(v / 2) + np.trunc(current * LEVELS)
            fired = v >= level if at else v > level
            spikes.append(fired)
            margins.append(np.abs(v - level) / LEVELS)
            v = np.where(fired, 0, v)
        self.spikes[name] = np.array(spikes, np.uint8)
        self.margins[name] = np.array(margins)
        return self.spikes[name].astype(np.float64)

    def float_lif(self, x, name, v_th):
        v = np.zeros(x.shape[1:])
        spikes, margins = [], []
        for current in x:
            h = v + (current - v) / 2
            fired = h >= v_th
            spikes.append(fired)
            # A count that lands on the threshold does so exactly, in any precision.
            margins.append(np.where(h == v_th, np.inf, np.abs(h - v_th)))
            v = np.where(fired, 0, h)
        self.spikes[name] = np.array(spikes, np.uint8)
        self.margins[name] = np.array(margins)
        return self.spikes[name].astype(np.float64)


def windows(x, stride, fill):
    """Return the nine shifted views ``(9, ..., H', W')`` of 3x3 windows with padding 1."""
    pad = [(0, 0)] * (x.ndim - 2) + [(1, 1), (1, 1)]
    padded = np.pad(x, pad, constant_values=fill)
    height, width = x.shape[-2:]
    return np.stack(
        [
            padded[..., dy : dy + height : stride, dx : dx + width : stride]
            for dy in range(3)
            for dx in range(3)
        ]
    )
