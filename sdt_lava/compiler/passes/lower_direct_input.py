"""An image that drives neurons directly: one synapse of weight 1 from each value to its neuron."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sdt_lava.compiler.connections import identity
from sdt_lava.graph import CubaLif, Graph, Node, Signal, Sparse


def lower_direct_input(graph: Graph) -> Graph:
    """Connect CUBA neurons that read events through identity matrices."""
    nodes: list[Node] = []
    for node in graph:
        if isinstance(node, CubaLif):
            sources = [_connect(graph, source, node, nodes) for source in node.inputs]
            nodes.append(replace(node, inputs=tuple(sources)))
        else:
            nodes.append(node)
    return graph.rebuild(nodes)


def _connect(graph: Graph, source: str, reader: CubaLif, nodes: list[Node]) -> str:
    """Return what the neurons read instead of a source, adding a connection if one is needed."""
    if graph.signals[source] is Signal.CURRENT:
        return source
    shape = graph.shapes[source]
    connection = Sparse(
        name=f"{source}->{reader.name}",
        inputs=(source,),
        block=reader.block,
        origin=source,
        weight=identity(int(np.prod(shape)), 1),
        shape=shape,
        role="shortcut",
    )
    nodes.append(connection)
    return connection.name
