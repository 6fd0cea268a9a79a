"""Small sigma-delta networks of lava-dl's SLAYER: run there, and exported with its own code."""

from __future__ import annotations

import numpy as np
import torch
from lava.lib.dl import slayer

from tests.io.netx.slayer_nets import export_blocks

BLOCK = slayer.block.sigma_delta
# Integer levels per unit: of a message (a value's 6 bits and the 6 of a message), of a state.
MESSAGE, STATE = 1 << 12, 1 << 18


def neurons(threshold=0.1, norm=False, **fields):
    """Parameters of SLAYER's neurons; the norm becomes a bias."""
    fields = {"threshold": threshold, "activation": torch.relu, **fields}
    return {**fields, "norm": slayer.neuron.norm.MeanOnlyBatchNorm} if norm else fields


def dense(norm=False):
    return (6,), [
        BLOCK.Input(neurons()),
        BLOCK.Dense(neurons(0.2, norm), 6, 7, weight_scale=4),
        BLOCK.Dense(neurons(0.05, norm), 7, 5, weight_scale=4),
        BLOCK.Output(neurons(), 5, 3, weight_scale=4),
    ]


def windows(norm=False):
    """Odd sides, strides, padding, dilation and groups, as PilotNet's and beyond."""
    return (2, 7, 9), [
        BLOCK.Input(neurons(0.05)),
        BLOCK.Conv(neurons(0.1, norm), 2, 4, 3, stride=2, weight_scale=2),
        BLOCK.Conv(neurons(0.02, norm), 4, 6, 2, padding=(1, 0), groups=2, weight_scale=2),
        BLOCK.Conv(neurons(0.3, norm), 6, 3, (2, 1), dilation=(2, 1), weight_scale=2),
        BLOCK.Flatten(),
        BLOCK.Dense(neurons(0.1, norm), 3 * 2 * 3, 4, weight_scale=2),
        BLOCK.Output(neurons(), 4, 1, weight_scale=4),
    ]


def pools():
    """Sum-pools, which stock netx does not run."""
    return (2, 6, 9), [
        BLOCK.Input(neurons()),
        BLOCK.Conv(neurons(0.1, True), 2, 3, 3, padding=1, weight_scale=2),
        BLOCK.Pool(neurons(0.05), (2, 3), stride=(2, 3)),
        BLOCK.Flatten(),
        BLOCK.Dense(neurons(0.1), 3 * 3 * 3, 4, weight_scale=2),
        BLOCK.Output(neurons(), 4, 2, weight_scale=4),
    ]


def headless():
    """A network without encoders and decoders, one channel wide."""
    return (1, 5, 4), [
        slayer.block.cuba.Input(delay_shift=False),
        BLOCK.Conv(neurons(0.1, True), 1, 1, 3, padding=1, weight_scale=4),
        BLOCK.Conv(neurons(0.1), 1, 2, 2, weight_scale=4),
    ]


def pilotnet():
    """The layers of Intel's PilotNet."""
    windows = [
        ((3, 24, 3), {"stride": 2}),
        ((24, 36, 3), {"stride": 2}),
        ((36, 64, 3), {"stride": (2, 1), "padding": (1, 0)}),
        ((64, 64, 3), {}),
    ]
    shared, few = {"weight_scale": 4}, neurons(2 / 64, norm=True)
    return (3, 33, 100), [
        BLOCK.Input(neurons()),
        *(BLOCK.Conv(few, *sizes, **more, **shared) for sizes, more in windows),
        BLOCK.Flatten(),
        BLOCK.Dense(few, 64 * 40, 100, **shared),
        BLOCK.Dense(few, 100, 50, **shared),
        BLOCK.Dense(few, 50, 10, **shared),
        BLOCK.Output(neurons(), 10, 1, **shared),
    ]


class Messages:
    """A network that has run: its input, and what each layer sent.

    Parameters
    ----------
    make : callable
        Returns the shape of the input and the blocks.
    seed : int
        Of weights and input.
    timesteps, samples : int
        Size of the run.
    """

    def __init__(self, make, seed=0, timesteps=9, samples=2):
        torch.manual_seed(seed)
        shape, self.blocks = make()
        if self.blocks[0].neuron is not None:
            x = 2 * torch.rand(samples, *shape, timesteps) - 1
            # Slow changes, some of them below the thresholds.
            x = x.cumsum(dim=-1) / 4
        else:
            # Without an encoder, messages enter: changes in units of one.
            x = torch.randint(-3, 4, (samples, *shape, timesteps)).float()
        with torch.no_grad():
            for _ in range(3):
                self._forward(x, training=True)
            outputs = self._forward(x, training=False)
        self.x = np.moveaxis(x.numpy(), -1, 1)  # (B, T, *shape)
        self.messages = {
            f"layer.{index}": np.moveaxis(out.numpy(), -1, 0)
            for index, out in enumerate(outputs)
            if getattr(self.blocks[index], "neuron", None) is not None
        }

    def _forward(self, x, *, training):
        outputs = []
        for block in self.blocks:
            block.train(training)
            x = block(x)
            outputs.append(x)
        return outputs

    def export(self, path, change=None):
        """Write the network as SLAYER does."""
        return export_blocks(self.blocks, path, change)
