"""Lower nodes of single kinds that are neither populations nor connections."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from sdt_lava.ir import Graph, Node

# Function of a graph and a node that returns the replacing nodes, the last with the node's name.
Lower = Callable[[Graph, Any], list[Node]]

_LOWERED: dict[type[Node], Lower] = {}


def lowers(kind: type[Node]) -> Callable[[Lower], Lower]:
    """Register the lowering of a kind of node to other kinds that compute the same."""

    def register(function: Lower) -> Lower:
        _LOWERED[kind] = function
        return function

    return register


def lower_kinds(graph: Graph, kinds: Collection[type[Node]] | None = None) -> Graph:
    """Replace every node of the given kinds.

    Parameters
    ----------
    graph : Graph
        Any graph.
    kinds : collection of type, optional
        Kinds to replace; by default all registered kinds.
    """
    lowered_kinds = _LOWERED if kinds is None else {kind: _LOWERED[kind] for kind in kinds}
    nodes: list[Node] = []
    for node in graph:
        lower = lowered_kinds.get(type(node))
        nodes.extend([node] if lower is None else lower(graph, node))
    return graph.rebuild(nodes)
