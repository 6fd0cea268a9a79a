"""Lower neurons of netx files: add synapses to those that read events, and simplify to LIF."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sdt_lava.compiler.connections import identity
from sdt_lava.ir import CubaLif, Delta, Graph, Lif, Node, Signal, Sparse


def lower_cuba(graph: Graph) -> Graph:
    """Connect event-driven neurons through identity matrices, and simplify plain CUBA neurons."""
    nodes: list[Node] = []
    for node in graph:
        if isinstance(node, CubaLif):
            sources = [_connect(graph, source, node, nodes) for source in node.inputs]
            nodes.append(_simplified(replace(node, inputs=tuple(sources))))
        elif isinstance(node, Delta):
            sources = [_connect(graph, source, node, nodes) for source in node.inputs]
            nodes.append(replace(node, inputs=tuple(sources)))
        else:
            nodes.append(node)
    return graph.rebuild(nodes)


def _connect(graph: Graph, source: str, reader: CubaLif | Delta, nodes: list[Node]) -> str:
    """Return the current that the neurons read from a source, adding a connection if needed."""
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


def _simplified(node: CubaLif) -> CubaLif | Lif:
    """Return equivalent LIF neurons if there are any, otherwise the node itself."""
    fields = (node.threshold, node.voltage_decay, node.current_decay)
    values = [np.unique(field) for field in fields]
    if not node.is_plain or any(value.size > 1 for value in values):
        return node
    threshold, voltage_decay, current_decay = (int(value[0]) for value in values)
    return Lif(
        name=node.name,
        inputs=node.inputs,
        block=node.block,
        origin=node.origin,
        bias=node.bias,
        bias_exponent=node.bias_exponent,
        threshold=threshold,
        voltage_decay=voltage_decay,
        current_decay=current_decay,
    )
