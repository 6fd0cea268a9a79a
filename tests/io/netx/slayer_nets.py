"""Small networks of lava-dl's SLAYER: run there, and exported with its own ``export_hdf5``.

Thresholds are multiples of 1/64, because the export cuts off what is between.
"""

from __future__ import annotations

import h5py
import numpy as np
import torch
from lava.lib.dl import slayer

BLOCK = slayer.block.cuba
# What an image is multiplied by and shifted by, in the units of a bias mantissa.
IMAGE_WEIGHT, IMAGE_BIAS = 32, 8
NORMS = {
    "mean": slayer.neuron.norm.MeanOnlyBatchNorm,
    "scale": slayer.neuron.norm.WgtScaleBatchNorm,
}


def neurons(threshold=26 / 64, current=0.75, voltage=0.3, norm=None, **fields):
    """Parameters of SLAYER's neurons."""
    fields = {"threshold": threshold, "current_decay": current, "voltage_decay": voltage, **fields}
    return fields if norm is None else {**fields, "norm": NORMS[norm]}


def layer(weight_scale=3, **fields):
    """Options of a block: no simulated hop between layers."""
    return {"delay_shift": False, "weight_scale": weight_scale, **fields}


def image(shape=(2, 6, 5)):
    return shape, [BLOCK.Input(delay_shift=False)]


def windows():
    shape, blocks = image((4, 7, 6))
    blocks += [
        BLOCK.Conv(neurons(), 4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, **layer()),
        BLOCK.Conv(neurons(norm="mean"), 6, 4, 2, dilation=(2, 3), padding=2, **layer()),
        BLOCK.Flatten(),
        BLOCK.Dense(neurons(current=1.0, voltage=1.0), 4 * 6 * 6, 5, **layer(1)),
    ]
    return shape, blocks


def thresholds():
    shape, blocks = image((5,))
    return shape, [
        *blocks,
        BLOCK.Dense(neurons(1 / 64), 5, 8, **layer()),
        BLOCK.Dense(neurons(1.5, current=0.25, voltage=0.0), 8, 8, **layer(6)),
        BLOCK.Dense(neurons(32.0, current=0.03, voltage=0.01), 8, 4, **layer(9)),
    ]


def conv_delays():
    shape, blocks = image()
    return shape, [
        *blocks,
        BLOCK.Conv(neurons(norm="mean"), 2, 4, 3, padding=1, **layer(delay=True)),
        BLOCK.Conv(neurons(), 4, 3, 3, stride=2, **layer(delay=True)),
    ]


def dense_delays(norm=None):
    shape, blocks = image((6,))
    return shape, [
        *blocks,
        BLOCK.Dense(neurons(norm=norm), 6, 9, **layer(delay=True)),
        BLOCK.Dense(neurons(norm=norm), 9, 7, **layer(delay=True)),
        BLOCK.Dense(neurons(norm=norm), 7, 4, **layer()),
    ]


def recurrent(delay=False, norm=None, current=0.75):
    shape, blocks = image((6,))
    return shape, [
        *blocks,
        BLOCK.Dense(neurons(), 6, 9, **layer()),
        BLOCK.Recurrent(neurons(norm=norm, current=current), 9, 8, **layer(delay=delay)),
        BLOCK.Dense(neurons(), 8, 4, **layer()),
    ]


def own_decays():
    shape, blocks = image((6,))
    own = {"current": (0.2, 1.0), "voltage": (0.05, 0.9), "shared_param": False}
    return shape, [
        *blocks,
        BLOCK.Dense(neurons(**own), 6, 9, **layer()),
        BLOCK.Dense(neurons(**own), 9, 4, **layer()),
    ]


def scaled(threshold):
    shape, blocks = image()
    return shape, [
        *blocks,
        BLOCK.Conv(neurons(threshold, norm="scale"), 2, 4, 3, padding=1, **layer()),
        BLOCK.Flatten(),
        BLOCK.Dense(neurons(threshold, norm="scale"), 4 * 30, 5, **layer()),
    ]


def pools():
    shape, blocks = image((3, 6, 5))
    return shape, [
        *blocks,
        BLOCK.Conv(neurons(), 3, 4, 3, padding=1, **layer()),
        BLOCK.Pool(neurons(), (2, 3), stride=(2, 1), padding=(0, 1), **layer(delay=True)),
        BLOCK.Flatten(),
        BLOCK.Dense(neurons(), 4 * 3 * 7, 4, **layer(1)),
    ]


def image_neurons(current=1.0):
    shape = (2, 5, 4)
    transform = {"weight": IMAGE_WEIGHT / 64, "bias": IMAGE_BIAS / 64}
    entry = BLOCK.Input(neurons(38 / 64, current), delay_shift=False, **transform)
    return shape, [
        entry,
        BLOCK.Conv(neurons(norm="mean"), 2, 4, 3, padding=1, **layer()),
        BLOCK.Flatten(),
        BLOCK.Dense(neurons(), 4 * 20, 5, **layer()),
    ]


def axonal():
    """As lava-dl's network of spoken digits: axonal delays; its neurons come in groups."""
    shape, blocks = image((6,))
    return shape, [
        *blocks,
        BLOCK.Dense(neurons(), 6, 9, **layer(delay=True)),
        BLOCK.Dense(neurons(), 9, 12, **layer(6)),
    ]


def one_pool(height, kernel):
    """A pool of an image whose sides its kernel may not divide."""
    shape, blocks = image((2, height, 5))
    return shape, [*blocks, BLOCK.Pool(neurons(), kernel, **layer())]


def export_blocks(blocks, path, change=None):
    """Write blocks with SLAYER's own code, change the open file, and return its path."""
    with h5py.File(path, "w") as file:
        layers = file.create_group("layer")
        for index, block in enumerate(blocks):
            block.export_hdf5(layers.create_group(str(index)))
        if change is not None:
            change(file)
    return path


class Spikes:
    """A network that has run: its input, and what each layer with neurons sent.

    Parameters
    ----------
    make : callable
        Returns the shape of the input and the blocks.
    seed : int
        Of weights, delays and input.
    high : int
        Largest payload of the input.
    timesteps, samples : int
        Size of the run.
    train : int
        Runs in training mode before, from which norms get their means.
    """

    def __init__(self, make, seed=0, high=1, timesteps=12, samples=3, train=3):
        torch.manual_seed(seed)
        shape, self.blocks = make()
        self.graded = high > 1
        self.static = self.blocks[0].neuron is not None
        if self.static:
            # Multiples of the step at which SLAYER quantizes an image.
            x = torch.randint(-32, 33, (samples, *shape, 1)) / 32
            x = x.expand(samples, *shape, timesteps)
        else:
            x = torch.randint(0, high + 1, (samples, *shape, timesteps)).float()
            x = x * (torch.rand(x.shape) < 0.5)
        with torch.no_grad():
            for _ in range(train):
                self._forward(x, training=True)
            self._spread_delays(seed)
            outputs = self._forward(x, training=False)
        frames = np.moveaxis(x.numpy(), -1, 1)  # (B, T, *shape)
        self.x = frames[:, 0] if self.static else frames.astype(int)
        self.timesteps = timesteps
        self.spikes = {
            f"layer.{index}": np.moveaxis(out.numpy(), -1, 0).astype(np.uint8)
            for index, out in enumerate(outputs)
            if getattr(self.blocks[index], "neuron", None) is not None
        }

    def _forward(self, x, *, training):
        outputs = []
        for block in self.blocks:
            block.train(training)
            neuron = getattr(block, "neuron", None)
            if neuron is not None and neuron.persistent_state:
                # A recurrent block would go on where its last run ended.
                neuron.current_state = neuron.voltage_state = torch.zeros(1)
            x = block(x)
            outputs.append(x)
        return outputs

    def _spread_delays(self, seed):
        rng = np.random.default_rng(seed)
        for block in self.blocks:
            delay = getattr(block, "delay", None)
            if delay is not None:
                steps = rng.integers(0, 5, len(delay.delay)) + 0.5 * (rng.random() < 0.5)
                delay.delay.data = torch.tensor(steps, dtype=torch.float32)

    def export(self, path, change=None):
        """Write the network as SLAYER does."""
        return export_blocks(self.blocks, path, change)
