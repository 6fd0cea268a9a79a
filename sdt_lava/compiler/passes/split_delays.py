"""Split delays that are too long for the hardware over populations that forward events.

A population with readers that need too long a delay gets a chain of populations: gates for spikes,
relays for graded spikes. Each is as many steps later as a connection can be delayed. All
connections with long delays read the same chain, each from the last population that is early
enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sdt_lava.compiler.connections import identity
from sdt_lava.compiler.passes.lower_pooling import POOL_THRESHOLD
from sdt_lava.compiler.schedule import Schedule, make_schedule
from sdt_lava.ir import Gate, Graph, Input, Node, Relay, Signal, Sparse
from sdt_lava.ir.numerics import POOL_WEIGHT


@dataclass(frozen=True)
class DelaySplit:
    """A split delay of a connection.

    Parameters
    ----------
    connection, source, reader : str
        Connection, and the populations that it joins.
    delay : int
        Total delay in steps.
    through : tuple of str
        Populations that forward the events.
    kind : str
        Kind of these populations: 'gate' or 'relay'.
    """

    connection: str
    source: str
    reader: str
    delay: int
    through: tuple[str, ...]
    kind: str

    def __str__(self) -> str:
        kinds = f"{len(self.through)} {self.kind}{'s' * (len(self.through) > 1)}"
        return (
            f"{self.connection}: a delay of {self.delay} steps is split over {kinds}: "
            f"{', '.join(self.through)}"
        )


@dataclass(frozen=True, eq=False)
class Balanced:
    """A lowered graph with its schedule.

    Parameters
    ----------
    graph : Graph
        Graph with a chain of populations for each delay that was too long.
    schedule : Schedule
        Schedule of the graph.
    splits : tuple of DelaySplit
        Delays that were split.
    least : mapping of str to int
        Delays of the connections within the chains, which every other schedule must keep.
    """

    graph: Graph
    schedule: Schedule
    splits: tuple[DelaySplit, ...]
    least: Mapping[str, int]


def balance(
    graph: Graph, longest: int | None, timed: Callable[..., Schedule] = make_schedule
) -> Balanced:
    """Schedule a lowered graph and split delays that are too long.

    Parameters
    ----------
    graph : Graph
        Lowered graph.
    longest : int or None
        Longest delay of a connection in steps; None if there is no limit.
    timed : callable
        Function that makes a schedule, as :func:`sdt_lava.compiler.schedule.make_schedule`.
    """
    schedule = timed(graph)
    if longest is None or max(schedule.delay.values(), default=0) <= longest:
        return Balanced(graph, schedule, (), {})
    split, splits, least = split_delays(graph, schedule, longest)
    return Balanced(split, timed(split, least=least), splits, least)


def split_delays(
    graph: Graph, schedule: Schedule, longest: int
) -> tuple[Graph, tuple[DelaySplit, ...], dict[str, int]]:
    """Split all delays that exceed the longest one of the hardware.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    schedule : Schedule
        Schedule of the graph.
    longest : int
        Longest delay of a connection in steps.

    Returns
    -------
    graph : Graph
        Graph with the chains.
    splits : tuple of DelaySplit
        Delays that were split.
    least : dict of str to int
        Delays of the connections within the chains, which the schedule must keep.
    """
    chains = _Chains(graph, longest)
    nodes: list[Node] = []
    splits: list[DelaySplit] = []
    for node in graph:
        delay = schedule.delay.get(node.name, 0)
        if delay > longest:
            through = chains.populations(node, delay // (longest + 1))
            (reader,) = graph.consumers[node.name]
            kind = chains.kind(node.inputs[0])
            splits.append(DelaySplit(node.name, node.inputs[0], reader, delay, through, kind.kind))
            node = replace(node, inputs=(through[-1],))
        nodes.append(node)
    return graph.rebuild(chains.placed(nodes)), tuple(splits), chains.least


class _Chains:
    def __init__(self, graph: Graph, longest: int) -> None:
        self.graph, self.longest = graph, longest
        self.least: dict[str, int] = {}
        self._made: dict[str, list[Node]] = {}
        self._names: dict[str, list[str]] = {}

    def kind(self, source: str) -> type[Gate] | type[Relay]:
        return Gate if self.graph.signals[source] is Signal.SPIKE else Relay

    def populations(self, connection: Node, count: int) -> tuple[str, ...]:
        """Return the first populations of a source's chain, extending the chain if needed."""
        source = connection.inputs[0]
        names = self._names.setdefault(source, [])
        while len(names) < count:
            self._extend(source, connection.block)
        return tuple(names[:count])

    def _extend(self, source: str, reader_block: str) -> None:
        names = self._names[source]
        node, shape = self.graph.nodes[source], self.graph.shapes[source]
        block = reader_block if isinstance(node, Input) else node.block
        previous, name = (names or [source])[-1], f"{source}.later{len(names) + 1}"
        is_gate = self.kind(source) is Gate
        link = Sparse(
            name=f"{previous}->{name}",
            inputs=(previous,),
            block=block,
            origin=source,
            weight=identity(int(np.prod(shape)), POOL_WEIGHT if is_gate else 1),
            shape=shape,
            role="shortcut",
        )
        relay = Relay(name=name, inputs=(link.name,), block=block, origin=source)
        gate = Gate(
            name=name, inputs=(link.name,), block=block, origin=source, threshold=POOL_THRESHOLD
        )
        self._made.setdefault(source, []).extend([link, gate if is_gate else relay])
        names.append(name)
        self.least[link.name] = self.longest

    def placed(self, nodes: list[Node]) -> list[Node]:
        """Return all nodes, with the chains after their sources."""
        return [result for node in nodes for result in (node, *self._made.get(node.name, ()))]
