"""Pooling of spikes: a window of connections into a gate that fires on any spike."""

from __future__ import annotations

from sdt_lava.compiler.connections import pooling
from sdt_lava.graph import Gate, Graph, Node, OrPool, Sparse

POOL_WEIGHT = 2
# Any sum of at least one spike exceeds 1.
POOL_THRESHOLD = 1


def lower_pooling(graph: Graph) -> Graph:
    """Replace every OrPool by a connection and a gate."""
    nodes: list[Node] = []
    for node in graph:
        nodes.extend(_lower(graph, node) if isinstance(node, OrPool) else [node])
    return graph.rebuild(nodes)


def _lower(graph: Graph, node: OrPool) -> list[Node]:
    shape, output = graph.shapes[node.inputs[0]], graph.shapes[node.name]
    window = Sparse(
        name=f"{node.name}.window",
        inputs=node.inputs,
        block=node.block,
        origin=node.name,
        weight=pooling(node, shape, output, POOL_WEIGHT),
        shape=output,
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
