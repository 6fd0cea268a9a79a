"""Read the populations and projections of a compiled network."""

from __future__ import annotations

from dataclasses import replace

from sdt_lava.compiler.compile import CompiledNetwork
from sdt_lava.errors import CompileError
from sdt_lava.hardware.core_map.factors import as_grid, factor
from sdt_lava.hardware.core_map.wiring import Population, Projection, Wiring
from sdt_lava.hardware.targets import Target
from sdt_lava.ir import (
    Conv,
    Graph,
    Input,
    Lif,
    MaxRelay,
    Node,
    Signal,
    Sparse,
    SpikingNeurons,
)
from sdt_lava.ir.relations import Blocks


def read_wiring(compiled: CompiledNetwork, target: Target) -> Wiring:
    """Return the populations and projections of a compiled network.

    A matrix into which the compiler unrolled a convolution is read as that convolution.

    Raises
    ------
    CompileError
        If the target does not support a kind of node.
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
            projections.append(_project(node, source, reader, delay))
        neurons = graph.nodes[reader.name]
        _check_kind(neurons, target)
        if isinstance(neurons, SpikingNeurons) and neurons.weight_rec is not None:
            projections.append(_recurrent(reader))
    from_membranes = compiled.lowering.membranes and compiled.source.readout is not None
    output = None if from_membranes else compiled.output_name
    return Wiring(populations, tuple(projections), output)


def _recurrent(population: Population) -> Projection:
    """Return the recurrent projection, which joins every neuron to every neuron."""
    channel = Blocks(population.channels, population.channels, 1)
    position = Blocks(population.positions, population.positions, 1)
    name = f"{population.name}.recurrent"
    return Projection(name, "dense", population, population, channel, position, False, 0, 0)


def _check_kind(node: Node, target: Target) -> None:
    # For a core, neurons with per-channel parameters are LIF neurons.
    kind = Lif.kind if isinstance(node, SpikingNeurons) and node.is_plain else node.kind
    if kind not in target.kinds or isinstance(node, MaxRelay):
        raise CompileError(
            f"node {node.name!r}",
            f"kind {node.kind}, which target {target.name!r} does not run",
            f"one of {list(target.kinds)}",
            "sdt-lava convert --pooling or|stride" if isinstance(node, MaxRelay) else "",
        )


def _connections(graph: Graph, reader: Population) -> list[Node]:
    """Return the connections into a population, with convolutions instead of their matrices."""
    connections: dict[object, Node] = {}
    for name in graph.nodes[reader.name].inputs:
        node = graph.nodes[name]
        convolution = node.convolution if isinstance(node, Sparse) else None
        if convolution is None:
            connections[name] = node
        else:
            # Matrices with different weight exponents belong to one convolution.
            whole = replace(convolution, name=name, inputs=node.inputs)
            connections.setdefault(id(convolution), whole)
    return list(connections.values())


def _project(node: Node, source: Population, reader: Population, delay: int) -> Projection:
    joined = node.relation([source.shape])
    channel, position = joined.channel, joined.position
    if isinstance(node, Sparse):
        outer, inner = (reader.channels, source.channels), (reader.positions, source.positions)
        factors = factor(node.weight, outer, inner)
        if factors is None:
            return Projection(
                node.name, node.kind, source, reader, channel, position, True, 0, delay
            )
        channel, position = factors[0], as_grid(factors[1], reader.grid, source.grid)
    kernel = int(node.weight[0].size) if isinstance(node, Conv) else 0
    return Projection(node.name, node.kind, source, reader, channel, position, False, kernel, delay)
