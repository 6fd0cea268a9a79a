"""Each pass: execute, transform, execute, compare; and what may remain afterwards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from sdt_lava.backends.deployment import compile_network
from sdt_lava.compiler import lower
from sdt_lava.compiler.lowering import LOWERING_PASSES
from sdt_lava.compiler.passes.lower_attention import lower_attention
from sdt_lava.compiler.passes.lower_pooling import lower_pooling
from sdt_lava.compiler.passes.lower_readout import lower_readout
from sdt_lava.compiler.passes.lower_shortcuts import lower_shortcuts
from sdt_lava.compiler.passes.split_exponents import split_exponents
from sdt_lava.compiler.passes.unroll_convolutions import unroll_convolutions
from sdt_lava.engine import Engine
from sdt_lava.errors import CompileError, TargetError
from sdt_lava.ir import (
    And,
    Conv,
    Dense,
    Flatten,
    Gate,
    Graph,
    Input,
    Lif,
    MaxPool,
    MaxRelay,
    OrPool,
    Readout,
    Relay,
    Shortcut,
    Sparse,
    Subsample,
    Synapse,
    TokenDilate,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.fan_out import fan_out
from sdt_lava.ir.numerics import LifParameters, lif_step
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_chain, random_frames, random_sdt_graph

REMOVES = {
    lower_attention: (And, TokenSum),
    lower_pooling: (OrPool, TokenDilate),
    lower_readout: (Readout, Flatten),
    lower_shortcuts: (Shortcut, Subsample, TokenMean, MaxPool),
}
DOWNSAMPLINGS = ("or", "max", "stride", "subsample", "none")


def networks(seed):
    rng = np.random.default_rng(seed)
    for downsampling in DOWNSAMPLINGS:
        yield random_sdt_graph(rng, image=(2, 5, 7), channels=4, downsampling=downsampling)
    yield random_sdt_graph(rng, image=(2, 5, 3), channels=6, dilation_heads=2)
    yield random_sdt_graph(rng, image=(1, 1, 1), channels=2, downsampling="none", timesteps=1)
    yield random_chain(rng)


def assert_same_spikes(before: Graph, after: Graph, seed=0):
    frames = random_frames(np.random.default_rng(seed), before, batch=3)
    expected, found = run_reference(before, frames), run_reference(after, frames)
    for name in before.lif_names:
        assert np.array_equal(expected[name], found[name]), name


@pytest.mark.parametrize("lowering", REMOVES, ids=lambda lowering: lowering.__name__)
def test_pass_keeps_spikes_and_removes_its_nodes(lowering):
    for graph in networks(1):
        lowered = lowering(graph)
        assert_same_spikes(graph, lowered)
        for kind in REMOVES[lowering]:
            assert not lowered.of_type(kind)


def test_passes_in_any_order():
    for graph in networks(2):
        for order in (LOWERING_PASSES, LOWERING_PASSES[::-1]):
            lowered = graph
            for lowering in order:
                lowered = lowering(lowered)
            assert_same_spikes(graph, lowered)


@pytest.mark.parametrize("convolutions", ["auto", "sparse", "conv"])
def test_compiled_network_is_mappable_and_equal(convolutions):
    for graph in networks(3):
        compiled = compile_network(graph, convolutions=convolutions)
        assert all(node.is_mappable for node in compiled.graph)
        assert_same_spikes(graph, compiled.graph)
        assert compiled.num_processes == len(compiled.graph) - 1
        if convolutions == "sparse":
            assert not compiled.graph.of_type(Conv)


def test_convolutions_with_a_delay_become_matrices():
    graph = random_sdt_graph(np.random.default_rng(4), downsampling="subsample")
    compiled = compile_network(graph, convolutions="conv")
    kept = {node.name for node in compiled.graph.of_type(Conv)}
    assert {"block.0.mlp.fc1_conv", "block.0.mlp.fc2_conv"} <= kept
    assert np.ndim(compiled.graph.nodes["block.0.mlp.fc2_conv"].exponent) == 1
    for name in kept:
        assert compiled.schedule.delay[name] == 0


@pytest.mark.parametrize("convolutions", ["auto", "sparse", "conv"])
def test_one_connection_for_each_exponent(convolutions):
    for graph in networks(6):
        before = lower(graph)
        compiled = compile_network(graph, convolutions=convolutions)
        after = compiled.graph
        for node in after:
            if isinstance(node, (Sparse, Dense)):
                assert isinstance(node.exponent, int)
        for node in before.of_type(Synapse):
            if node.name in after.nodes:
                continue
            parts = after.of_type(Sparse)
            parts = [part for part in parts if part.name.rpartition(".e")[0] == node.name]
            assert {part.exponent for part in parts} == set(node.channel_exponents.tolist())
            assert len({compiled.schedule.delay[part.name] for part in parts}) == 1
            shape = before.shapes[node.inputs[0]]
            whole = fan_out(node, shape)
            assert np.array_equal(sum(fan_out(part, shape) for part in parts), whole)


def test_splitting_dense_layers_and_matrices_with_empty_rows():
    rng = np.random.default_rng(8)
    weight = csr_matrix(
        2 * rng.integers(-9, 9, (4, 6)) * (rng.random((4, 6)) < 0.4), dtype=np.int32
    )
    weight.data[:2] = 0  # synapses of weight 0
    exponents = np.array([3, 0, 3, 7])
    entry = Input(name="x", shape=(6,), low=-3, high=3)
    matrix = Sparse(
        name="s", inputs=("x",), weight=weight, shape=(4,), role="synapse", exponent=exponents
    )
    dense = Dense(name="d", inputs=("x",), weight=2 * rng.integers(-9, 9, (4, 6)))
    dense = replace(dense, exponent=np.full(4, 2))
    graph = Graph.build([entry, matrix, dense, Relay(name="r", inputs=("s", "d"))], 2)
    split = split_exponents(graph)
    assert split.nodes["r"].inputs == ("s.e0", "s.e3", "s.e7", "d")
    assert split.nodes["d"].exponent == 2 and isinstance(split.nodes["d"], Dense)
    assert sum(part.weight.nnz for part in split.of_type(Sparse)) == weight.nnz
    frames = random_frames(rng, graph, batch=3)
    assert np.array_equal(run_reference(graph, frames)["r"], run_reference(split, frames)["r"])


def test_populations_keep_their_names_and_blocks():
    graph = random_sdt_graph(np.random.default_rng(5), blocks=2)
    lowered = lower(graph)
    assert lowered.lif_names == graph.lif_names
    for name in graph.lif_names:
        assert lowered.nodes[name].block == graph.nodes[name].block
    assert all(node.origin in graph.nodes for node in lowered.of_type(Gate))
    assert all(node.origin in graph.nodes for node in lowered.of_type(Relay))


def test_a_current_with_one_reader_needs_no_relay():
    lowered = lower(random_chain(np.random.default_rng(0)))
    assert not lowered.of_type(Relay)


def test_shortcut_with_one_reader_is_summed_in_the_dendrite():
    entry = Input(name="x", shape=(4,), low=0, high=1)
    left = Dense(name="l", inputs=("x",), weight=np.eye(4, dtype=int) * 4)
    right = Dense(name="r", inputs=("x",), weight=np.eye(4, dtype=int) * 6)
    both = Shortcut(name="s", inputs=("l", "r"))
    graph = Graph.build([entry, left, right, both, Lif(name="a", inputs=("s",), threshold=9)], 3)
    lowered = lower_shortcuts(graph)
    assert not lowered.of_type(Relay)
    assert set(lowered.nodes["a"].inputs) == {"l", "r"}
    assert_same_spikes(graph, lowered)


def test_max_pool_of_currents_becomes_one_population():
    graph = random_sdt_graph(np.random.default_rng(0), image=(2, 7, 6), downsampling="max")
    lowered = lower(graph)
    (pool,) = graph.of_type(MaxPool)
    (relay,) = lowered.of_type(MaxRelay)
    assert relay.name == pool.name and lowered.nodes[relay.inputs[0]].kind == "conv"
    assert_same_spikes(graph, lowered)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"target": "loihi9"}, "target"), ({"convolutions": "dense"}, "convolutions")],
)
def test_unknown_options(arguments, said):
    with pytest.raises((CompileError, TargetError), match=said):
        compile_network(random_chain(np.random.default_rng(0)), **arguments)


def test_target_by_name_or_file(tmp_path):
    net = random_chain(np.random.default_rng(0))
    assert compile_network(net).target.name == "lava-cpu"
    assert compile_network(net, "loihi2").target.is_hardware
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"\nkinds = ["lif"]\n')
    assert compile_network(net, path).target.title == "Mine"


def test_convolutions_stay_shared_on_hardware():
    net = random_chain(np.random.default_rng(0))
    assert compile_network(net, "loihi2").graph.of_type(Conv)
    assert not compile_network(net, "lava-cpu").graph.of_type(Conv)


def test_unrolled_convolutions_keep_their_synapses():
    graph = random_chain(np.random.default_rng(7), varied=False)
    conv = graph.of_type(Conv)[0]
    unrolled = unroll_convolutions(graph, {conv.name})
    assert unrolled.nodes[conv.name].kind == "sparse"
    assert_same_spikes(graph, unrolled)


@pytest.mark.parametrize("seed", range(3))
def test_without_graded_spikes_the_readout_stays_in_membranes(seed):
    """They hold the logits after the last step, and never fire."""
    net = random_sdt_graph(np.random.default_rng(seed), timesteps=5)
    compiled = compile_network(net, "loihi1")
    node = compiled.graph.nodes[compiled.output_name]
    assert isinstance(node, Lif) and any("membranes" in note for note in compiled.notes)
    frames = random_frames(np.random.default_rng(9), net, 3)
    expected = Engine(net).run(frames, (net.output_name,))[net.output_name]
    currents = sum(Engine(compiled.graph).run(frames, node.inputs).values())
    parameters = LifParameters(node.threshold, node.voltage_decay, node.current_decay, 0, 6)
    u = v = np.zeros_like(currents[0])
    for activation in currents:
        u, v, spikes, _ = lif_step(u, v, activation, parameters)
        assert not spikes.any()
    bias = net.timesteps * np.asarray(net.readout.bias)
    assert np.array_equal((v >> 6) + bias, expected.sum(axis=0))
    assert v.any()


def test_loihi1_gets_no_graded_spikes_from_inside():
    net = random_sdt_graph(np.random.default_rng(0), low=0, high=1, image=(1, 4, 4), channels=4)
    compiled = compile_network(net, "loihi1")
    assert not compiled.graph.of_type(Relay)
    rules = {violation.rule for violation in compiled.violations}
    assert not rules & {"node_kind", "process_kind", "payload", "message_bits"}
