"""Windows of spikes, as of pools and dilations: connections into a gate that fires on any spike."""

from __future__ import annotations

from sdt_lava.compiler.passes.lower_kinds import lower_kinds, lowers
from sdt_lava.ir import Gate, Graph, Node, OrPool, Sparse, TokenDilate
from sdt_lava.ir.numerics import POOL_WEIGHT

# Any sum of at least one spike exceeds 1.
POOL_THRESHOLD = 1


def lower_pooling(graph: Graph) -> Graph:
    """Replace every OrPool and TokenDilate by a connection and a gate."""
    return lower_kinds(graph, (OrPool, TokenDilate))


@lowers(OrPool)
@lowers(TokenDilate)
def or_gate(graph: Graph, node: Node) -> list[Node]:
    """Return a connection and a gate that fires on any spike that the connection brings."""
    return counting_gate(graph, node, POOL_THRESHOLD)


def counting_gate(graph: Graph, node: Node, threshold: int) -> list[Node]:
    """Return a connection and a gate that takes the place of a node.

    Parameters
    ----------
    graph : Graph
        Graph that the node belongs to.
    node : Node
        What is replaced; the gate takes its name, and the connection joins what the node joins.
    threshold : int
        The gate fires where the sum of its spikes, `POOL_WEIGHT` each, exceeds it.
    """
    shapes = [graph.shapes[name] for name in node.inputs]
    window = Sparse(
        name=f"{node.name}.window",
        inputs=node.inputs,
        block=node.block,
        origin=node.name,
        weight=node.relation(shapes).matrix(POOL_WEIGHT),
        shape=graph.shapes[node.name],
        role="pool",
    )
    gate = Gate(
        name=node.name,
        inputs=(window.name,),
        block=node.block,
        origin=node.name,
        threshold=threshold,
    )
    return [window, gate]
