"""Dilation of spikes over tokens and channels: connections into a gate that fires on any spike."""

from __future__ import annotations

from sdt_lava.compiler.connections import token_dilation
from sdt_lava.compiler.passes.lower_pooling import POOL_THRESHOLD, POOL_WEIGHT
from sdt_lava.graph import Gate, Graph, Node, Sparse, TokenDilate


def lower_dilation(graph: Graph) -> Graph:
    """Replace every TokenDilate by a connection and a gate."""
    nodes: list[Node] = []
    for node in graph:
        nodes.extend(_lower(graph, node) if isinstance(node, TokenDilate) else [node])
    return graph.rebuild(nodes)


def _lower(graph: Graph, node: TokenDilate) -> list[Node]:
    shape = graph.shapes[node.name]
    window = Sparse(
        name=f"{node.name}.window",
        inputs=node.inputs,
        block=node.block,
        origin=node.name,
        weight=token_dilation(shape, node.heads, POOL_WEIGHT),
        shape=shape,
        role="pool",
    )
    gate = Gate(
        name=node.name,
        inputs=(window.name,),
        block=node.block,
        origin=node.name,
        threshold=POOL_THRESHOLD,
    )
    return [window, gate]
