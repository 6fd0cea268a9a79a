"""SDSA on standard processes: AND gates, column sums and masks become weighted connections."""

from __future__ import annotations

import numpy as np

from sdt_lava.compiler.connections import identity, token_broadcast, token_sum
from sdt_lava.ir import And, Gate, Graph, Node, Sparse, TokenSum

# Two spikes of weight 2 sum to 4, one to 2: a threshold of 3 separates them. The sums stay far
# below 64, so the 1/4096 of v that a gate's decay leaves behind is always 0.
AND_WEIGHT = 2
AND_THRESHOLD = 3


def lower_attention(graph: Graph) -> Graph:
    """Replace every And by connections and a gate, every TokenSum by a connection."""
    nodes: list[Node] = []
    for node in graph:
        if isinstance(node, And):
            nodes.extend(lower_and(graph, node))
        elif isinstance(node, TokenSum):
            nodes.append(_lower_token_sum(graph, node))
        else:
            nodes.append(node)
    return graph.rebuild(nodes)


def lower_and(graph: Graph, node: And) -> list[Node]:
    """Return the connections and the gate of an And."""
    shape = graph.shapes[node.name]
    connections: list[Node] = []
    for operand, source in zip(("left", "right"), node.inputs, strict=True):
        per_channel = graph.shapes[source] != shape
        weight = (
            token_broadcast(shape, AND_WEIGHT)
            if per_channel
            else identity(int(np.prod(shape)), AND_WEIGHT)
        )
        connections.append(
            Sparse(
                name=f"{node.name}.{operand}",
                inputs=(source,),
                block=node.block,
                origin=node.name,
                weight=weight,
                shape=shape,
                role="mask",
            )
        )
    gate = Gate(
        name=node.name,
        inputs=tuple(connection.name for connection in connections),
        block=node.block,
        origin=node.name,
        threshold=AND_THRESHOLD,
    )
    return [*connections, gate]


def _lower_token_sum(graph: Graph, node: TokenSum) -> Sparse:
    shape = graph.shapes[node.inputs[0]]
    return Sparse(
        name=node.name,
        inputs=node.inputs,
        block=node.block,
        origin=node.name,
        weight=token_sum(shape, node.weight),
        shape=graph.shapes[node.name],
        role="token_sum",
    )
