"""Limits one by one: what binds, what is impossible, what is stored how, which board."""

from __future__ import annotations

import numpy as np
import pytest

from sdt_lava.backends.deployment import compile_network
from sdt_lava.errors import CompileError, TargetError
from sdt_lava.hardware.core_map import map_cores
from sdt_lava.hardware.targets import load_target
from tests.graphs import GraphMaker, random_sdt_graph
from tests.hardware.core_map.targets import KINDS, small_target
from tests.hardware.core_map.validator import validate


def two_layers(channels=(6, 4), image=(3, 4, 4), kernel=(3, 3)):
    maker = GraphMaker(np.random.default_rng(0), biases=False)
    last = maker.input(image)
    for index, out in enumerate(channels):
        padding = (kernel[0] // 2, kernel[1] // 2)
        current = maker.conv(f"conv{index}", last, out, kernel, padding=padding)
        last = maker.lif(f"lif{index}", current)
    return compile_network(maker.graph(2), convolutions="conv")


def mapped(compiled, **limits):
    core_map = map_cores(compiled, small_target(**limits))
    validate(core_map, compiled)
    return core_map


# Layers of 96 and 64 neurons.
BINDING = {
    "neurons": ({"neurons_per_core": 16}, 10),
    # 3 x 9 and 6 x 9 weights of 4 bits an output channel: 13.5 and 27 bytes.
    "synapse_memory": ({"synapse_memory_per_core": 27}, 3 + 4),
    # Four rows of four positions; half of the image reads three rows.
    "axons_in": ({"axons_in_per_core": 12, "neuron_groups_per_core": 1}, 2 + 2),
    # Every neuron of the last layer goes to the host.
    "axons_out": ({"axons_out_per_core": 32, "neuron_groups_per_core": 1}, 1 + 2),
    "messages": ({"messages_per_core": 96, "neuron_groups_per_core": 1}, 1 + 1),
}


@pytest.mark.parametrize("resource", BINDING)
def test_each_limit_alone(resource):
    limits, cores = BINDING[resource]
    core_map = mapped(two_layers(), **limits)
    assert len(core_map.cores) == cores
    cut = {layer.binding for layer in core_map.layers if layer.cores > 1}
    assert cut <= {resource} and (cut or cores == 2)


def test_neuron_groups_limit_how_many_populations_share_a_core():
    compiled = compile_network(random_sdt_graph(np.random.default_rng(0)), convolutions="conv")
    populations = len(compiled.schedule.latency) - 1
    for groups in (1, 2, 5):
        core_map = mapped(compiled, neuron_groups_per_core=groups)
        assert len(core_map.cores) == -(-populations // groups)


IMPOSSIBLE = {
    "synapse_memory": ({"synapse_memory_per_core": 20}, "lif1", "27 bytes", "at most 20"),
    "axons_in": ({"axons_in_per_core": 3}, "lif1", "9 input axons", "at most 3"),
    "messages": ({"neurons_per_core": 2, "messages_per_core": 2}, "lif0", "messages", "at most 2"),
    "axons_out": (
        {"neurons_per_core": 2, "axons_out_per_core": 2, "axon_destinations": 1},
        "lif0",
        "output axons",
        "at most 2",
    ),
    "neurons": ({"neurons_per_core": 0}, "lif1", "1 neurons", "at most 0"),
}


@pytest.mark.parametrize("resource", IMPOSSIBLE)
def test_a_neuron_that_no_core_can_hold_is_named(resource):
    limits, population, found, allowed = IMPOSSIBLE[resource]
    with pytest.raises(CompileError) as caught:
        map_cores(two_layers(), small_target(**limits))
    error = caught.value
    assert error.where == f"population {population!r}"
    assert "a single neuron needs" in error.found and found in error.found
    assert error.allowed.startswith(allowed) and "_per_core" in error.allowed
    assert error.remedy


def test_sharing_is_taken_where_it_saves_memory():
    core_map = mapped(two_layers(), synapse_memory_per_core=200)
    for layer in core_map.layers:
        (connection,) = layer.connections
        assert connection.storage == "shared"
        assert connection.shared_bytes < connection.explicit_bytes == _unrolled(layer)
        assert layer.cores == layer.cores_shared < layer.cores_explicit


def _unrolled(layer):
    """Bytes of single synapses of 8 bit: a byte each."""
    return sum(connection.synapses for connection in layer.connections)


def test_unrolled_is_taken_where_most_taps_lie_outside():
    """On a single pixel only the middle of a 3x3 kernel is used: 1 byte instead of 4.5."""
    core_map = mapped(two_layers((2, 2), image=(1, 1, 1)), synapse_memory_per_core=100)
    for layer in core_map.layers:
        assert [connection.storage for connection in layer.connections] == ["explicit"]


def test_a_target_that_shares_no_weights():
    core_map = mapped(two_layers(), synapse_memory_per_core=400, shared_synapse_bits=None)
    for layer in core_map.layers:
        assert layer.cores_shared is layer.cores_explicit is None
        assert [connection.storage for connection in layer.connections] == ["explicit"]
        assert layer.connections[0].shared_bytes is None


def test_convolutions_with_a_delay_share_only_if_the_target_can():
    graph = random_sdt_graph(np.random.default_rng(2), image=(2, 3, 3), downsampling="none")
    compiled = compile_network(graph, convolutions="conv", shortcut="unrolled")
    late = {name for name, delay in compiled.schedule.delay.items() if delay}
    for longest, expected in ((0, {"explicit"}), (None, {"shared", "explicit"})):
        core_map = mapped(compiled, synapse_memory_per_core=2000, shared_delay_max=longest)
        storages = {
            connection.storage
            for layer in core_map.layers
            for connection in layer.connections
            if connection.name in late and connection.kind == "conv"
        }
        assert storages <= expected and storages & expected


def test_an_output_axon_may_reach_several_cores():
    """Two layers of dense synapses: each neuron of the first reaches eight cores."""
    maker = GraphMaker(np.random.default_rng(0), biases=False)
    first = maker.lif("lif0", maker.dense("fc0", maker.input((3,)), 8))
    maker.lif("lif1", maker.dense("fc1", first, 8))
    compiled = compile_network(maker.graph(2), convolutions="conv")
    limits = {"synapse_memory_per_core": 8, "axons_out_per_core": 8, "neuron_groups_per_core": 1}
    # One core for 1, 2, 4 or all 8 neurons of the first layer, besides eight of the second.
    for destinations, cores in ((1, 8), (2, 4), (4, 2), (8, 4), (None, 4)):
        core_map = mapped(compiled, axon_destinations=destinations, **limits)
        found = {layer.name: layer.cores for layer in core_map.layers}
        # Memory alone allows two neurons of the first layer on a core.
        assert found == {"lif0": max(cores, 4) if destinations != 1 else 8, "lif1": 8}


def test_boards():
    compiled = two_layers()
    target = small_target({"one": 1, "three": 3, "ten": 10}, neurons_per_core=16, cores_per_chip=2)
    smallest = map_cores(compiled, target)
    assert (smallest.chips, smallest.board.name, smallest.boards, smallest.fits) == (
        5, "ten", 1, True,
    )  # fmt: skip
    named = map_cores(compiled, target, "three")
    assert (named.chips, named.board.name, named.boards, named.fits) == (5, "three", 2, False)
    assert named.boards_needed == {"one": 5, "three": 2, "ten": 1}
    none_fits = small_target({"one": 1, "two": 2}, neurons_per_core=16, cores_per_chip=2)
    largest = map_cores(compiled, none_fits)
    assert (largest.board.name, largest.boards, largest.fits) == ("two", 3, False)
    with pytest.raises(TargetError, match="'four'"):
        map_cores(compiled, target, "four")


def test_targets_that_cannot_be_mapped_to():
    compiled = two_layers()
    with pytest.raises(CompileError, match="no neuron cores"):
        map_cores(compiled, "lava-cpu")
    with pytest.raises(CompileError, match="no neuron cores"):
        map_cores(compiled)
    with pytest.raises(TargetError, match="synapse_bits"):
        map_cores(compiled, small_target(synapse_memory_per_core=100, synapse_bits=None))
    with pytest.raises(TargetError):
        map_cores(compiled, "loihi9")
    without_conv = tuple(kind for kind in KINDS if kind != "conv")
    with pytest.raises(CompileError, match="kind conv, which target 'small' does not run"):
        map_cores(compiled, small_target(kinds=without_conv))


def test_max_pooling_has_no_core():
    graph = random_sdt_graph(np.random.default_rng(0), downsampling="max")
    compiled = compile_network(graph, convolutions="conv")
    with pytest.raises(CompileError, match="max_relay") as caught:
        map_cores(compiled, load_target("loihi2"))
    assert "convert --pooling" in caught.value.remedy


def test_relays_need_graded_spikes():
    compiled = compile_network(random_sdt_graph(np.random.default_rng(0)), convolutions="conv")
    with pytest.raises(CompileError, match="kind relay"):
        map_cores(compiled, load_target("loihi1"))
