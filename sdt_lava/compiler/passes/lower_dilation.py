"""Dilation of spikes over tokens and channels: connections into a gate that fires on any spike."""

from __future__ import annotations

from sdt_lava.compiler.connections import token_dilation
from sdt_lava.compiler.passes.lower_pooling import or_gate
from sdt_lava.ir import Graph, Node, TokenDilate
from sdt_lava.ir.numerics import POOL_WEIGHT


def lower_dilation(graph: Graph) -> Graph:
    """Replace every TokenDilate by a connection and a gate."""
    nodes: list[Node] = []
    for node in graph:
        nodes.extend(_lower(graph, node) if isinstance(node, TokenDilate) else [node])
    return graph.rebuild(nodes)


def _lower(graph: Graph, node: TokenDilate) -> list[Node]:
    weight = token_dilation(graph.shapes[node.name], node.heads, POOL_WEIGHT)
    return or_gate(graph, node, weight)
