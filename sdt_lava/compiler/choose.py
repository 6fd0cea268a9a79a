"""Choose the cheapest lowering that a target allows, for each stream and column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from operator import itemgetter

from sdt_lava.compiler.columns import (
    AND,
    COLUMN_GATE,
    WAYS,
    Column,
    find_columns,
    obstacles,
)
from sdt_lava.compiler.cost import (
    ASSUMED_RATE,
    Cost,
    Rates,
    count_lowering,
    estimated_rates,
    lowering_cost,
)
from sdt_lava.compiler.lowering import Lowering, lower
from sdt_lava.compiler.passes.lower_shortcuts import TooManyConnectionsError
from sdt_lava.compiler.passes.split_delays import balance
from sdt_lava.compiler.streams import RELAY, UNROLLED, forced_relays, stream_names
from sdt_lava.compiler.target import Target
from sdt_lava.ir import Graph, Relay

AUTO = "auto"
# Limit on the total nodes of the lowered graphs in a search. Each candidate needs a lowered graph
# of the whole network; the deepest networks of the paper take 12,000 nodes.
SEARCHED_NODES = 20_000
Choice = str | Mapping[str, str]


def choose_lowering(
    net: Graph,
    target: Target,
    shortcut: Choice = RELAY,
    sdsa: Choice = AND,
    *,
    rates: Rates = ASSUMED_RATE,
    cost: Cost = lowering_cost,
) -> Lowering:
    """Choose the lowering of residual streams and SDSA columns.

    'auto' starts with relays or unrolled streams, whichever is cheaper, and changes one stream or
    column at a time while that reduces the cost. In very large networks, the search stops early.

    Parameters
    ----------
    net : Graph
        Integer graph.
    target : Target
        Target that must support the lowering. Without graded spikes, 'auto' makes no relays.
    shortcut : {'relay', 'unrolled', 'auto'} or mapping of str to str
        Lowering of all residual streams, or of individual ones; the others become relays.
    sdsa : {'and', 'column-gate', 'columnless', 'single-gate', 'auto'} or mapping of str to str
        Lowering of all SDSA columns, or of individual ones; the others get 'and'.
    rates : float or mapping of str to float
        Events per neuron and step that 'auto' assumes.
    cost : callable
        Cost function that 'auto' minimises.

    Returns
    -------
    Lowering
        The chosen lowering, in which 'auto' is resolved.

    Raises
    ------
    CompileError
        If the network does not allow the lowering, or has no stream or column of that name.
    """
    streams, columns = stream_names(net), find_columns(net)
    forced = forced_relays(net)
    free = [name for name in _left_to_auto(shortcut, streams) if name not in forced]
    smaller = {
        name: [AND, *(way for way in WAYS if _is_smaller(net, columns[name], way))]
        for name in _left_to_auto(sdsa, tuple(columns))
    }
    ways = (RELAY, UNROLLED) if Relay.kind in target.kinds else (UNROLLED,)
    search = _Search(partial(_price, net, target, rates, cost), dict.fromkeys(free, ways), smaller)
    starts = [
        Lowering.choose(
            net,
            _decided(shortcut, streams, dict.fromkeys(free, way), RELAY),
            _decided(sdsa, tuple(columns), {}, AND),
        )
        for way in (ways if free else ways[:1])
    ]
    # Without graded spikes, the sums of the readout stay in membranes.
    membranes = Relay.kind not in target.kinds
    return search.descend([replace(start, membranes=membranes) for start in starts])


def _is_smaller(net: Graph, column: Column, way: str) -> bool:
    """Return whether a lowering is allowed and saves neurons."""
    same_neurons = (AND,) if column.dilation else (AND, COLUMN_GATE)
    return way not in same_neurons and not obstacles(net, column)[way]


def _price(
    net: Graph, target: Target, rates: Rates, cost: Cost, lowering: Lowering
) -> tuple[float, int]:
    """Return the cost and node count of a lowering; the cost is infinite if it is not allowed."""
    try:
        lowered = lower(net, lowering)
    except TooManyConnectionsError:
        return inf, len(net)
    graph = balance(lowered, target.limit("delay_max")).graph
    return cost(count_lowering(graph, estimated_rates(graph, rates))), len(graph)


def _left_to_auto(choice: Choice, names: Sequence[str]) -> list[str]:
    if isinstance(choice, str):
        return list(names) if choice == AUTO else []
    return [name for name in names if choice.get(name) == AUTO]


def _decided(choice: Choice, names: Sequence[str], start: Mapping[str, str], usual: str) -> Choice:
    """Return a choice with 'auto' replaced by the given or default lowering, as a search start."""
    if choice == AUTO:
        return {name: start.get(name, usual) for name in names}
    if isinstance(choice, str):
        return choice
    return {name: start.get(name, usual) if way == AUTO else way for name, way in choice.items()}


@dataclass
class _Search:
    price: Callable[[Lowering], tuple[float, int]]
    streams: Mapping[str, Sequence[str]]
    columns: Mapping[str, Sequence[str]]
    left: int = SEARCHED_NODES

    def descend(self, starts: Sequence[Lowering]) -> Lowering:
        """Change one choice at a time while the cost decreases, starting from the cheapest one."""
        if not self.streams and not self.columns:
            return starts[0]
        price, best = min(((self._priced(start), start) for start in starts), key=itemgetter(0))
        previous = inf
        while price < previous:
            previous = price
            for change in self._changes():
                if self.left <= 0:
                    return best
                other = change(best)
                if other != best and (other_price := self._priced(other)) < price:
                    best, price = other, other_price
        return best

    def _priced(self, lowering: Lowering) -> float:
        price, nodes = self.price(lowering)
        self.left -= nodes
        return price

    def _changes(self) -> Sequence[Callable[[Lowering], Lowering]]:
        return [
            partial(_with_stream, name=name, way=way)
            for name, ways in self.streams.items()
            for way in ways
        ] + [
            partial(_with_column, name=name, way=way)
            for name, ways in self.columns.items()
            for way in ways
        ]


def _with_stream(lowering: Lowering, *, name: str, way: str) -> Lowering:
    return replace(lowering, shortcut={**lowering.shortcut, name: way})


def _with_column(lowering: Lowering, *, name: str, way: str) -> Lowering:
    return replace(lowering, sdsa={**lowering.sdsa, name: way})
