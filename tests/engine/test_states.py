"""States of neurons from run to run: each has one owner, whoever computes the neuron."""

from __future__ import annotations

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.result import spike_differences
from sdt_lava.backends.streaming import as_samples, as_stream
from sdt_lava.engine import Engine, EngineOptions, RunRequest
from sdt_lava.errors import DataError, NumericOverflowError
from sdt_lava.ir import CubaLif, Dense, Graph, Input, Lif
from sdt_lava.ir.reference import run_reference
from tests.cuba_graphs import random_cuba_chain
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.needs import runnable

STEPS = 4


def slow_and_fast(rng, *, steps=STEPS, **slow) -> Graph:
    """Return neurons whose u remembers so much that no kernel computes them, between others."""
    rows = 2 * rng.integers(-127, 128, (64, 512))
    rows[0] = 254
    return Graph.build(
        [
            Input(name="input", shape=(512,)),
            Dense(name="a", inputs=("input",), weight=2 * rng.integers(-127, 128, (64, 512))),
            Lif(name="fast", inputs=("a",), threshold=2000, voltage_decay=1000),
            Dense(name="d", inputs=("input",), weight=rows),
            Lif(name="slow", inputs=("d",), threshold=2000, current_decay=256, **slow),
            Dense(name="e", inputs=("slow",), weight=2 * rng.integers(-60, 61, (10, 64))),
            Dense(name="f", inputs=("fast",), weight=2 * rng.integers(-60, 61, (10, 64))),
            Lif(name="out", inputs=("e", "f"), threshold=300),
        ],
        steps,
    )


def input_of(rng, graph, samples):
    if graph.input_shape == (512,):
        return (rng.random((samples, graph.timesteps, 512)) < 0.02).astype(np.uint8)
    return np.swapaxes(random_frames(rng, graph, batch=samples), 0, 1) / graph.input.scale


NETWORKS = {
    "left to the interpreter": slow_and_fast,
    "biased": lambda rng: slow_and_fast(rng, bias=rng.integers(-50, 51, 64)),
    "one step": lambda rng: slow_and_fast(rng, steps=1),
    "recurrent, delayed": lambda rng: random_cuba_chain(rng, shift=1),
    "transformer": lambda rng: random_sdt_graph(rng, image=(2, 5, 3), channels=4),
    "long memory": lambda rng: random_chain(rng),
}


def test_the_first_network_has_both_kinds_of_neurons():
    plan = Engine(slow_and_fast(np.random.default_rng(0))).plan()
    assert plan.populations == {"fast", "out"} and plan.has_generic


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", [0, 1])
def test_streams_in_batches(name, seed):
    rng = np.random.default_rng(seed)
    graph = NETWORKS[name](rng)
    x = input_of(rng, graph, 7)
    want = sdt_lava.simulate(graph, x, "reference", reset=False, strict=False)
    assert any(spikes.any() for spikes in want.spikes.values())
    for size, options in (
        *((size, {}) for size in (None, 1, 2, 3, 6)),
        (2, {"count": True}),
        (3, {"threads": 2}),
    ):
        got = sdt_lava.simulate(
            graph, x, "engine", reset=False, strict=False, batch_size=size, **options
        )
        assert spike_differences(want, got) == 0, (size, options)
        assert np.array_equal(want.logits, got.logits)
        if options.get("count"):
            assert got.counts.to_dict() == want.counts.to_dict()
    for backend in runnable(["lava-inprocess"]):
        lava = sdt_lava.simulate(graph, x, backend, reset=False, strict=False)
        assert spike_differences(want, lava) == 0


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kernels", ["auto", "event", "float32", "interpreter"])
def test_runs_that_go_on(name, kernels):
    rng = np.random.default_rng(3)
    graph = NETWORKS[name](rng)
    frames = np.ascontiguousarray(random_frames(rng, graph, batch=6))
    if graph.input_shape == (512,):
        frames = (rng.random(frames.shape) < 0.02).astype(np.int64)
    want = run_reference(graph, as_stream(frames), strict=False)
    engine = Engine(graph, strict=False, options=EngineOptions(kernels=kernels))
    states, done = {}, 0
    for size in (1, 2, 1, 1, 1):
        part = as_stream(frames[:, done : done + size])
        given = {key: tuple(array.copy() for array in value) for key, value in states.items()}
        before = dict(states)
        found = engine.run(part, RunRequest(graph.lif_names, states=states))
        for name, arrays in before.items():
            # What was given is not written to.
            assert all(map(np.array_equal, arrays, given[name]))
        for name in graph.lif_names:
            expected = want[name][done * len(frames) : (done + size) * len(frames)]
            assert np.array_equal(found[name], expected), (name, done)
        done += size
    assert states.keys() == set(graph.lif_names)
    fresh = engine.run(frames, graph.lif_names)
    assert np.array_equal(as_samples(want[name], len(frames))[:, :1], fresh[name][:, :1])


@pytest.mark.parametrize("kernels", ["auto", "interpreter"])
def test_a_run_that_raises_leaves_the_states_as_they_were(kernels):
    rng = np.random.default_rng(0)
    graph = slow_and_fast(rng)
    engine = Engine(graph, options=EngineOptions(kernels=kernels))
    calm = (rng.random((STEPS, 1, 512)) < 0.02).astype(np.int64)
    signs = graph.nodes["d"].weight[0] > 0
    storm = np.broadcast_to(signs.astype(np.int64), (STEPS * 40, 1, 512))
    states = {}
    engine.run(calm, RunRequest(states=states))
    before = dict(states)
    with pytest.raises(NumericOverflowError):
        engine.run(storm, RunRequest(states=states))
    assert states.keys() == before.keys()
    assert all(states[name] is before[name] for name in before)
    want = run_reference(graph, np.concatenate([calm, calm]), strict=False)
    assert np.array_equal(
        engine.run(calm, RunRequest(["out"], states=states))["out"], want["out"][STEPS:]
    )


def test_plain_cuba_neurons_keep_their_state():
    rng = np.random.default_rng(5)
    nodes = list(slow_and_fast(rng).nodes.values())
    nodes[2] = CubaLif(
        name="fast", inputs=("a",), threshold=2000, voltage_decay=rng.integers(0, 4097, 64)
    )
    graph = Graph.build(nodes, STEPS)
    x = input_of(rng, graph, 5)
    want = sdt_lava.simulate(graph, x, "reference", reset=False)
    got = sdt_lava.simulate(graph, x, "engine", reset=False, batch_size=1)
    assert spike_differences(want, got) == 0


WRONG_STATES = {
    "other samples": lambda u, v: {"out": (u[:1], v[:1])},
    "one array": lambda u, v: {"out": (u,)},
    "no tuple": lambda u, v: {"out": u},
    "a list of lists": lambda u, v: {"out": (u.tolist(), v.tolist())},
    "transposed": lambda u, v: {"out": (u.T, v.T)},
    "broadcastable": lambda u, v: {"out": (u[:, :1], v[:, :1])},
    "fractions": lambda u, v: {"out": (u * 0.5, v * 0.5)},
    "no neurons": lambda u, v: {"e": (u, v)},
    "no such node": lambda u, v: {"x": (u, v)},
}


@pytest.mark.parametrize("wrong", WRONG_STATES)
@pytest.mark.parametrize("kernels", ["auto", "interpreter", "reference"])
def test_states_of_other_shapes_are_refused(kernels, wrong):
    rng = np.random.default_rng(0)
    graph = slow_and_fast(rng)
    frames = (rng.random((STEPS, 3, 512)) < 0.02).astype(np.int64)
    u, v = np.zeros((3, 10), np.int64), np.zeros((3, 10), np.int64)
    states = WRONG_STATES[wrong](u, v)
    with pytest.raises(DataError, match="states of"):
        if kernels == "reference":
            run_reference(graph, frames, states=states)
        else:
            Engine(graph, options=EngineOptions(kernels=kernels)).run(
                frames, RunRequest(states=states)
            )


def test_history_of_delayed_neurons_has_the_shape_of_their_delay():
    rng = np.random.default_rng(5)
    nodes = list(slow_and_fast(rng).nodes.values())
    nodes[2] = CubaLif(
        name="fast", inputs=("a",), threshold=2000, voltage_decay=1000, current_decay=4096, delay=3
    )
    graph = Graph.build(nodes, STEPS)
    frames = (rng.random((STEPS, 2, 512)) < 0.02).astype(np.int64)
    states: dict = {}
    engine = Engine(graph, strict=False)
    engine.run(frames, RunRequest(states=states))
    engine.run(frames, RunRequest(states=states))
    u, v, history = states["fast"]
    with pytest.raises(DataError, match="states of 'fast'"):
        engine.run(frames, RunRequest(states={"fast": (u, v, history[:-1])}))
