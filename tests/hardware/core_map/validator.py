"""An independent check of core maps: every synapse written out, every count made again.

It shares no code with the mapping: connections are expanded tap by tap, and the needs of each core
are counted with dictionaries.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from sdt_lava.compiler import CompiledNetwork
from sdt_lava.hardware.core_map import RESOURCES, CoreMap
from sdt_lava.ir import Conv, CubaLif, Dense, Graph, Sparse

MISSING = 10**15


@dataclass(frozen=True)
class Wire:
    """A connection with all its synapses as pairs of flat indices."""

    name: str
    source: str
    reader: str
    synapses: tuple[tuple[int, int], ...]
    kernel: int  # weights of an output channel that positions could share
    delay: int


def expand(compiled: CompiledNetwork, mapped: dict[str, str]) -> list[Wire]:
    """Write out every connection.

    ``mapped`` says which connections the map has, and of what kind: matrices that were one
    convolution may be one there, under the name of the first.
    """
    graph = compiled.graph
    wires: dict[str, Wire] = {}
    heads: dict[tuple[str, str, str], str] = {}
    for reader in graph:
        for name in reader.inputs:
            if name not in compiled.schedule.delay:
                continue
            node = graph.nodes[name]
            pairs = tuple(_pairs(node, graph))
            key = (node.origin, node.inputs[0], reader.name)
            if name not in mapped:
                head = wires[heads[key]]
                wires[head.name] = replace(head, synapses=head.synapses + pairs)
                continue
            kernel = 0
            if mapped[name] == "conv":
                heads[key] = name
                conv = node if isinstance(node, Conv) else compiled.source.nodes[node.origin]
                kernel = int(np.prod(conv.weight.shape[1:]))
            delay = compiled.schedule.delay[name]
            wires[name] = Wire(name, node.inputs[0], reader.name, pairs, kernel, delay)
        if isinstance(reader, CubaLif) and reader.weight_rec is not None:
            own = tuple(np.ndindex(*reader.weight_rec.shape))
            name = f"{reader.name}.recurrent"
            wires[name] = Wire(name, reader.name, reader.name, own, 0, 0)
    return list(wires.values())


def _pairs(node, graph: Graph):
    shape, output = graph.shapes[node.inputs[0]], graph.shapes[node.name]
    if isinstance(node, Sparse):
        table = node.weight.tocoo()
        yield from zip(table.col.tolist(), table.row.tolist(), strict=True)
    elif isinstance(node, Dense):
        for out in range(node.weight.shape[0]):
            yield from ((source, out) for source in range(node.weight.shape[1]))
    else:
        yield from _conv_pairs(node, shape, output)


def _conv_pairs(node: Conv, shape, output):
    channels, per_group, height, width = node.weight.shape
    for out, y, x in np.ndindex(*output):
        group = out // (channels // node.groups)
        for c, ky, kx in np.ndindex(per_group, height, width):
            row = y * node.stride[0] - node.padding[0] + ky * node.dilation[0]
            column = x * node.stride[1] - node.padding[1] + kx * node.dilation[1]
            if 0 <= row < shape[1] and 0 <= column < shape[2]:
                source = ((group * per_group + c) * shape[1] + row) * shape[2] + column
                yield int(source), int((out * output[1] + y) * output[2] + x)


def positions(graph: Graph, name: str) -> int:
    """Number of positions of a population ``(C, ...)``."""
    return int(np.prod(graph.shapes[name][1:]))


@dataclass
class Placement:
    """Where every neuron is, and how every connection is stored."""

    compiled: CompiledNetwork
    wires: list[Wire]
    core: dict[str, list[int]]  # by population, flat
    shared: set[str]  # connections

    def needs(self, target) -> dict[int, Counter]:
        """Count what each core needs, by resource."""
        unit = target.limit("synapse_memory_unit") or 1
        bits = target.limit("synapse_bits") or 0
        reach = target.limit("axon_destinations") or MISSING
        found: dict[int, Counter] = defaultdict(Counter)
        for cores in self.core.values():
            for core in cores:
                found[core]["neurons"] += 1
            for core in set(cores):
                found[core]["neuron_groups"] += 1
        for wire in self.wires:
            self._wire(wire, found, unit, bits, reach, target)
        from_membranes = self.compiled.lowering.membranes and self.compiled.source.readout
        for core in () if from_membranes else self.core[self.compiled.output_name]:
            found[core]["axons_out"] += 1
            found[core]["messages"] += 1
        return found

    def _wire(self, wire, found, unit, bits, reach, target):
        lists = Counter()  # synapses by (source neuron, core)
        for source, reader in wire.synapses:
            lists[source, self.core[wire.reader][reader]] += 1
        width = positions(self.compiled.graph, wire.source)
        shared = wire.name in self.shared
        axons = {(s % width if shared else s, core) for s, core in lists}
        for _, core in axons:
            found[core]["axons_in"] += 1
        if shared:
            readers = self.core[wire.reader]
            per_channel = positions(self.compiled.graph, wire.reader)
            held = {(index // per_channel, core) for index, core in enumerate(readers)}
            for core, channels in Counter(core for _, core in held).items():
                total = channels * wire.kernel * target.limit("shared_synapse_bits")
                found[core]["synapse_memory"] += unit * ceil(total / (8 * unit))
        else:
            for (_, core), length in lists.items():
                found[core]["synapse_memory"] += unit * ceil(length * bits / (8 * unit))
        self._sending(wire, lists, found, shared, width, reach)

    def _sending(self, wire, lists, found, shared, width, reach):
        if wire.source not in self.core:
            return
        senders = self.core[wire.source]
        reached = defaultdict(set)
        for source, core in lists:
            found[senders[source]]["messages"] += 1
            key = (source % width, senders[source]) if shared else (source, senders[source])
            reached[key].add(core)
        for (_, sender), cores in reached.items():
            found[sender]["axons_out"] += ceil(len(cores) / reach)


def placement_of(core_map: CoreMap, compiled: CompiledNetwork) -> Placement:
    """Read a core map: only where neurons are, and how connections are stored."""
    core = {
        layer.name: core_map.core_of_neurons(layer.name).ravel().tolist()
        for layer in core_map.layers
    }
    connections = [c for layer in core_map.layers for c in layer.connections]
    wires = expand(compiled, {c.name: c.kind for c in connections})
    assert sorted(wire.name for wire in wires) == sorted(c.name for c in connections)
    shared = {c.name for c in connections if c.storage == "shared"}
    return Placement(compiled, wires, core, shared)


def validate(core_map: CoreMap, compiled: CompiledNetwork) -> Placement:
    """Check every limit and every number of a core map."""
    target, graph = core_map.target, compiled.graph
    expected = {n.name for n in graph if n.name in compiled.schedule.latency} - {graph.input.name}
    assert {layer.name for layer in core_map.layers} == expected
    placement = placement_of(core_map, compiled)
    for name, cores in placement.core.items():
        assert len(cores) == int(np.prod(graph.shapes[name])), name
        assert min(cores) >= 0 and max(cores) < len(core_map.cores)
    needs = placement.needs(target)
    assert set(needs) == set(range(len(core_map.cores))), "a core holds nothing"
    for core in core_map.cores:
        counted = {name: needs[core.index][name] for name in RESOURCES}
        assert counted == dict(core.usage), (core.index, core.slices)
        for resource, limit_name in RESOURCES.items():
            limit = target.limit(limit_name)
            assert limit is None or counted[resource] <= limit, (core.index, resource)
    _check_storage(placement, target)
    _check_chips(core_map)
    _check_layers(core_map, placement)
    return placement


def _check_storage(placement: Placement, target) -> None:
    for wire in placement.wires:
        if wire.name in placement.shared:
            longest = target.limit("shared_delay_max")
            assert wire.kernel and (longest is None or wire.delay <= longest), wire.name


def _check_chips(core_map: CoreMap) -> None:
    on_chip = Counter(core.chip for core in core_map.cores)
    assert set(on_chip) == set(range(core_map.chips))
    limit = core_map.target.limit("cores_per_chip")
    assert limit is None or max(on_chip.values()) <= limit
    assert core_map.chips == (1 if limit is None else ceil(len(core_map.cores) / limit))
    assert core_map.boards == ceil(core_map.chips / core_map.board.chips)


def _check_layers(core_map: CoreMap, placement: Placement) -> None:
    synapses = {wire.name: len(wire.synapses) for wire in placement.wires}
    for layer in core_map.layers:
        cores = Counter(placement.core[layer.name])
        assert layer.cores == len(cores)
        assert layer.neurons == sum(cores.values())
        assert max(cores.values()) == int(np.prod(list(layer.tile.values())))
        for connection in layer.connections:
            assert connection.synapses == synapses[connection.name]
        for core in core_map.cores:
            held = {part.population: part.neurons for part in core.slices}
            assert held.get(layer.name, 0) == cores.get(core.index, 0)


def count_traffic(core_map, placement: Placement, events: dict[str, np.ndarray]) -> Counter:
    """Count messages one by one: ``events`` by population, ``(*shape)`` each."""
    found = Counter()
    for wire in placement.wires:
        sent = np.asarray(events[wire.source]).ravel().tolist()
        reached = {
            (source, placement.core[wire.reader][reader]) for source, reader in wire.synapses
        }
        for source, core in reached:
            if wire.source not in placement.core:
                found["from_host"] += sent[source]
                continue
            sender = placement.core[wire.source][source]
            chips = core_map.cores[sender].chip, core_map.cores[core].chip
            kind = "between_cores" if chips[0] == chips[1] else "between_chips"
            found["within_core" if sender == core else kind] += sent[source]
            found["hops"] += sent[source] * core_map.hops(sender, core)
    found["to_host"] = int(np.sum(events[placement.compiled.output_name]))
    return found


def count_synops(placement: Placement, events: dict[str, np.ndarray]) -> Counter:
    """Count synaptic operations of each core one by one."""
    found = Counter()
    for wire in placement.wires:
        sent = np.asarray(events[wire.source]).ravel().tolist()
        for source, reader in wire.synapses:
            found[placement.core[wire.reader][reader]] += sent[source]
    return found


def count_by_core(placement: Placement, events: dict[str, np.ndarray]) -> tuple[Counter, Counter]:
    """Count the messages that each core sends to others, and receives from others and the host."""
    sent, received = Counter(), Counter()
    for wire in placement.wires:
        number = np.asarray(events[wire.source]).ravel().tolist()
        cores = placement.core[wire.reader]
        for source, core in {(source, cores[reader]) for source, reader in wire.synapses}:
            on_host = wire.source not in placement.core
            sender = None if on_host else placement.core[wire.source][source]
            if sender != core:
                received[core] += number[source]
                sent[sender] += number[source]
    return sent, received
