"""Compute histograms of membrane potentials relative to the threshold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sdt_lava.backends.result import Result
from sdt_lava.ir import Graph, SpikingNeurons
from sdt_lava.ir.numerics import ACTIVATION_SHIFT, IntArray, channel_vector

BINS = 48
# The displayed range, in thresholds; the outer bins include everything beyond it.
LOW, HIGH = -2.0, 2.0


@dataclass(frozen=True)
class MembraneHistogram:
    """Distribution of the potentials of a layer before the reset.

    Parameters
    ----------
    name : str
        Layer.
    threshold : int
        Threshold mantissa of the layer; the largest if channels differ.
    counts : tuple of int
        Neuron-steps in each of the bins between `LOW` and `HIGH` thresholds; the outer bins include
        everything beyond.
    """

    name: str
    threshold: int
    counts: tuple[int, ...]


def membrane_histograms(
    result: Result, samples: int, names: Collection[str] | None = None
) -> tuple[MembraneHistogram, ...]:
    """Recompute the potentials of populations of neurons from the recorded spikes.

    Parameters
    ----------
    result : Result
        Run of an integer back end.
    samples : int
        Number of samples to use, starting with the first.
    names : collection of str, optional
        Populations; all by default.
    """
    from sdt_lava.engine import Engine, RunRequest

    net, frames = result.integer_run("membranes")
    selection = set(result.spikes if names is None else names)
    layers = [node for node in net if isinstance(node, SpikingNeurons) and node.name in selection]
    sources = {name for node in layers for name in node.inputs}
    spikes_by_name = {name: np.asarray(spikes)[:, :samples] for name, spikes in result.sent.items()}
    values = Engine(net, strict=False).run(
        frames[:, :samples], RunRequest(sources, recorded=spikes_by_name)
    )
    return tuple(_histogram(net, node, values) for node in layers)


def _histogram(
    net: Graph, node: SpikingNeurons, values: Mapping[str, IntArray]
) -> MembraneHistogram:
    activation = np.sum([values[name].astype(np.int64) for name in node.inputs], axis=0)
    counts = np.zeros(BINS, np.int64)
    threshold = channel_vector(node.threshold, len(net.shapes[node.name]))
    scale = np.maximum(threshold, 1) << ACTIVATION_SHIFT
    for peak in _potentials(node, activation):
        inside = np.clip(peak / scale, LOW, np.nextafter(HIGH, LOW))
        counts += np.histogram(inside, bins=BINS, range=(LOW, HIGH))[0]
    return MembraneHistogram(node.name, int(threshold.max()), tuple(int(n) for n in counts))


def _potentials(node: SpikingNeurons, activation: IntArray) -> Iterator[IntArray]:
    """Yield v before the reset for each step."""
    population = node.population(activation.shape[1:])
    yield from (population.step(inputs)[2] for inputs in activation)
