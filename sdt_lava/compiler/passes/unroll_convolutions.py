"""Unroll convolutions to sparse matrices if they are small enough.

Lava's CPU model of a sparse connection is much faster than its model of a convolution, and only
sparse connections support delays. On Loihi 2, a convolution shares its weights, so it can stay a
convolution on request.
"""

from __future__ import annotations

from collections.abc import Collection

from scipy.sparse import csr_matrix

from sdt_lava.compiler.connections import convolution
from sdt_lava.ir import Conv, Graph, Node, Sparse


def unroll_convolutions(graph: Graph, names: Collection[str]) -> Graph:
    """Replace the named convolutions by sparse connections."""
    nodes: list[Node] = []
    matrices: dict[tuple[object, ...], csr_matrix] = {}
    for node in graph:
        if isinstance(node, Conv) and node.name in names:
            shape, output = graph.shapes[node.inputs[0]], graph.shapes[node.name]
            # The copies of a convolution in an unrolled stream share one matrix.
            window = node.stride, node.padding, node.dilation, node.groups
            key = (id(node.weight), *window, shape)
            if key not in matrices:
                matrices[key] = convolution(node, shape, output)
            nodes.append(
                Sparse(
                    name=node.name,
                    inputs=node.inputs,
                    block=node.block,
                    origin=node.origin or node.name,
                    weight=matrices[key],
                    shape=output,
                    role="synapse",
                    exponent=node.exponent,
                    convolution=node,
                )
            )
        else:
            nodes.append(node)
    return graph.rebuild(nodes)


def unrolled_synapses(graph: Graph, node: Conv) -> int:
    """Return an upper bound on the synapses of a convolution without weight sharing."""
    _, out_h, out_w = graph.shapes[node.name]
    return int(node.weight.size) * out_h * out_w
