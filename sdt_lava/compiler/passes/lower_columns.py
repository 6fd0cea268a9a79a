"""Lower SDSA columns that are a plain OR to circuits with fewer neurons or without memory.

The circuits compute ``mask = q AND (any token of k AND v)``:

* ``and``, which `lower_attention` makes: gates for k AND v, the column's LIF, gates for the mask;
* ``column-gate``: the column's neurons are gates, and a dilation is fused into their synapses;
* ``columnless``: there is no column, and the mask's gates read q and all gates of their column;
* ``single-gate``: for a single token, one gate computes q AND k AND v.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_matrix

from sdt_lava.compiler.columns import (
    AND,
    COLUMN_GATE,
    COLUMN_SPIKE,
    COLUMNLESS,
    SINGLE_GATE,
    Column,
    MaskWeights,
    column_fan_in,
    find_columns,
)
from sdt_lava.compiler.connections import identity, token_broadcast, token_sum
from sdt_lava.compiler.passes.lower_attention import AND_WEIGHT
from sdt_lava.ir import Gate, Graph, Node, Shape, Sparse, TokenDilate


@dataclass
class _Change:
    replaced: dict[str, list[Node]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)


def lower_columns(graph: Graph, ways: Mapping[str, str] | None = None) -> Graph:
    """Replace columns, and the nodes that only they need, by the chosen circuits.

    Parameters
    ----------
    graph : Graph
        Integer graph before its masks and dilations are lowered.
    ways : mapping of str to str, optional
        Lowering of each column, as returned by :func:`sdt_lava.compiler.columns.sdsa_ways`. By
        default, no column is replaced.
    """
    change, columns = _Change(), find_columns(graph)
    for name, way in (ways or {}).items():
        if way != AND:
            _LOWER[way](graph, columns[name], change)
    nodes: list[Node] = []
    for node in graph:
        if node.name not in change.removed:
            nodes.extend(change.replaced.get(node.name, [node]))
    return graph.rebuild(nodes)


def _column_gate(graph: Graph, column: Column, change: _Change) -> None:
    lif, total = column.lif, column.total
    gate = _gate(lif, (total.name,), int(lif.threshold))
    change.replaced[lif.name] = [gate]
    if column.dilation is not None:
        change.removed.add(column.dilation.name)
        synapses = _from_column(graph, column, total.weight, to_tokens=False)
        fused = _connection(graph, lif, column.source, synapses)
        change.replaced[total.name] = [replace(fused, name=total.name, role="token_sum")]


def _columnless(graph: Graph, column: Column, change: _Change) -> None:
    _remove_column(column, change)
    weights = MaskWeights.of(column_fan_in(graph, column))
    synapses = _from_column(graph, column, COLUMN_SPIKE, to_tokens=True)
    for reader in column.readers:
        one_to_one = identity(int(np.prod(graph.shapes[reader.name])), weights.mantissa)
        query = _connection(graph, reader, reader.inputs[0], one_to_one)
        parts = (
            replace(query, name=f"{reader.name}.query", exponent=weights.exponent),
            replace(
                _connection(graph, reader, column.source, synapses), name=f"{reader.name}.column"
            ),
        )
        gate = _gate(reader, tuple(part.name for part in parts), weights.threshold)
        change.replaced[reader.name] = [*parts, gate]


def _single_gate(graph: Graph, column: Column, change: _Change) -> None:
    _remove_column(column, change)
    change.removed.add(column.source)
    for reader in column.readers:
        spikes = (reader.inputs[0], *graph.nodes[column.source].inputs)
        synapses = identity(int(np.prod(graph.shapes[reader.name])), AND_WEIGHT)
        parts = [
            replace(_connection(graph, reader, source, synapses), name=f"{reader.name}.{part}")
            for part, source in zip(("query", "key", "value"), spikes, strict=True)
        ]
        # Three spikes exceed the threshold, two do not.
        gate = _gate(reader, tuple(part.name for part in parts), AND_WEIGHT * len(parts) - 1)
        change.replaced[reader.name] = [*parts, gate]


_LOWER: dict[str, Callable[[Graph, Column, _Change], None]] = {
    COLUMN_GATE: _column_gate,
    COLUMNLESS: _columnless,
    SINGLE_GATE: _single_gate,
}


def _remove_column(column: Column, change: _Change) -> None:
    change.removed |= {column.lif.name, column.total.name}
    if column.dilation is not None:
        change.removed.add(column.dilation.name)


def _from_column(graph: Graph, column: Column, weight: int, *, to_tokens: bool) -> csr_matrix:
    """Connect all tokens of a column, with any dilation, to its neuron or to all of its tokens."""
    shape = graph.shapes[column.source]
    matrix = token_sum(shape, weight)
    if column.dilation is not None:
        matrix = _near(column.dilation, shape) @ matrix
    return token_broadcast(shape, 1) @ matrix if to_tokens else matrix


def _near(dilation: TokenDilate, shape: Shape) -> csr_matrix:
    """Connect each channel to the channels that a dilation joins to it."""
    channels = np.arange(shape[0])
    return dilation.relation([shape]).channel.counts(channels, shape[0]).astype(np.int32)


def _connection(graph: Graph, reader: Node, source: str, weight: csr_matrix) -> Sparse:
    return Sparse(
        name=f"{source}->{reader.name}",
        inputs=(source,),
        block=reader.block,
        origin=reader.name,
        weight=weight,
        shape=graph.shapes[reader.name],
        role="mask",
    )


def _gate(node: Node, inputs: tuple[str, ...], threshold: int) -> Gate:
    return Gate(
        name=node.name, inputs=inputs, block=node.block, origin=node.name, threshold=threshold
    )
