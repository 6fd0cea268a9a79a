"""Choose the scale within a limit that fits the numbers of a group best.

If weights lie on a grid and the range allows a scale that makes the grid's step a multiple of
ours, the integer graph holds exactly the same numbers. Otherwise, thresholds are whole numbers,
and weights whose sums are shifted to the right fill their range.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.importers.fold import FloatArray
from sdt_lava.importers.grid import CLOSE, grid_of, whole
from sdt_lava.ir import Graph, SpikingNeurons
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

# Scales that differ by less are the same scale for weights in float32.
SAME_SCALE = 1e-6
# An exact scale may not cost more than this fraction of the range of membranes.
_LEAST_SHARE = 1 / 16


def fitting_scale(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat, clips: Clips
) -> float:
    """Lower a scale so that nothing is rounded or, failing that, thresholds are whole numbers.

    Parameters
    ----------
    graph : Graph
        Float graph with biases gathered in the neurons.
    group : LifGroup
        A group of that graph.
    scale : float
        Largest scale.
    weights : WeightFormat
        Format of the weights.
    clips : mapping of str to float
        Fraction of the largest weight that must fit in the range, by layer.

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
    """Lower a scale so that thresholds are whole numbers and shifted weights fill their range.

    Groups whose sums are shifted to the right have threshold bits to spare: lowering the scale to
    no less than half makes their largest weight the largest of the format.

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

    Scales at which thresholds and then biases are not rounded either are preferred to larger
    scales, and most of all scales at which no sum is rounded by its shift to the right.
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
    priorities = [(*thresholds, *biases), thresholds, ()]
    if sums:
        priorities = [(*sums, *arrays) for arrays in priorities] + priorities
    for arrays in priorities:
        for value in exact:
            if all(whole(np.asarray(numbers) * value) for numbers in arrays):
                return value
    return None


def _candidates(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat
) -> list[float] | None:
    """Return scales at which the first layer with weights is exact, the largest first."""
    first: list[float] | None = None
    for values, exponents in _layers(graph, group, weights):
        step = grid_of(values, weights.mantissa)
        if step is None:
            return None
        if step and first is None:
            largest_count = int(weights.mantissa * step / np.abs(values).max() + CLOSE)
            first = [
                weights.step * 2.0**exponent * count / step
                for exponent in exponents
                for count in range(1, largest_count + 1)
            ]
    if first is None:
        return None
    smallest = _LEAST_SHARE * scale
    # A scale that exceeds the limit only in the last digits is within it.
    candidates = {value for value in first if smallest <= value <= scale * (1 + SAME_SCALE)}
    return sorted(candidates, reverse=True)


def _layers(graph: Graph, group: LifGroup, weights: WeightFormat) -> list[tuple[FloatArray, range]]:
    """Return the weights of each layer and its possible exponents."""
    layers: list[tuple[FloatArray, range]] = []
    for name in group.lifs:
        lif = graph.nodes[name]
        if isinstance(lif, SpikingNeurons) and lif.weight_rec is not None:
            layers.append((np.asarray(lif.weight_rec, np.float64), range(1)))
    for name in group.synapses:
        exponents = range(least_exponent(graph, name, weights), MAX_WEIGHT_EXPONENT + 1)
        layers.append((effective_weight(graph, graph.nodes[name]), exponents))  # type: ignore[arg-type]
    return layers


def weights_stay(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat, clips: Clips
) -> bool:
    """Return whether no weight of a group is rounded at a scale."""
    for name in group.synapses:
        synapse: Any = graph.nodes[name]
        rows = powers(synapse, layer_exponents(graph, name, weights, clips, scale))
        if not whole(effective_weight(graph, synapse) * scale / rows / weights.step):
            return False
    for name in group.lifs:
        lif = graph.nodes[name]
        if isinstance(lif, SpikingNeurons) and lif.weight_rec is not None:
            steps = np.asarray(lif.weight_rec, np.float64) * scale / weights.step
            if not whole(steps) or np.abs(steps).max() > weights.mantissa + CLOSE:
                return False
    return True


def _of_neurons(graph: Graph, group: LifGroup) -> tuple[list[Any], list[Any]]:
    # The output of a token mean has its own scale.
    direct = [name for name in group.lifs if token_mean_before(graph, name) is None]
    neurons = [graph.nodes[name] for name in direct]
    lifs = [node for node in neurons if isinstance(node, SpikingNeurons)]
    biases = [lif.bias for lif in lifs if lif.bias is not None]
    return [lif.threshold for lif in lifs if not is_silent(lif)], biases
