"""Scales at which nothing is rounded, for weights that lie on a grid.

Weights that somebody rounded before (fine-tuned ones, multiples of 1/64, -1 and 1) are integers
times some step. Where the range of a group has room for a scale that makes that step one of ours,
the integer graph holds the very same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.graph import LIF_KINDS, CubaLif, Graph
from sdt_lava.numerics import MAX_WEIGHT_EXPONENT
from sdt_lava.quantize.fold import FloatArray
from sdt_lava.quantize.groups import LifGroup, token_mean_before
from sdt_lava.quantize.integer import (
    Clips,
    WeightFormat,
    effective_weight,
    reach,
    round_scale,
)

# Distance from an integer that float32 numbers of 127 steps have.
_CLOSE = 1e-5
# An exact scale is not worth more than this share of the range of membranes.
_LEAST_SHARE = 1 / 16
# Enough values to see that there is no grid.
_GLANCE = 4096


def grid_of(values: Any, most: int) -> float | None:
    """Return the largest step of which all values are multiples, at most ``most`` steps away.

    Parameters
    ----------
    values : array-like
        Numbers of any shape.
    most : int
        Largest number of steps.

    Returns
    -------
    float or None
        None if there is no such step; 0.0 if all values are 0.
    """
    flat = np.abs(np.asarray(values, np.float64)).ravel()
    if len(np.unique(flat[:_GLANCE])) > most + 1:
        return None
    present = np.unique(flat[flat > 0])
    if not present.size:
        return 0.0
    for steps in range(1, most + 1):
        step = float(present[0]) / steps
        counts = present / step
        if counts[-1] > most + _CLOSE:
            return None
        if (np.abs(counts - np.rint(counts)) < _CLOSE).all():
            return step
    return None


def fitting_scale(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat, clips: Clips
) -> float:
    """Lower a scale to one at which nothing is rounded, or else only to whole thresholds.

    Parameters
    ----------
    graph : Graph
        Float graph with biases gathered in the neurons.
    group : LifGroup
        A group of that graph.
    scale : float
        Largest scale.
    weights : WeightFormat
        What a weight can be.
    clips : mapping of str to float
        Share of a layer's largest weight that its range has to hold.

    Raises
    ------
    QuantizationError
        If a threshold rounds to 0.
    """
    exact = _exact_scale(graph, group, scale, weights, clips)
    return round_scale(graph, group, scale) if exact is None else exact


def _exact_scale(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat, clips: Clips
) -> float | None:
    clipped = any(clips.get(name, 1.0) != 1.0 for name in group.synapses)
    if clipped or any(token_mean_before(graph, name) is not None for name in group.lifs):
        return None
    candidates = _candidates(graph, group, scale, weights)
    if candidates is None:
        return None
    thresholds, biases = _of_neurons(graph, group)
    smallest = min((float(np.min(values)) for values in thresholds), default=np.inf)
    exact = [
        value
        for value in candidates
        if value * smallest >= 1 and _weights_stay(graph, group, value, weights, clips)
    ]
    for others in ((*thresholds, *biases), thresholds, ()):
        for value in exact:
            if all(_whole(np.asarray(numbers) * value) for numbers in others):
                return value
    return None


def _candidates(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat
) -> list[float] | None:
    """Return scales, the largest first, at which the first layer with weights is exact."""
    first: list[float] | None = None
    for values, exponents in _layers(graph, group):
        step = grid_of(values, weights.mantissa)
        if step is None:
            return None
        if step and first is None:
            most = int(weights.mantissa * step / np.abs(values).max() + _CLOSE)
            first = [
                weights.step * 2.0**exponent * count / step
                for exponent in range(exponents + 1)
                for count in range(1, most + 1)
            ]
    if first is None:
        return None
    least = _LEAST_SHARE * scale
    # A scale that is the limit but for the last digits is within it.
    within = {value for value in first if least <= value <= scale * (1 + 1e-9)}
    return sorted(within, reverse=True)


def _layers(graph: Graph, group: LifGroup) -> list[tuple[FloatArray, int]]:
    """Return the weights of each layer and the largest exponent that it can have."""
    found: list[tuple[FloatArray, int]] = []
    for name in group.lifs:
        lif = graph.nodes[name]
        if isinstance(lif, CubaLif) and lif.weight_rec is not None:
            found.append((np.asarray(lif.weight_rec, np.float64), 0))
    for name in group.synapses:
        found.append((effective_weight(graph, graph.nodes[name]), MAX_WEIGHT_EXPONENT))  # type: ignore[arg-type]
    return found


def _weights_stay(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat, clips: Clips
) -> bool:
    for name in group.synapses:
        synapse: Any = graph.nodes[name]
        exponents = weights.exponents(reach(graph, name, weights, clips) * scale)
        shape = np.broadcast_to(np.asarray(exponents), len(synapse.weight))
        rows = 2.0 ** shape.reshape(-1, *(1,) * (synapse.weight.ndim - 1))
        if not _whole(effective_weight(graph, synapse) * scale / rows / weights.step):
            return False
    for name in group.lifs:
        lif = graph.nodes[name]
        if isinstance(lif, CubaLif) and lif.weight_rec is not None:
            steps = np.asarray(lif.weight_rec, np.float64) * scale / weights.step
            if not _whole(steps) or np.abs(steps).max() > weights.mantissa + _CLOSE:
                return False
    return True


def _of_neurons(graph: Graph, group: LifGroup) -> tuple[list[Any], list[Any]]:
    neurons = [graph.nodes[name] for name in group.lifs]
    lifs = [node for node in neurons if isinstance(node, LIF_KINDS)]
    biases = [lif.bias for lif in lifs if lif.bias is not None]
    return [lif.threshold for lif in lifs], biases


def _whole(values: Any) -> bool:
    array = np.asarray(values, np.float64)
    return bool(
        (np.abs(array - np.rint(array)) <= _CLOSE * np.maximum(1, np.abs(array) / 128)).all()
    )
