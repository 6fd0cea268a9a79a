"""Scales within a limit that fit the numbers of a group best.

Where weights lie on a grid and the range has room for a scale that makes the grid's step one of
ours, the integer graph holds the very same numbers. Elsewhere thresholds are whole, and weights
whose sums are shifted to the right fill their range.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.importers.fold import FloatArray
from sdt_lava.importers.grid import CLOSE, grid_of, whole
from sdt_lava.ir import LIF_KINDS, CubaLif, Graph
from sdt_lava.ir.numerics import MAX_WEIGHT_EXPONENT
from sdt_lava.quantize.first_layer import effective_weight, least_exponent
from sdt_lava.quantize.groups import LifGroup, token_mean_before
from sdt_lava.quantize.integer import (
    Clips,
    is_silent,
    layer_exponents,
    powers,
    reach,
    round_scale,
)
from sdt_lava.quantize.weight_format import WeightFormat

# Scales that differ by less are one scale to weights in float32.
SAME_SCALE = 1e-6
# An exact scale is not worth more than this share of the range of membranes.
_LEAST_SHARE = 1 / 16


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
    exact = exact_scale(graph, group, scale, weights, clips)
    return filling_scale(graph, group, scale, weights, clips) if exact is None else exact


def filling_scale(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat, clips: Clips
) -> float:
    """Lower a scale to whole thresholds, where sums are shifted to the right also to full weights.

    Such a group has threshold bits to spare: at up to half of its scale the largest weight is the
    largest of the format.

    Raises
    ------
    QuantizationError
        If a threshold rounds to 0.
    """
    if group.synapses and all(least_exponent(graph, name, weights) < 0 for name in group.synapses):
        largest = max(reach(graph, name, weights, clips).max() for name in group.synapses)
        doublings = np.floor(np.log2(scale * largest / weights.largest) + 1e-9) if largest else 0.0
        if min(least_exponent(graph, name, weights) for name in group.synapses) <= doublings < 0:
            scale = weights.largest * 2.0**doublings / largest
    return round_scale(graph, group, scale)


def exact_scale(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat, clips: Clips
) -> float | None:
    """Return the best scale up to a limit at which no weight is rounded, None if there is none.

    Better than a large one is one at which thresholds, then biases, are not rounded either, and
    better than that one at which no sum is rounded when it is shifted to the right.
    """
    if any(clips.get(name, 1.0) != 1.0 for name in group.synapses):
        return None
    candidates = _candidates(graph, group, scale, weights)
    if candidates is None:
        return None
    thresholds, biases = _of_neurons(graph, group)
    smallest = min((float(np.min(values)) for values in thresholds), default=np.inf)
    exact = [
        value
        for value in candidates
        if value * smallest >= 1 and weights_stay(graph, group, value, weights, clips)
    ]
    sums = [
        effective_weight(graph, graph.nodes[name])  # type: ignore[arg-type]
        for name in group.synapses
        if least_exponent(graph, name, weights) < 0
    ]
    preferred = [(*thresholds, *biases), thresholds, ()]
    if sums:
        preferred = [(*sums, *others) for others in preferred] + preferred
    for others in preferred:
        for value in exact:
            if all(whole(np.asarray(numbers) * value) for numbers in others):
                return value
    return None


def _candidates(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat
) -> list[float] | None:
    """Return scales, the largest first, at which the first layer with weights is exact."""
    first: list[float] | None = None
    for values, exponents in _layers(graph, group, weights):
        step = grid_of(values, weights.mantissa)
        if step is None:
            return None
        if step and first is None:
            most = int(weights.mantissa * step / np.abs(values).max() + CLOSE)
            first = [
                weights.step * 2.0**exponent * count / step
                for exponent in exponents
                for count in range(1, most + 1)
            ]
    if first is None:
        return None
    least = _LEAST_SHARE * scale
    # A scale that is the limit but for the last digits is within it.
    within = {value for value in first if least <= value <= scale * (1 + SAME_SCALE)}
    return sorted(within, reverse=True)


def _layers(graph: Graph, group: LifGroup, weights: WeightFormat) -> list[tuple[FloatArray, range]]:
    """Return the weights of each layer and the exponents that it can have."""
    found: list[tuple[FloatArray, range]] = []
    for name in group.lifs:
        lif = graph.nodes[name]
        if isinstance(lif, CubaLif) and lif.weight_rec is not None:
            found.append((np.asarray(lif.weight_rec, np.float64), range(1)))
    for name in group.synapses:
        exponents = range(least_exponent(graph, name, weights), MAX_WEIGHT_EXPONENT + 1)
        found.append((effective_weight(graph, graph.nodes[name]), exponents))  # type: ignore[arg-type]
    return found


def weights_stay(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat, clips: Clips
) -> bool:
    """Tell whether no weight of a group is rounded at a scale."""
    for name in group.synapses:
        synapse: Any = graph.nodes[name]
        rows = powers(synapse, layer_exponents(graph, name, weights, clips, scale))
        if not whole(effective_weight(graph, synapse) * scale / rows / weights.step):
            return False
    for name in group.lifs:
        lif = graph.nodes[name]
        if isinstance(lif, CubaLif) and lif.weight_rec is not None:
            steps = np.asarray(lif.weight_rec, np.float64) * scale / weights.step
            if not whole(steps) or np.abs(steps).max() > weights.mantissa + CLOSE:
                return False
    return True


def _of_neurons(graph: Graph, group: LifGroup) -> tuple[list[Any], list[Any]]:
    # What a token mean passes on has a scale of its own.
    direct = [name for name in group.lifs if token_mean_before(graph, name) is None]
    neurons = [graph.nodes[name] for name in direct]
    lifs = [node for node in neurons if isinstance(node, LIF_KINDS)]
    biases = [lif.bias for lif in lifs if lif.bias is not None]
    return [lif.threshold for lif in lifs if not is_silent(lif)], biases
