"""The cheaper lowering that a target allows, stream by stream and column by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sdt_lava.compiler.columns import AND, WAYS, find_columns, obstacles
from sdt_lava.compiler.cost import (
    ASSUMED_RATE,
    Cost,
    Rates,
    count_lowering,
    estimated_rates,
    lowering_cost,
)
from sdt_lava.compiler.lowering import Lowering, lower
from sdt_lava.compiler.streams import RELAY, UNROLLED, forced_relays, stream_names
from sdt_lava.compiler.targets import Target
from sdt_lava.graph import Graph, Relay

AUTO = "auto"
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
    """Choose how streams and columns are lowered.

    'auto' starts with relays and official columns, changes one stream or column at a time as long
    as that is cheaper, does the same from unrolled streams, and takes the cheaper end.

    Parameters
    ----------
    net : Graph
        Integer graph.
    target : Target
        What has to be able to run it: 'auto' makes no relay for one without graded spikes.
    shortcut : {'relay', 'unrolled', 'auto'} or mapping of str to str
        One way for all residual streams, or a way for each of some: the others become relays.
    sdsa : {'and', 'column-gate', 'columnless', 'single-gate', 'auto'} or mapping of str to str
        One way for all columns of SDSA, or a way for each of some: the others get 'and'.
    rates : float or mapping of str to float
        Events per neuron and step, for 'auto'.
    cost : callable
        What 'auto' minimises.

    Returns
    -------
    Lowering
        Without 'auto'.

    Raises
    ------
    CompileError
        If the network does not allow it, or has no stream or column of a name.
    """
    streams, columns = stream_names(net), find_columns(net)
    forced = forced_relays(net)
    free = [name for name in _left_to_auto(shortcut, streams) if name not in forced]
    open_ways = {
        name: [way for way in WAYS if not obstacles(net, columns[name])[way]]
        for name in _left_to_auto(sdsa, tuple(columns))
    }
    ways = (RELAY, UNROLLED) if Relay.kind in target.kinds else (UNROLLED,)
    search = _Search(net, rates, cost, dict.fromkeys(free, ways), open_ways)
    starts = [
        Lowering.choose(
            net,
            _decided(shortcut, streams, dict.fromkeys(free, way), RELAY),
            _decided(sdsa, tuple(columns), {}, AND),
        )
        for way in (ways if free else ways[:1])
    ]
    return min((search.descend(start) for start in starts), key=lambda found: found[1])[0]


def _left_to_auto(choice: Choice, names: Sequence[str]) -> list[str]:
    if isinstance(choice, str):
        return list(names) if choice == AUTO else []
    return [name for name in names if choice.get(name) == AUTO]


def _decided(choice: Choice, names: Sequence[str], start: Mapping[str, str], usual: str) -> Choice:
    """Return a choice in which nothing is left to 'auto': where a search starts."""
    if choice == AUTO:
        return {name: start.get(name, usual) for name in names}
    if isinstance(choice, str):
        return choice
    return {name: start.get(name, usual) if way == AUTO else way for name, way in choice.items()}


@dataclass(frozen=True)
class _Search:
    net: Graph
    rates: Rates
    cost: Cost
    streams: Mapping[str, Sequence[str]]
    columns: Mapping[str, Sequence[str]]

    def price(self, lowering: Lowering) -> float:
        graph = lower(self.net, lowering)
        return self.cost(count_lowering(graph, estimated_rates(graph, self.rates)))

    def descend(self, start: Lowering) -> tuple[Lowering, float]:
        """Change one choice at a time while that is cheaper."""
        if not self.streams and not self.columns:
            return start, 0.0
        best, price = start, self.price(start)
        found = True
        while found:
            before = price
            for change in self._changes():
                other = change(best)
                if other != best and (cheaper := self.price(other)) < price:
                    best, price = other, cheaper
            found = price < before
        return best, price

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
