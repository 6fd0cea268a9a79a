"""Split connections by weight exponent, since Lava's connections have one for all synapses.

A connection with different exponents of its output channels becomes several connections with the
same source and reader, each with the rows of its channels. The reader's dendrite sums them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from sdt_lava.compiler.connections import dense_rows
from sdt_lava.ir import Dense, Graph, Node, Sparse
from sdt_lava.ir.numerics import IntArray


def split_exponents(graph: Graph) -> Graph:
    """Replace every sparse or dense connection with several exponents by one per exponent.

    A convolution that was not unrolled keeps its exponents, one for each output channel.
    """
    parts: dict[str, list[Node]] = {
        node.name: _parts(graph, node)
        for node in graph
        if isinstance(node, Sparse | Dense) and np.ndim(node.exponent)
    }
    names = {name: [part.name for part in connections] for name, connections in parts.items()}
    nodes: list[Node] = []
    for node in graph:
        if node.name in parts:
            nodes.extend(parts[node.name])
        else:
            inputs = tuple(name for source in node.inputs for name in names.get(source, [source]))
            nodes.append(replace(node, inputs=inputs))
    return graph.rebuild(nodes)


def _parts(graph: Graph, node: Sparse | Dense) -> list[Node]:
    shape = graph.shapes[node.name]
    exponents = np.asarray(node.exponent, np.int64)
    distinct = np.unique(exponents).tolist()
    if len(distinct) == 1:
        return [replace(node, exponent=distinct[0])]
    row_exponents = np.repeat(exponents, int(np.prod(shape)) // len(exponents))
    role = node.role if isinstance(node, Sparse) else "synapse"
    return [
        Sparse(
            name=f"{node.name}.e{exponent}",
            inputs=node.inputs,
            block=node.block,
            origin=node.origin or node.name,
            weight=_rows(node, np.flatnonzero(row_exponents == exponent)),
            shape=shape,
            role=role,
            exponent=exponent,
            convolution=node.convolution if isinstance(node, Sparse) else None,
        )
        for exponent in distinct
    ]


def _rows(node: Sparse | Dense, rows: IntArray) -> csr_matrix:
    """Return a matrix of full shape with the synapses of the given rows, including zero weights."""
    if isinstance(node, Dense):
        return dense_rows(np.asarray(node.weight), rows)
    weight = node.weight
    lengths = np.zeros(weight.shape[0], np.int64)
    lengths[rows] = np.diff(weight.indptr)[rows]
    in_rows = np.repeat(lengths > 0, np.diff(weight.indptr))
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    return csr_matrix((weight.data[in_rows], weight.indices[in_rows], pointers), shape=weight.shape)
