"""Lower SDSA to standard processes: AND gates, token sums and masks become weighted connections."""

from __future__ import annotations

from sdt_lava.compiler.passes.lower_kinds import lower_kinds, lowers
from sdt_lava.ir import And, Gate, Graph, Node, Sparse, TokenSum

# Two spikes of weight 2 sum to 4 and one to 2, so a threshold of 3 separates them. The sums stay
# far below 64, so the 1/4096 of v that remains after a gate's decay is always 0.
AND_WEIGHT = 2
AND_THRESHOLD = 3


def lower_attention(graph: Graph) -> Graph:
    """Replace every And by connections and a gate, and every TokenSum by a connection."""
    return lower_kinds(graph, (And, TokenSum))


@lowers(And)
def lower_and(graph: Graph, node: And) -> list[Node]:
    """Return the connections and the gate that replace an And."""
    shape = graph.shapes[node.name]
    shapes = [graph.shapes[source] for source in node.inputs]
    connections: list[Node] = [
        Sparse(
            name=f"{node.name}.{side}",
            inputs=(node.inputs[operand],),
            block=node.block,
            origin=node.name,
            weight=node.relation(shapes, operand).matrix(AND_WEIGHT),
            shape=shape,
            role="mask",
        )
        for operand, side in enumerate(("left", "right"))
    ]
    gate = Gate(
        name=node.name,
        inputs=tuple(connection.name for connection in connections),
        block=node.block,
        origin=node.name,
        threshold=AND_THRESHOLD,
    )
    return [*connections, gate]


@lowers(TokenSum)
def lower_token_sum(graph: Graph, node: TokenSum) -> list[Node]:
    """Return the connection that replaces a TokenSum."""
    sums = Sparse(
        name=node.name,
        inputs=node.inputs,
        block=node.block,
        origin=node.name,
        weight=node.relation([graph.shapes[node.inputs[0]]]).matrix(node.weight),
        shape=graph.shapes[node.name],
        role="token_sum",
    )
    return [sums]
