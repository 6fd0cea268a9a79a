"""The paper's networks with random weights and healthy firing rates.

Weights are random; the statistics of the batch normalisations are measured on data. Every branch
then has unit variance, as in a trained network, and neurons fire as in one: few in branches, more
on the residual stream.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from sdt_lava.engine import Engine
from sdt_lava.engine.arithmetic import total
from sdt_lava.engine.registry import Context, evaluator
from sdt_lava.families.sdt1.presets import preset
from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer
from sdt_lava.ir import Graph, Input, Lif
from sdt_lava.ir.encoding import encode
from sdt_lava.ir.numerics import THRESHOLD_LIMIT
from sdt_lava.quantize.export import to_network
from sdt_lava.quantize.post_training import CalibrationData

_BATCH = 2
# Neurons of a population from which its threshold is estimated.
_MOST_NEURONS = 20_000


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

    All octaves have the same variance, so that amplitudes fall with the spatial frequency as 1/f
    and neighbouring pixels, and with them neighbouring spikes, are alike; the values stay inside
    the input's range.
    """
    config = model.config
    height, width = config.image_size
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(count, config.in_channels, height, width)
    for octave in range(max(height, width).bit_length() - 1):
        coarse = -(-height >> octave), -(-width >> octave)
        noise = torch.randn((count, config.in_channels, *coarse), generator=generator)
        images += functional.interpolate(noise, (height, width), mode="bilinear")
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
    net, _ = to_network(model, calibration=CalibrationData(images, "random images", choose=False))
    return BenchmarkNetwork(name, model, net)


def with_scaled_rates(net: Graph, images: np.ndarray, factor: float) -> Graph:
    """Return the network with other thresholds, so that all rates are multiplied by a factor.

    Parameters
    ----------
    net : Graph
        Integer network.
    images : ndarray
        Input for which rates are measured, ``(B, *shape)``.
    factor : float
        At most 1.
    """
    frames = encode(net, images)
    usual = Engine(net, strict=False, tracked=False).run(frames, net.lif_names)
    values: dict[str, torch.Tensor] = {}
    changed: dict[str, Lif] = {}
    for node in net:
        if isinstance(node, Input):
            values[node.name] = torch.from_numpy(frames.copy())
            continue
        inputs = [values[name] for name in node.inputs]
        fitting = node
        if isinstance(node, Lif):
            fitting = changed[node.name] = _with_rate(
                node, inputs, factor * usual[node.name].mean()
            )
        values[node.name] = evaluator(type(node))(fitting, inputs, Context(strict=False))
    return net.rebuild([changed.get(node.name, node) for node in net.nodes.values()])


def _with_rate(node: Lif, inputs: list[torch.Tensor], rate: float) -> Lif:
    """Return the neurons with the lowest threshold for which no more than a share of them fire."""
    steps, batch, channels = inputs[0].shape[:3]
    summed = total(inputs).reshape(steps, batch, channels, -1)
    sample = summed[..., :: 1 + summed[0].numel() // _MOST_NEURONS]
    low, high = 0, THRESHOLD_LIMIT
    while low < high:
        middle = (low + high) // 2
        fired = evaluator(Lif)(replace(node, threshold=middle), [sample], Context(strict=False))
        low, high = (low, middle) if float(fired.float().mean()) <= rate else (middle + 1, high)
    return replace(node, threshold=low)
