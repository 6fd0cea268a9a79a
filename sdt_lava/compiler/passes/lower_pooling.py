"""Pooling of spikes: a window of connections into a gate that fires on any spike."""

from __future__ import annotations

from scipy.sparse import csr_matrix

from sdt_lava.compiler.connections import pooling
from sdt_lava.ir import Gate, Graph, Node, OrPool, Sparse
from sdt_lava.ir.numerics import POOL_WEIGHT

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
    return or_gate(graph, node, pooling(node, shape, output, POOL_WEIGHT))


def or_gate(graph: Graph, node: Node, weight: csr_matrix) -> list[Node]:
    """Return a connection and a gate that fires on any spike that the connection brings.

    Parameters
    ----------
    graph : Graph
        Graph that the node belongs to.
    node : Node
        What is replaced; the gate takes its name.
    weight : csr_matrix
        Entries of `POOL_WEIGHT` where an input spike makes an output spike.
    """
    window = Sparse(
        name=f"{node.name}.window",
        inputs=node.inputs,
        block=node.block,
        origin=node.name,
        weight=weight,
        shape=graph.shapes[node.name],
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
