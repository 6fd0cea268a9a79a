"""Neurons of netx: synapses for those that read an image, and plain CUBA ones as LIF neurons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sdt_lava.compiler.connections import identity
from sdt_lava.ir import CubaLif, Delta, Graph, Lif, Node, Signal, Sparse


def lower_cuba(graph: Graph) -> Graph:
    """Connect neurons that read events through identity matrices, and simplify plain CUBA ones."""
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


def _simplified(node: CubaLif) -> CubaLif | Lif:
    """Return LIF neurons if nothing tells these from them."""
    parameters = {
        name: np.unique(getattr(node, name))
        for name in ("threshold", "voltage_decay", "current_decay")
    }
    if not node.is_plain or any(values.size > 1 for values in parameters.values()):
        return node
    return Lif(
        name=node.name,
        inputs=node.inputs,
        block=node.block,
        origin=node.origin,
        bias=node.bias,
        bias_exponent=node.bias_exponent,
        **{name: int(values[0]) for name, values in parameters.items()},
    )
