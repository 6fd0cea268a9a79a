"""From a compiled network to populations and projections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from sdt_lava.compiler.compile import CompiledNetwork
from sdt_lava.errors import CompileError
from sdt_lava.hardware.core_map.factors import as_grid, factor
from sdt_lava.hardware.core_map.relations import Blocks, Pattern, Relation, grid, window
from sdt_lava.hardware.core_map.wiring import Population, Projection, Wiring
from sdt_lava.hardware.targets import Target
from sdt_lava.ir import (
    Conv,
    CubaLif,
    Dense,
    Graph,
    Input,
    Lif,
    MaxRelay,
    Node,
    Signal,
    Sparse,
)


def read_wiring(compiled: CompiledNetwork, target: Target) -> Wiring:
    """Find the populations and projections of a compiled network.

    A matrix that the compiler wrote for a convolution is read as that convolution.

    Raises
    ------
    CompileError
        If the target does not have a kind of node.
    """
    graph = compiled.graph
    populations = {
        node.name: Population(
            node.name, node.kind, node.block, graph.shapes[node.name], isinstance(node, Input)
        )
        for node in graph
        if graph.signals[node.name] is not Signal.CURRENT
    }
    projections = []
    for reader in populations.values():
        for node in _connections(graph, reader):
            _check_kind(node, target)
            source = populations[node.inputs[0]]
            delay = compiled.schedule.delay.get(node.name, 0)
            projections.append(_PROJECT[type(node)](node, source, reader, delay))
        neurons = graph.nodes[reader.name]
        _check_kind(neurons, target)
        if isinstance(neurons, CubaLif) and neurons.weight_rec is not None:
            projections.append(_recurrent(reader))
    from_membranes = compiled.lowering.membranes and compiled.source.readout is not None
    output = None if from_membranes else compiled.output_name
    return Wiring(populations, tuple(projections), output)


def _recurrent(population: Population) -> Projection:
    """Return the connection of a population to itself: every neuron to every neuron."""
    channel = Blocks(population.channels, population.channels, 1)
    position = Blocks(population.positions, population.positions, 1)
    name = f"{population.name}.recurrent"
    return Projection(name, "dense", population, population, channel, position, False, 0, 0)


def _check_kind(node: Node, target: Target) -> None:
    # Neurons with parameters by channel are LIF neurons to a core.
    kind = Lif.kind if isinstance(node, CubaLif) and node.is_plain else node.kind
    if kind not in target.kinds or isinstance(node, MaxRelay):
        raise CompileError(
            f"node {node.name!r}",
            f"kind {node.kind}, which target {target.name!r} does not run",
            f"one of {list(target.kinds)}",
            "sdt-lava convert --pooling or|stride" if isinstance(node, MaxRelay) else "",
        )


def _connections(graph: Graph, reader: Population) -> list[Node]:
    """Return the connections into a population, with convolutions in place of their matrices."""
    connections: dict[object, Node] = {}
    for name in graph.nodes[reader.name].inputs:
        node = graph.nodes[name]
        convolution = node.convolution if isinstance(node, Sparse) else None
        if convolution is None:
            connections[name] = node
        else:
            # Matrices of several weight exponents are one convolution.
            whole = replace(convolution, name=name, inputs=node.inputs)
            connections.setdefault(id(convolution), whole)
    return list(connections.values())


def _conv_relations(
    node: Conv, source: tuple[int, ...], output: tuple[int, ...]
) -> tuple[Relation, Relation]:
    rows, columns = (
        window(
            source[axis + 1],
            output[axis + 1],
            node.weight.shape[axis + 2],
            node.stride[axis],
            node.padding[axis],
            node.dilation[axis],
        )
        for axis in (0, 1)
    )
    return Blocks(output[0], source[0], node.groups), grid(rows, columns)


def _project_conv(node: Conv, source: Population, reader: Population, delay: int) -> Projection:
    channel, position = _conv_relations(node, source.shape, reader.shape)
    kernel = int(node.weight[0].size)
    return Projection(node.name, "conv", source, reader, channel, position, False, kernel, delay)


def _project_dense(node: Dense, source: Population, reader: Population, delay: int) -> Projection:
    channel = Blocks(reader.channels, source.channels, 1)
    position = Blocks(reader.positions, source.positions, 1)
    return Projection(node.name, "dense", source, reader, channel, position, False, 0, delay)


def _project_sparse(node: Sparse, source: Population, reader: Population, delay: int) -> Projection:
    matrix = node.weight
    found = factor(matrix, (reader.channels, source.channels), (reader.positions, source.positions))
    if found is None:
        ones = np.ones(matrix.nnz, np.int64)
        pattern = Pattern(csr_matrix((ones, matrix.indices, matrix.indptr), shape=matrix.shape))
        trivial = Blocks(1, 1, 1)
        return Projection(node.name, "sparse", source, reader, trivial, pattern, True, 0, delay)
    channel, position = found
    position = as_grid(position, reader.grid, source.grid)
    return Projection(node.name, "sparse", source, reader, channel, position, False, 0, delay)


_PROJECT: dict[type[Node], Callable[[Any, Population, Population, int], Projection]] = {
    Conv: _project_conv,
    Dense: _project_dense,
    Sparse: _project_sparse,
}
