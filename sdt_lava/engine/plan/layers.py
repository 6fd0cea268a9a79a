"""Lower nodes with weights or neurons: layers, shortcuts and populations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sdt_lava.engine.layout import INT32, LANES, Layout
from sdt_lava.engine.plan.buffers import Buffer, Spikes
from sdt_lava.engine.plan.choice import own_kernels, with_dense
from sdt_lava.engine.plan.compile import Compiler, lowers
from sdt_lava.engine.plan.neurons import Neurons, side_by_side
from sdt_lava.engine.plan.signals import CurrentOperation
from sdt_lava.engine.plan.synaptic import SynapticOperation
from sdt_lava.engine.plan.targets import Targets
from sdt_lava.engine.synapses import Synapses, joined, synapses_of
from sdt_lava.ir import (
    Conv,
    CubaLif,
    Dense,
    Flatten,
    Input,
    Lif,
    Node,
    Readout,
    Shortcut,
    Signal,
    SpikingNeurons,
)
from sdt_lava.support.allocation import current_guard

Weighted = Conv | Dense | Readout


@lowers(Input)
def _input(compiler: Compiler, node: Input) -> bool:
    layout = compiler.layout(node.name) or Layout(1, 1, 1, node.shape)
    # The run provides the tensor if a node reads it; frames and spikes enter at their readers.
    compiler.tensors[node.name] = Buffer(f"{node.name} (tensor)", layout, "tensor")
    return True


@lowers(Flatten)
def _flatten(compiler: Compiler, node: Flatten) -> bool:
    """Omit a flatten if dense layers can read the image directly."""
    readers = [compiler.graph.nodes[name] for name in compiler.graph.consumers[node.name]]
    image = compiler.layout(node.inputs[0]) is not None
    plain = all(isinstance(reader, Dense) for reader in readers)
    return bool(readers) and plain and image and node.name not in compiler.keep


@lowers(Conv)
@lowers(Dense)
@lowers(Readout)
def _weighted(compiler: Compiler, node: Weighted) -> bool:
    prepared = _prepare(compiler, node)
    if prepared is None:
        return False
    source, synapses = prepared
    siblings = _siblings(compiler, node, synapses)
    if len(siblings) > 1:
        return _side_by_side(compiler, siblings, source)
    nodes, targets = _follow(compiler, node.name, synapses.target)
    return _add_layer(compiler, nodes, synapses, source, targets)


def _prepare(compiler: Compiler, node: Weighted) -> tuple[Spikes | Buffer, Synapses] | None:
    """Return a layer's input and synapses, or None if its sums do not fit 32 bits."""
    name = node.inputs[0]
    while isinstance(compiler.graph.nodes[name], Flatten) and name not in compiler.tensors:
        name = compiler.graph.nodes[name].inputs[0]
    source_layout, target = compiler.layout(name), compiler.layout(node.name)
    if source_layout is None or target is None or compiler.reach(node.name) >= INT32:
        return None
    source: Spikes | Buffer | None
    if compiler.graph.signals[name] is Signal.SPIKE:
        source = compiler.read_spikes(name)
    elif isinstance(compiler.graph.nodes[name], Input):
        source = compiler.read_frames(name, source_layout)
    else:
        return None
    synapses = synapses_of(node, source_layout, target, compiler.range(name))
    if source is None or synapses.bound << max(int(synapses.shift.max(initial=0)), 0) >= INT32:
        return None
    return source, synapses


def _add_layer(
    compiler: Compiler, nodes: list[str], synapses: Synapses, source: Spikes | Buffer,
    targets: Targets,
) -> bool:  # fmt: skip
    key_options = compiler.kernels, targets.halves, isinstance(source, Spikes), compiler.refused
    layers = [name for name in nodes if isinstance(compiler.graph.nodes[name], Weighted)]
    # The order of a dense layer's weights depends on whether it reads an image or its flat vector.
    shapes = synapses.source, synapses.target, synapses.window, synapses.events
    key = (*layers, *key_options, *shapes, current_guard())
    # Plans with and without torch share tables.
    compiled = compiler.once(("own kernels", *key), lambda: own_kernels(synapses, *key_options))
    candidates = compiler.once(
        ("kernels", *key, compiler.with_torch),
        lambda: compiled
        if not compiler.with_torch
        else with_dense(compiled, nodes[0], compiler.kernels),
    )
    busy, quiet, rate = compiler.room.choose(candidates)
    return compiler.add(SynapticOperation(tuple(nodes), source, targets, busy, quiet, rate))


def _reading_neurons(compiler: Compiler, name: str, layout: Layout) -> tuple[str, Neurons] | None:
    """Return the first population that reads only this current and has a kernel, if any."""
    for reader in compiler.graph.consumers[name]:
        node = compiler.graph.nodes[reader]
        if node.inputs == (name,) and (neurons := compiler.neurons(node, layout)):
            return reader, neurons
    return None


def _follow(compiler: Compiler, name: str, layout: Layout) -> tuple[list[str], Targets]:
    """Return the nodes that are fused with a current, and their targets."""
    graph, nodes = compiler.graph, [name]
    stream, population = None, None
    joint = _joining(compiler, name)
    if joint is not None:
        stream = compiler.read_current(joint.other)
        nodes.append(joint.reader)
        if joint.neurons is None:
            name = joint.reader
        else:
            population = joint.reader, joint.neurons
    if population is None and (population := _reading_neurons(compiler, name, layout)):
        nodes.append(population[0])
    others = [
        reader for reader in graph.consumers[name] if population is None or reader != population[0]
    ]
    stores = bool(others) or population is None or name in compiler.keep
    return nodes, Targets(
        layout=layout,
        stream=stream,
        current=compiler.write_current(name, layout) if stores else None,
        spikes=compiler.write_spikes(population[0], layout) if population else None,
        neurons=population[1] if population else None,
    )


@dataclass(frozen=True)
class _Joint:
    """Node that adds a current to another one: a shortcut or neurons with two inputs."""

    reader: str
    other: str
    neurons: Neurons | None


def _joining(compiler: Compiler, name: str) -> _Joint | None:
    readers = compiler.graph.consumers[name]
    if name in compiler.keep or len(readers) != 1:
        return None
    node = compiler.graph.nodes[readers[0]]
    if not isinstance(node, Shortcut | SpikingNeurons) or len(node.inputs) != 2:
        return None
    other = next(source for source in node.inputs if source != name)
    layout = compiler.layout(name)
    available = other in compiler.done and compiler.read_current(other) is not None
    if not available or layout is None or compiler.layout(other) != layout:
        return None
    if isinstance(node, Shortcut):
        return _Joint(node.name, other, None) if compiler.reach(node.name) < INT32 else None
    neurons = compiler.neurons(node, layout)
    return _Joint(node.name, other, neurons) if neurons else None


def _siblings(compiler: Compiler, node: Weighted, synapses: Synapses) -> list[Conv]:
    """Return the layers that read the same spikes with equal windows and end in neurons."""
    layer_layout = compiler.layout(node.name)
    # Check the layer itself first, since it may have as many siblings as there are nodes.
    if (
        compiler.tracked
        or not isinstance(node, Conv)
        or layer_layout is None
        or layer_layout.channels % LANES
    ):
        return []
    siblings = []
    for name in compiler.graph.consumers[node.inputs[0]]:
        other = compiler.graph.nodes[name]
        layout = compiler.layout(name)
        if (
            isinstance(other, Conv)
            and name not in compiler.done
            and name not in compiler.keep
            and other.groups == 1 == node.groups
            and _geometry(other) == _geometry(node)
            and layout is not None
            and layout.channels % LANES == 0
            and len(compiler.graph.consumers[name]) == 1
            and _reading_neurons(compiler, name, layout)
        ):
            siblings.append(other)
    return siblings if node in siblings else []


def _geometry(node: Conv) -> tuple[Any, ...]:
    return node.weight.shape[2:], node.stride, node.padding, node.dilation


def _side_by_side(compiler: Compiler, layers: list[Conv], source: Spikes | Buffer) -> bool:
    parts, neurons, names = [], [], []
    for layer in layers:
        prepared = _prepare(compiler, layer)
        layout = compiler.layout(layer.name)
        assert prepared is not None and layout is not None
        reader = _reading_neurons(compiler, layer.name, layout)
        assert reader is not None
        parts.append(prepared[1])
        neurons.append(reader[1])
        names.append((layer.name, reader[0]))
    synapses = joined(parts)
    buffer = Buffer(" + ".join(lif for _, lif in names), synapses.target, "spikes")
    first = 0
    for part, (_, lif) in zip(parts, names, strict=True):
        compiler.spikes[lif] = Spikes(buffer, part.target, first)
        first += part.target.words
    targets = Targets(synapses.target, spikes=buffer, neurons=side_by_side(neurons))
    nodes = [layer for layer, _ in names] + [lif for _, lif in names]
    return _add_layer(compiler, nodes, synapses, source, targets)


@lowers(Shortcut)
@lowers(Lif)
@lowers(CubaLif)
def _summed(compiler: Compiler, node: Node) -> bool:
    """Lower a sum of stored currents, two at a time, fused with neurons that read it."""
    layout = compiler.layout(node.name)
    fires = not isinstance(node, Shortcut)
    signals = {compiler.graph.signals[name] for name in node.inputs}
    if layout is None or signals != {Signal.CURRENT}:
        return False
    neurons = compiler.neurons(node, layout) if fires else None
    reaches = sum(compiler.reach(name) for name in node.inputs)
    if (fires and neurons is None) or reaches >= INT32:
        return False
    currents = [compiler.read_current(name) for name in node.inputs]
    stored = [current for current in currents if current is not None]
    if len(stored) < len(currents):
        return False
    total = stored[0]
    for number, part in enumerate(stored[1:-1]):
        partial = Buffer(f"{node.name} (sum {number})", layout, "currents")
        targets = Targets(layout, stream=part, current=partial)
        compiler.add(CurrentOperation((), total, targets))
        total = partial
    last = stored[-1] if len(stored) > 1 else None
    if neurons is not None:
        spikes = compiler.write_spikes(node.name, layout)
        targets = Targets(layout, stream=last, spikes=spikes, neurons=neurons)
        return compiler.add(CurrentOperation((node.name,), total, targets))
    population = _reading_neurons(compiler, node.name, layout)
    targets = Targets(
        layout=layout,
        stream=last,
        current=compiler.write_current(node.name, layout),
        spikes=compiler.write_spikes(population[0], layout) if population else None,
        neurons=population[1] if population else None,
    )
    nodes = (node.name, population[0]) if population else (node.name,)
    return compiler.add(CurrentOperation(nodes, total, targets))
