"""Histograms of membrane potentials against the threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdt_lava.graph import Graph, Lif
from sdt_lava.numerics import ACTIVATION_SHIFT, IntArray, LifParameters, channel_vector, lif_step
from sdt_lava.simulate.result import Result

BINS = 48
# The range shown, in thresholds; what lies beyond is counted in the outer bins.
LOW, HIGH = -2.0, 2.0


@dataclass(frozen=True)
class MembraneHistogram:
    """Where the potentials of a layer were before the reset.

    Parameters
    ----------
    name : str
        Layer.
    threshold : int
        Its threshold mantissa.
    counts : tuple of int
        Neuron-steps in each of the bins between `LOW` and `HIGH` thresholds, the outer ones
        with everything beyond.
    """

    name: str
    threshold: int
    counts: tuple[int, ...]


def membrane_histograms(result: Result, samples: int) -> tuple[MembraneHistogram, ...]:
    """Recompute the potentials of every LIF from the recorded spikes.

    Parameters
    ----------
    result : Result
        Run of an integer back end.
    samples : int
        Samples to use, from the first.
    """
    from sdt_lava.simulate.engine import Engine

    net, frames = result.integer_run("membranes")
    layers = [node for node in net.of_type(Lif) if node.name in result.spikes]
    sources = {name for node in layers for name in node.inputs}
    recorded = {name: np.asarray(spikes)[:, :samples] for name, spikes in result.spikes.items()}
    values = Engine(net, strict=False).run(frames[:, :samples], keep=sources, spikes=recorded)
    return tuple(_histogram(net, node, values) for node in layers)


def _histogram(net: Graph, node: Lif, values: dict[str, IntArray]) -> MembraneHistogram:
    activation = np.sum([values[name].astype(np.int64) for name in node.inputs], axis=0)
    bias = 0 if node.bias is None else channel_vector(node.bias, len(net.shapes[node.name]))
    parameters = LifParameters(
        threshold=int(node.threshold),
        voltage_decay=node.voltage_decay,
        current_decay=node.current_decay,
        bias=bias,
        bias_exponent=node.bias_exponent,
    )
    current = voltage = np.zeros(activation.shape[1:], np.int64)
    counts = np.zeros(BINS, np.int64)
    scale = max(int(node.threshold), 1) << ACTIVATION_SHIFT
    for step in range(len(activation)):
        current, voltage, _, peak = lif_step(current, voltage, activation[step], parameters)
        inside = np.clip(peak / scale, LOW, np.nextafter(HIGH, LOW))
        counts += np.histogram(inside, bins=BINS, range=(LOW, HIGH))[0]
    return MembraneHistogram(node.name, int(node.threshold), tuple(int(n) for n in counts))
