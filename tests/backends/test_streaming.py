"""Continuous streams: state goes on from sample to sample, the same in every back end."""

from __future__ import annotations

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.result import Result, spike_differences
from sdt_lava.backends.streaming import as_samples, as_stream
from sdt_lava.errors import ConfigError, DataError
from sdt_lava.ir import Dense, Graph, Input, Lif
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.needs import back_ends

NETWORKS = {
    "transformer": lambda rng: random_sdt_graph(rng, image=(2, 5, 3), channels=4, timesteps=3),
    "long memory": lambda rng: random_chain(rng, timesteps=4),
    "one step": lambda rng: random_chain(rng, timesteps=1, varied=False),
}


def as_input(graph, frames):
    return np.swapaxes(frames, 0, 1) / graph.input.scale


def network_and_input(name, samples=5, seed=0):
    rng = np.random.default_rng(seed)
    graph = NETWORKS[name](rng)
    return graph, as_input(graph, random_frames(rng, graph, batch=samples))


def assert_same(left, right):
    assert spike_differences(left, right) == 0
    assert np.array_equal(left.logits, right.logits)
    assert sum(int(spikes.sum()) for spikes in left.spikes.values()) > 0


def test_samples_and_streams():
    frames = np.arange(24).reshape(3, 2, 4)
    stream = as_stream(frames)
    assert stream.shape == (6, 1, 4)
    assert np.array_equal(stream[:3, 0], frames[:, 0]) and np.array_equal(
        stream[3:, 0], frames[:, 1]
    )
    assert np.array_equal(as_samples(stream, 3), frames)


@pytest.mark.parametrize("backend", ["engine", "reference", "machine"])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_stream_is_one_long_sample(network, backend):
    graph, x = network_and_input(network)
    stream = sdt_lava.simulate(graph, x, backend, reset=False)
    joined = x.reshape(1, -1, *graph.input_shape)
    whole = sdt_lava.simulate(graph, joined, "reference")
    for name in graph.lif_names:
        assert np.array_equal(as_stream(stream.spikes[name]), whole.spikes[name]), name
    assert np.array_equal(stream.logits.sum(axis=0), whole.logits[0])
    fresh = sdt_lava.simulate(graph, x, backend)
    first = {name: spikes[:, :1] for name, spikes in fresh.spikes.items()}
    assert all(np.array_equal(first[name], stream.spikes[name][:, :1]) for name in first)
    assert spike_differences(fresh, stream) > 0


@pytest.mark.parametrize("backend", ["engine", "reference", "machine"])
@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_batches_of_a_stream_do_not_matter(backend, size):
    graph, x = network_and_input("long memory", seed=1)
    whole = sdt_lava.simulate(graph, x, backend, reset=False)
    assert_same(whole, sdt_lava.simulate(graph, x, backend, reset=False, batch_size=size))


@pytest.mark.lava
@pytest.mark.parametrize("network", NETWORKS)
def test_lava_runs_the_stream(network):
    graph, x = network_and_input(network, seed=2)
    engine = sdt_lava.simulate(graph, x, "engine", reset=False)
    assert_same(engine, sdt_lava.simulate(graph, x, "lava-inprocess", reset=False))


@pytest.mark.lava
@pytest.mark.slow
def test_lava_with_a_process_for_each_lava_process_runs_the_stream():
    graph, x = network_and_input("long memory", seed=2)
    engine = sdt_lava.simulate(graph, x, "engine", reset=False)
    assert_same(engine, sdt_lava.simulate(graph, x, "lava", reset=False, timeout=120))


def test_the_schedule_of_a_stream_resets_once():
    graph, _ = network_and_input("transformer")
    schedule = sdt_lava.compile(graph, reset=False).schedule
    usual = sdt_lava.compile(graph).schedule
    assert schedule.latency == usual.latency and schedule.delay == usual.delay
    for name, latency in schedule.latency.items():
        steps = np.arange(1, 10_000)  # Lava's time steps start at 1
        resets = steps[steps % schedule.reset_interval == schedule.reset_offset(name)]
        assert resets.tolist() == [latency + 1]


@pytest.mark.parametrize("backend", back_ends("reference", "engine", "machine", "lava"))
def test_overflow_without_a_leak_is_looked_for_over_the_whole_stream(backend):
    """The bound of one sample holds, that of the stream does not: the engine must look."""
    entry = Input(name="x", shape=(2,), low=0, high=1)
    dense = Dense(name="d", inputs=("x",), weight=np.full((1, 2), -254), exponent=7)
    lif = Lif(name="a", inputs=("d",), threshold=9, voltage_decay=0)
    graph = Graph.build([entry, dense, lif], 1)
    x = np.ones((3, 1, 2))
    with pytest.raises(sdt_lava.SdtLavaError, match="'a', step 2"):
        sdt_lava.simulate(graph, x, backend, reset=False)


def test_the_float_model_has_neither_streams_nor_timing():
    model = object()  # whatever is not a graph
    with pytest.raises(ConfigError, match="reset.*torch"):
        sdt_lava.simulate(model, np.zeros((1, 1, 8, 8)), reset=False)
    with pytest.raises(DataError, match="timing"):
        _ = Result("torch", np.zeros((1, 2)), {}, 0.0).timing


def test_timing():
    graph, x = network_and_input("transformer")
    result = sdt_lava.simulate(graph, x)
    timing, schedule = result.timing, sdt_lava.compile(graph).schedule
    assert timing.latency == schedule.latency["head.fc.relay"] == schedule.depth
    assert timing.first_result == schedule.depth + 3
    assert timing.steps == 15
    assert timing.samples_per_second == 5 / result.seconds
    assert timing.steps_per_second == 15 / result.seconds
    assert str(timing.latency) in str(timing)
    assert timing.to_dict()["first_result"] == timing.first_result


@pytest.mark.lava
def test_timing_of_lava_is_that_of_its_steps():
    graph, x = network_and_input("one step", samples=3)
    result = sdt_lava.simulate(graph, x, "lava-inprocess")
    timing = result.timing
    assert timing.seconds == result.execution.seconds["run"] < result.seconds
    assert timing.steps == result.compiled.schedule.machine_steps(3)
