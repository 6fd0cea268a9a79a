"""The paper's networks with random weights and healthy firing rates.

Weights are random; the statistics of the batch normalisations are measured on data. Every branch
then has unit variance, as in a trained network, and neurons fire as in one: few in branches, more
on the residual stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from sdt_lava.graph import Graph
from sdt_lava.model.presets import preset
from sdt_lava.model.transformer import SpikeDrivenTransformer
from sdt_lava.quantize.export import to_network
from sdt_lava.quantize.post_training import CalibrationData

_BATCH = 2
# Amplitudes of the octaves of an image grow with the wavelength to this power.
_SLOPE = 0.0


@dataclass(frozen=True, eq=False)
class BenchmarkNetwork:
    """A float model, its integer network, and inputs for both.

    Parameters
    ----------
    name : str
        Preset.
    model : SpikeDrivenTransformer
        In evaluation mode.
    net : Graph
        The exported network.
    """

    name: str
    model: SpikeDrivenTransformer
    net: Graph

    def images(self, count: int, seed: int = 1) -> np.ndarray:
        """Return normalised images, float32 ``(count, C, H, W)``."""
        return random_images(self.model, count, seed)


def random_images(model: SpikeDrivenTransformer, count: int, seed: int) -> np.ndarray:
    """Return normalised images of noise with the spectrum of natural images.

    Amplitudes fall with the spatial frequency as 1/f, so that neighbouring pixels, and with them
    neighbouring spikes, are alike; the values stay inside the input's range.
    """
    config = model.config
    height, width = config.image_size
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(count, config.in_channels, height, width)
    for octave in range(max(height, width).bit_length() - 1):
        coarse = -(-height >> octave), -(-width >> octave)
        noise = torch.randn((count, config.in_channels, *coarse), generator=generator)
        images += 2.0 ** (_SLOPE * octave) * functional.interpolate(
            noise, (height, width), mode="bilinear"
        )
    mean, std = images.mean(dim=(2, 3), keepdim=True), images.std(dim=(2, 3), keepdim=True)
    low, high = (level / config.input_scale for level in config.input_range)
    return ((images - mean) / std).clamp(low, high).numpy()


def float_model(name: str, **changes: object) -> SpikeDrivenTransformer:
    """Return the authors' form of a preset (max-pooling, plain LIF) in evaluation mode."""
    torch.manual_seed(0)
    config = preset(name, **{"downsampling": "max", "neuron": "lif", **changes})
    model = SpikeDrivenTransformer(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.momentum = 1.0
    model.train()
    with torch.no_grad():
        model(torch.from_numpy(random_images(model, _BATCH, seed=0)))
    return model.eval()


def benchmark_network(name: str, **changes: object) -> BenchmarkNetwork:
    """Return a preset with random weights, exported to 8 bits."""
    model = float_model(name, **changes)
    images = random_images(model, _BATCH, seed=0)
    net, _ = to_network(model, calibration=CalibrationData(images, "random images"))
    return BenchmarkNetwork(name, model, net)
