"""Lower windows of spikes, as in pools and dilations, to connections and OR gates."""

from __future__ import annotations

from sdt_lava.compiler.passes.lower_kinds import lower_kinds, lowers
from sdt_lava.ir import Gate, Graph, Node, OrPool, Sparse, TokenDilate
from sdt_lava.ir.numerics import POOL_WEIGHT

# The sum of any number of spikes exceeds 1.
POOL_THRESHOLD = 1


def lower_pooling(graph: Graph) -> Graph:
    """Replace every OrPool and TokenDilate by a connection and a gate."""
    return lower_kinds(graph, (OrPool, TokenDilate))


@lowers(OrPool)
@lowers(TokenDilate)
def or_gate(graph: Graph, node: Node) -> list[Node]:
    """Return a connection and a gate that fires on any spike from the connection."""
    return counting_gate(graph, node, POOL_THRESHOLD)


def counting_gate(graph: Graph, node: Node, threshold: int) -> list[Node]:
    """Return a connection and a gate that replaces a node.

    Parameters
    ----------
    graph : Graph
        Graph of the node.
    node : Node
        Node to replace. The gate takes its name, and the connection joins the same pairs.
    threshold : int
        Threshold that the sum of spikes, `POOL_WEIGHT` each, must exceed for the gate to fire.
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
