"""The search for scales at which no sum overflows: proved where possible, measured elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import ceil, log2

import numpy as np

from sdt_lava.graph import Graph, Lif
from sdt_lava.numerics import BIAS_MANTISSA_HIGH, THRESHOLD_LIMIT
from sdt_lava.quantize.bounds import Extremes
from sdt_lava.quantize.groups import LifGroup, lif_groups, token_count, token_mean_before
from sdt_lava.quantize.integer import (
    WeightFormat,
    initial_scales,
    largest_weight,
    quantize_graph,
    round_scale,
)
from sdt_lava.quantize.report import headroom

# Rounding may lift a sum a little above what its scale suggests.
_ROUNDING_ROOM = 0.98


class ScaleSearch:
    """Scales of all groups and the shift of the token mean, lowered step by step.

    Parameters
    ----------
    graph : Graph
        Float graph with biases gathered in the neurons.
    bits : int
        Width of a weight.

    Attributes
    ----------
    scales : dict of str to float
        Scale by group name.
    shift : int
        Right shift of the token mean's sum.
    """

    def __init__(self, graph: Graph, bits: int) -> None:
        self._graph = graph
        self._bits = bits
        self._groups = lif_groups(graph)
        self.scales = initial_scales(graph, bits)
        self.shift = smallest_shift(graph, self.scales)

    def graph(self) -> Graph:
        """Return the integer graph at the present scales."""
        return quantize_graph(self._graph, self.scales, self._bits, self.shift)

    def towards_proof(self, bounds: Mapping[str, Extremes], unproved: Collection[str]) -> bool:
        """Change what costs little if that helps to prove ranges; tell whether anything changed.

        A token mean has precision to spare, and so has a group whose layers use weight
        exponents, down to the scale at which none does. If a proof would need a still lower
        scale, the fine one is kept for measuring.
        """
        changed = self._shift_towards_proof(bounds, unproved)
        for group in self._groups:
            names = [name for name in self._direct(group) if name in unproved]
            if not names:
                continue
            provable = self.scales[group.name] * min(headroom(bounds[name]) for name in names)
            if provable >= self._coarse_scale(group):
                self._lower_group(group, _ROUNDING_ROOM * provable)
                changed = True
        return changed

    def _shift_towards_proof(
        self, bounds: Mapping[str, Extremes], unproved: Collection[str]
    ) -> bool:
        before = self.shift
        for name in unproved:
            mean = token_mean_before(self._graph, name)
            if mean is not None:
                missing = ceil(log2(1 / headroom(bounds[name])))
                most = ceil(log2(token_count(self._graph, mean)))
                self.shift = max(self.shift, min(before + max(missing, 1), most))
        return self.shift > before

    def lower(self, factors: Mapping[str, float]) -> None:
        """Lower the scales of some neurons' groups to these shares of what they are."""
        for group in self._groups:
            if any(name in factors for name in set(group.lifs) - set(self._direct(group))):
                self.shift += 1
            shares = [factors[name] for name in self._direct(group) if name in factors]
            if shares:
                share = min(_ROUNDING_ROOM * min(shares), _ROUNDING_ROOM)
                self._lower_group(group, share * self.scales[group.name])

    def _direct(self, group: LifGroup) -> list[str]:
        """Neurons that a token mean does not shift into range."""
        return [name for name in group.lifs if token_mean_before(self._graph, name) is None]

    def _coarse_scale(self, group: LifGroup) -> float:
        """Return the scale at which no layer of the group needs a weight exponent."""
        largest = max(largest_weight(self._graph, name) for name in group.synapses)
        return WeightFormat(self._bits).largest / largest if largest else np.inf

    def _lower_group(self, group: LifGroup, scale: float) -> None:
        self.scales[group.name] = round_scale(self._graph, group, scale)


def smallest_shift(graph: Graph, scales: Mapping[str, float]) -> int:
    """Return the smallest shift of the token mean at which threshold and bias fit."""
    shift = 0
    for group in lif_groups(graph):
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
