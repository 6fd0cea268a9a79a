"""Search for scales at which no sum overflows, as proved from the weights or else as measured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from math import ceil, log2

import numpy as np

from sdt_lava.ir import Graph, Lif, Node
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.numerics import BIAS_MANTISSA_HIGH, THRESHOLD_LIMIT
from sdt_lava.quantize.first_layer import least_exponent
from sdt_lava.quantize.fitting import SAME_SCALE, exact_scale, filling_scale, fitting_scale
from sdt_lava.quantize.groups import LifGroup, lif_groups, token_count, token_mean_before
from sdt_lava.quantize.headroom import headroom
from sdt_lava.quantize.integer import (
    Clips,
    largest_scale,
    quantize_groups,
    reach,
    with_rounded,
)
from sdt_lava.quantize.weight_format import WeightFormat

# Rounding may raise a sum slightly above the value expected from its scale.
_ROUNDING_ROOM = 0.98
# Shifted sums are rounded down by less than a unit, which is negligible at such a threshold.
_FINE_THRESHOLD = 256


class ScaleSearch:
    """The scales of LIF groups and the shift of the token mean, lowered step by step.

    Parameters
    ----------
    graph : Graph
        Float graph with biases gathered in the neurons.
    weights : WeightFormat
        Format of the weights.
    groups : sequence of LifGroup, optional
        All groups of the graph by default.
    clips : mapping of str to float
        Fraction of the largest weight that must fit in the range, by layer; 1 if not listed.

    Attributes
    ----------
    scales : dict of str to float
        Scale by group name.
    shift : int
        Right shift of the token mean's sum.
    """

    def __init__(
        self,
        graph: Graph,
        weights: WeightFormat,
        groups: Sequence[LifGroup] | None = None,
        clips: Clips | None = None,
    ) -> None:
        self.float_graph = graph
        self.weights = weights
        self.groups = lif_groups(graph) if groups is None else tuple(groups)
        self.clips = dict(clips or {})
        self.scales = {
            group.name: self._fitting(group, largest_scale(graph, group, weights, self.clips))
            for group in self.groups
            if not group.counts
        }
        self.shift = smallest_shift(graph, self.groups, self.scales)

    def nodes(self) -> dict[str, Node]:
        """Return the rounded nodes of the groups at the current scales."""
        return quantize_groups(
            self.float_graph, self.groups, self.scales, self.weights, self.clips, self.shift
        )

    def graph(self) -> Graph:
        """Return the integer graph at the current scales of all groups."""
        return with_rounded(self.float_graph, self.nodes(), self.weights)

    def part(self, group: LifGroup) -> ScaleSearch:
        """Return a search of one group alone, with its current scale, clips and shift."""
        clips = {name: self.clips[name] for name in group.synapses if name in self.clips}
        part = ScaleSearch(self.float_graph, self.weights, (group,), clips)
        part.scales[group.name] = self.scales[group.name]
        part.shift = self.shift
        return part

    def with_parts(self, parts: Iterable[ScaleSearch]) -> ScaleSearch:
        """Return a copy of this search with the scales and clips of searches of single groups."""
        joined = copy(self)
        joined.scales, joined.clips = dict(self.scales), dict(self.clips)
        for part in parts:
            joined.scales.update(part.scales)
            for name in part.groups[0].synapses:
                joined.clips[name] = part.clips.get(name, 1.0)
            if reads_token_mean(self.float_graph, part.groups[0]):
                joined.shift = part.shift
        return joined

    def towards_proof(self, bounds: Mapping[str, Extremes], unproved: Collection[str]) -> bool:
        """Lower scales with precision to spare to prove ranges; return whether anything changed.

        A token mean has precision to spare, and so has a group whose layers have weight exponents,
        down to the scale at which none has. If a proof needs a still lower scale, the fine scale is
        kept, and its ranges are measured.
        """
        changed = self._shift_towards_proof(bounds, unproved)
        for group in self.groups:
            names = [name for name in self._direct(group) if name in unproved]
            if not names:
                continue
            provable = self.scales[group.name] * min(headroom(bounds[name]) for name in names)
            if provable >= self._coarse_scale(group):
                self._lower_group(group, provable)
                changed = True
        return changed

    def _shift_towards_proof(
        self, bounds: Mapping[str, Extremes], unproved: Collection[str]
    ) -> bool:
        before = self.shift
        for name in unproved:
            mean = token_mean_before(self.float_graph, name)
            if mean is not None:
                missing = ceil(log2(1 / headroom(bounds[name])))
                largest_shift = ceil(log2(token_count(self.float_graph, mean)))
                self.shift = max(self.shift, min(before + max(missing, 1), largest_shift))
        return self.shift > before

    def lower(self, factors: Mapping[str, float]) -> None:
        """Lower the scales of the groups of some neurons by the given factors, by neuron."""
        for group in self.groups:
            if any(name in factors for name in set(group.lifs) - set(self._direct(group))):
                self.shift += 1
            shares = [factors[name] for name in self._direct(group) if name in factors]
            if shares:
                self._lower_group(group, min(*shares, 1.0) * self.scales[group.name])

    def _direct(self, group: LifGroup) -> list[str]:
        """Return the neurons whose input does not go through the shift of a token mean."""
        return [name for name in group.lifs if token_mean_before(self.float_graph, name) is None]

    def _coarse_scale(self, group: LifGroup) -> float:
        """Return the lowest scale at which the weights of the group keep their precision.

        At that scale, no layer needs a weight exponent. If negative exponents are allowed, weights
        keep their precision at lower scales, too, as long as the threshold is fine enough.
        """
        graph, coarse, shifted = self.float_graph, np.inf, np.inf
        for name in group.synapses:
            largest = float(reach(graph, name, self.weights, self.clips).max())
            if largest:
                scale = self.weights.largest / largest
                smallest_exponent = least_exponent(graph, name, self.weights)
                coarse, shifted = min(coarse, scale), min(shifted, scale * 2.0**smallest_exponent)
        thresholds = [getattr(graph.nodes[name], "threshold", np.inf) for name in group.lifs]
        smallest = min((float(np.min(values)) for values in thresholds), default=np.inf)
        return min(coarse, max(shifted, _FINE_THRESHOLD / smallest))

    def _lower_group(self, group: LifGroup, limit: float) -> None:
        """Lower a group's scale to a limit, or slightly further if weights are rounded."""
        before = self.scales[group.name]
        exact = exact_scale(
            self.float_graph,
            group,
            min(limit, before * (1 - 2 * SAME_SCALE)),
            self.weights,
            self.clips,
        )
        lowered = _ROUNDING_ROOM * limit
        self.scales[group.name] = exact or filling_scale(
            self.float_graph, group, lowered, self.weights, self.clips
        )

    def _fitting(self, group: LifGroup, scale: float) -> float:
        return fitting_scale(self.float_graph, group, scale, self.weights, self.clips)


def reads_token_mean(graph: Graph, group: LifGroup) -> bool:
    """Return whether a group's scale depends on the shift of a token mean."""
    return any(token_mean_before(graph, name) is not None for name in group.lifs)


def smallest_shift(graph: Graph, groups: Sequence[LifGroup], scales: Mapping[str, float]) -> int:
    """Return the smallest shift of the token mean at which threshold and bias fit."""
    shift = 0
    for group in groups:
        for name in group.lifs:
            mean = token_mean_before(graph, name)
            if mean is None:
                continue
            scale = scales[group.name] * token_count(graph, mean)
            lif = graph.nodes[name]
            assert isinstance(lif, Lif)
            largest = 0.0 if lif.bias is None else float(np.abs(lif.bias).max(initial=0))
            while (
                lif.threshold * scale / 2.0**shift > THRESHOLD_LIMIT / 2
                or largest * scale / 2.0**shift > BIAS_MANTISSA_HIGH
            ):
                shift += 1
    return shift
