"""Nodes one by one: what a kind becomes that is neither a population nor a connection."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from sdt_lava.ir import Graph, Node

# From the graph and a node of it to the nodes that take its place; the last has its name.
Lower = Callable[[Graph, Any], list[Node]]

_LOWERED: dict[type[Node], Lower] = {}


def lowers(kind: type[Node]) -> Callable[[Lower], Lower]:
    """Register what a kind of node becomes: existing kinds that compute the same."""

    def register(function: Lower) -> Lower:
        _LOWERED[kind] = function
        return function

    return register


def lower_kinds(graph: Graph, kinds: Collection[type[Node]] | None = None) -> Graph:
    """Replace every node of some kinds.

    Parameters
    ----------
    graph : Graph
        Any graph.
    kinds : collection of type, optional
        By default all that are registered.
    """
    chosen = _LOWERED if kinds is None else {kind: _LOWERED[kind] for kind in kinds}
    nodes: list[Node] = []
    for node in graph:
        lower = chosen.get(type(node))
        nodes.extend([node] if lower is None else lower(graph, node))
    return graph.rebuild(nodes)
