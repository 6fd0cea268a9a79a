"""Recurrent and delayed neurons: what they compute, and the same in every back end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sdt_lava
from sdt_lava.backends.machine.run import run_machine
from sdt_lava.backends.result import spike_differences
from sdt_lava.compiler.compile import lower
from sdt_lava.engine import Engine
from sdt_lava.errors import GraphError, NumericOverflowError
from sdt_lava.ir import CubaLif, Dense, Graph, Input, Lif
from sdt_lava.ir.bounds import bound_extremes
from sdt_lava.ir.reference import run_reference
from tests.cuba_graphs import random_cuba_chain
from tests.graphs import random_frames

CHAINS = {
    "image": {},
    "no delay": {"delay": 0},
    "delays beyond the sample": {"delay": 9, "timesteps": 4},
    "not recurrent": {"recurrent": False},
    "one step": {"timesteps": 1},
    "vector": {"image": (5,)},
    "one pixel": {"image": (1, 1, 3)},
    "halved": {"shift": 1},
    "doubled": {"shift": -1},
}


def truncated(value, divisor):
    return abs(value) // divisor * (1 if value >= 0 else -1)


def by_hand(node, activation):
    """A population neuron by neuron, in Python's integers; ``(T, N)`` in and out."""
    steps, neurons = activation.shape
    channels = max(np.size(values) for values in (node.threshold, node.delay, node.bias))

    def of(values, neuron):
        return int(np.ravel(values)[neuron * channels // neurons if np.size(values) > 1 else 0])

    made = np.zeros((steps, neurons), int)
    sent = np.zeros_like(made)
    u, v = [0] * neurons, [0] * neurons
    for t in range(steps):
        for n in range(neurons):
            a = int(activation[t, n])
            if node.weight_rec is not None and t:
                a += sum(int(node.weight_rec[n, m]) for m in range(neurons) if made[t - 1, m])
            u[n] = truncated(u[n] * (4096 - of(node.current_decay, n)), 4096) + 64 * a
            drive = u[n] + (of(node.bias, n) << node.bias_exponent)
            shift = node.drive_shift
            drive = truncated(drive, 2**shift) if shift > 0 else drive * 2**-shift
            v[n] = truncated(v[n] * (4096 - of(node.voltage_decay, n)), 4096) + drive
            if v[n] > 64 * of(node.threshold, n):
                v[n], made[t, n] = 0, 1
                if t + of(node.delay, n) < steps:
                    sent[t + of(node.delay, n), n] = 1
    return sent


@pytest.mark.parametrize("shift", [0, 2, -1])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_equation_by_hand(seed, shift):
    rng = np.random.default_rng(seed)
    graph = random_cuba_chain(rng, shift=shift)
    values = run_reference(graph, random_frames(rng, graph, batch=1))
    for node in graph.of_type(CubaLif):
        arriving = values[node.inputs[0]][:, 0].reshape(graph.timesteps, -1)
        sent = by_hand(node, arriving)
        assert sent.any() and not sent.all()
        assert np.array_equal(sent, values[node.name][:, 0].reshape(sent.shape)), node.name


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(list(CHAINS)))
def test_engine_equals_reference(seed, name):
    rng = np.random.default_rng(seed)
    graph = random_cuba_chain(rng, **CHAINS[name])
    frames = random_frames(rng, graph, batch=3)
    expected = run_reference(graph, frames, strict=False)
    engine = Engine(graph, strict=False)
    found = engine.run(frames)
    lowered = run_reference(lower(graph), frames, strict=False)
    for node in graph.order:
        assert np.array_equal(expected[node], found[node]), node
    bounds = bound_extremes(graph)
    for node in graph.lif_names:
        assert np.array_equal(expected[node], lowered[node]), node
        assert engine.extremes[node].activation <= bounds[node].activation
        assert engine.extremes[node].membrane <= bounds[node].membrane


def test_the_random_networks_are_alive():
    rng = np.random.default_rng(0)
    graph = random_cuba_chain(rng)
    values = run_reference(graph, random_frames(rng, graph, batch=8))
    for name in graph.lif_names:
        assert 0.02 < values[name].mean() < 0.9, name


@pytest.mark.parametrize("name", CHAINS)
def test_machine_clears_spikes_on_their_way_between_samples(name):
    """Biased neurons also spike before the first sample reaches them."""
    rng = np.random.default_rng(4)
    graph = random_cuba_chain(rng, **CHAINS[name])
    frames = random_frames(rng, graph, batch=3)
    expected = run_reference(graph, frames, strict=False)
    run = run_machine(sdt_lava.compile(graph), frames)
    for node in graph.lif_names:
        assert np.array_equal(expected[node], run.outputs[node]), node


@pytest.mark.parametrize("backend", ["reference", "engine"])
def test_a_stream_is_one_long_sample(backend):
    rng = np.random.default_rng(5)
    graph = random_cuba_chain(rng)
    x = np.swapaxes(random_frames(rng, graph, batch=5), 0, 1) / graph.input.scale
    stream = sdt_lava.simulate(graph, x, backend, reset=False, batch_size=2, strict=False)
    long = sdt_lava.simulate(graph, x.reshape(1, -1, *graph.input_shape), backend, strict=False)
    for name in graph.lif_names:
        joined = np.swapaxes(stream.spikes[name], 0, 1).reshape(long.spikes[name].shape)
        assert np.array_equal(joined, long.spikes[name]), name
    assert spike_differences(stream, sdt_lava.simulate(graph, x, backend, strict=False))


@pytest.mark.lava
@pytest.mark.parametrize("name", CHAINS)
def test_lava_in_one_process_equals_reference(name):
    for models in ("lava", "fused"):
        check_in_lava(name, "lava-inprocess", models=models)


@pytest.mark.lava
@pytest.mark.slow
def test_lava_equals_reference():
    check_in_lava("image", "lava", timeout=120.0)


def check_in_lava(name, backend, **options):
    rng = np.random.default_rng(6)
    graph = random_cuba_chain(rng, **CHAINS[name])
    x = np.swapaxes(random_frames(rng, graph, batch=3), 0, 1) / graph.input.scale
    expected = sdt_lava.simulate(graph, x, "reference", strict=False)
    found = sdt_lava.simulate(graph, x, backend, strict=False, **options)
    assert any(spikes.any() for spikes in expected.spikes.values())
    assert spike_differences(expected, found) == 0


def test_recurrent_spikes_count_as_synaptic_operations():
    rng = np.random.default_rng(0)
    graph = random_cuba_chain(rng, image=(5,))
    x = np.swapaxes(random_frames(rng, graph), 0, 1) / graph.input.scale
    result = sdt_lava.simulate(graph, x)
    rows = {row.name: row for row in result.synops.layers}
    into, back = (int(result.spikes[name].sum()) for name in ("image", "hidden_lif"))
    assert back
    assert rows["hidden_lif"].synapse == 7 * into + 7 * back


def test_an_overflow_through_recurrence_is_found():
    entry = Input(name="x", shape=(1,))
    dense = Dense(name="d", inputs=("x",), weight=np.full((600, 1), 254))
    fields = {"threshold": 1, "voltage_decay": 4096, "weight_rec": np.full((600, 600), 254)}
    graph = Graph.build([entry, dense, CubaLif(name="a", inputs=("d",), **fields)], 3)
    frames = np.ones((3, 1, 1), np.int64)
    for run in (run_reference, lambda graph, frames: Engine(graph).run(frames)):
        with pytest.raises(NumericOverflowError, match="'a', step 1: activation of 152654"):
            run(graph, frames)


def test_plain_cuba_neurons_are_lif_neurons():
    rng = np.random.default_rng(8)
    graph = random_cuba_chain(rng)
    plain = {"threshold": 90, "voltage_decay": 700, "current_decay": 3000}
    nodes = [entry for entry in graph if entry.name in ("input", "image", "conv")]
    lif = Lif(name="a", inputs=("conv",), **plain)
    cuba = CubaLif(name="b", inputs=("conv",), **plain)
    assert cuba.is_plain
    graph = Graph.build([*nodes, lif, cuba], 5)
    values = run_reference(graph, random_frames(rng, graph))
    assert values["a"].any()
    assert np.array_equal(values["a"], values["b"])
    lowered = lower(graph)
    assert type(lowered.nodes["b"]) is Lif
    assert lowered.nodes["image"].is_plain and type(lowered.nodes["image"]) is CubaLif


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": np.arange(3)},
        {"delay": np.arange(8)},
        {"bias": np.arange(3)},
        {"weight_rec": np.ones((7, 6), int)},
        {"voltage_decay": np.ones((7, 1), int)},
    ],
)
def test_parameters_of_a_wrong_shape(wrong):
    graph = random_cuba_chain(np.random.default_rng(0), image=(5,))
    nodes = [replace(n, **wrong) if n.name == "hidden_lif" else n for n in graph]
    with pytest.raises(GraphError, match="hidden_lif"):
        graph.rebuild(nodes)


def test_a_population_goes_on_from_a_state():
    node = CubaLif(name="a", inputs=("x",), threshold=30, voltage_decay=500, delay=2)
    activation = np.random.default_rng(0).integers(-5, 30, (9, 1, 6))
    whole = node.population((1, 6))
    expected = [whole.step(a)[0] for a in activation]
    first, second = (node.population((1, 6)) for _ in range(2))
    found = [first.step(a)[0] for a in activation[:4]]
    second.state = first.state
    found += [second.step(a)[0] for a in activation[4:]]
    assert np.array_equal(expected, found) and np.any(found)
