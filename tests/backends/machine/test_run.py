"""The machine in NumPy: the reference's spikes, machine step by machine step, and faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.machine.run import run_machine
from sdt_lava.compiler.schedule import make_schedule
from sdt_lava.errors import CompileError
from sdt_lava.ir import Dense, Gate, Graph, Input, Lif
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.needs import back_ends

NETWORKS = {
    "or": lambda rng: random_sdt_graph(rng, image=(2, 5, 3), channels=4, blocks=2),
    "max": lambda rng: random_sdt_graph(rng, image=(2, 5, 4), channels=4, downsampling="max"),
    "subsample": lambda rng: random_sdt_graph(
        rng, image=(2, 5, 4), channels=3, downsampling="subsample", timesteps=2
    ),
    "dilations": lambda rng: random_sdt_graph(rng, image=(2, 5, 3), channels=4, dilation_heads=2),
    "one token, one step": lambda rng: random_sdt_graph(
        rng, image=(2, 1, 1), channels=1, downsampling="none", timesteps=1
    ),
    "chain": random_chain,
}


def differing(compiled, frames):
    """Populations whose output differs from what the reference computes."""
    expected = run_reference(compiled.source, frames)
    run = run_machine(compiled, frames)
    return [
        name
        for name in compiled.source.lif_names
        if not np.array_equal(run.outputs[name], expected[name])
    ]


@pytest.mark.parametrize("network", NETWORKS)
def test_spikes_and_logits_are_the_references(network):
    rng = np.random.default_rng(1)
    graph = NETWORKS[network](rng)
    frames = random_frames(rng, graph, batch=3)
    compiled = compile_network(graph)
    assert not differing(compiled, frames)
    sent = run_machine(compiled, frames).outputs[compiled.output_name]
    expected = run_reference(graph, frames)[graph.output_name]
    if graph.readout is not None and graph.readout.bias is not None:
        sent = sent + graph.readout.bias
    assert np.array_equal(sent, expected)


def test_frames_that_take_a_while_to_arrive():
    rng = np.random.default_rng(5)
    graph = random_sdt_graph(rng, image=(2, 4, 3), channels=3)
    compiled, frames = compile_network(graph), random_frames(rng, graph, batch=3)
    later = make_schedule(compiled.graph, input_latency=2)
    assert later.latency["input"] == 2 and later.depth == compiled.schedule.depth + 2
    assert not differing(replace(compiled, schedule=later), frames)
    assert differing(faulty(compiled, latency={**compiled.schedule.latency, "input": 2}), frames)


def test_a_stream_without_resets():
    rng = np.random.default_rng(2)
    graph = random_sdt_graph(rng, image=(2, 5, 3), channels=4)
    frames = random_frames(rng, graph, batch=3)
    x = np.swapaxes(frames, 0, 1) / graph.input.scale
    expected = sdt_lava.simulate(graph, x, reset=False).spikes
    outputs = run_machine(compile_network(graph, reset=False), frames).outputs
    for name in graph.lif_names:
        assert np.array_equal(outputs[name], expected[name]), name


def faulty(compiled, **changes):
    return replace(compiled, schedule=replace(compiled.schedule, **changes))


def test_a_wrong_delay_or_reset_is_seen():
    rng = np.random.default_rng(3)
    graph = random_sdt_graph(rng, image=(2, 5, 3), channels=4)
    frames = random_frames(rng, graph, batch=4)
    compiled = compile_network(graph)
    schedule = compiled.schedule
    assert not differing(compiled, frames)
    for name in (name for name, delay in schedule.delay.items() if delay):
        assert differing(faulty(compiled, delay={**schedule.delay, name: 0}), frames), name
    assert differing(faulty(compiled, reset=False), frames)


def test_a_gate_that_is_not_memoryless_is_seen():
    """Its leak leaves 15/64 of the first sum behind, which decides over the second."""
    entry = Input(name="x", shape=(1,), low=0, high=1)
    dense = Dense(name="d", inputs=("x",), weight=np.array([[250]]), exponent=2)
    gate = Gate(name="g", inputs=("d",), threshold=1000)
    graph = Graph.build([entry, dense, gate], 2)
    compiled = replace(compile_network(chain_of_one()), graph=graph)
    compiled = faulty(compiled, latency={"x": 0, "g": 1}, delay={"d": 0})
    run = run_machine(compiled, np.ones((2, 1, 1), np.int64))
    assert run.outputs["g"].ravel().tolist() == [0, 1]


def chain_of_one():
    entry = Input(name="x", shape=(1,), low=0, high=1)
    dense = Dense(name="d", inputs=("x",), weight=np.array([[2]]))
    return Graph.build([entry, dense, Lif(name="g", inputs=("d",), threshold=1)], 2)


def test_events_include_the_filling_of_the_pipeline():
    """A neuron that its bias drives also fires while no sample is there."""
    entry = Input(name="x", shape=(1,), low=0, high=1)
    first = Dense(name="d", inputs=("x",), weight=np.array([[2]]))
    second = Dense(name="e", inputs=("a",), weight=np.array([[2]]))
    nodes = [entry, first, Lif(name="a", inputs=("d",), threshold=1), second]
    nodes.append(Lif(name="b", inputs=("e",), threshold=1, bias=np.array([2])))
    run = run_machine(compile_network(Graph.build(nodes, 2)), np.zeros((2, 3, 1), np.int64))
    assert run.steps == 3 * 2 + 2
    assert run.outputs["b"].sum() == 6 and run.events["b"].tolist() == [8]
    assert run.events["a"].tolist() == [0]


@pytest.mark.parametrize("backend", back_ends("machine", "lava-inprocess"))
def test_weights_that_eight_bits_do_not_hold_are_refused_as_by_lava(backend):
    weight = np.array([[255, -255], [100, 7]])
    nodes = [
        Input(name="input", shape=(2,), low=0, high=1),
        Dense(name="dense", inputs=("input",), weight=weight),
        Lif(name="lif", inputs=("dense",), threshold=100),
    ]
    net = Graph.build(nodes, 3)
    with pytest.raises(CompileError, match="weights from -255 to 255"):
        sdt_lava.simulate(net, np.ones((1, 3, 2)), backend)
