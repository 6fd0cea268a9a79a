"""Every kernel, forced, against the reference: every node, every step."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava.engine import KERNELS, RunRequest
from sdt_lava.engine.exact import byte_products_differ
from sdt_lava.engine.plan.synaptic import SynapticOperation
from sdt_lava.errors import NumericOverflowError
from sdt_lava.ir.reference import run_reference
from sdt_lava.support.allocation import GUARDS
from tests.engine.layers import CASES, always_threads, assert_exact, layer, run
from tests.graphs import random_chain, random_frames, random_sdt_graph


def usage(engine, keep=None):
    """How often each kernel ran, over all layers."""
    layers = [op for op in engine.plan(keep).operations if isinstance(op, SynapticOperation)]
    return {
        name: count for layer in layers for name, count in layer.usage.items() if count > 0
    }  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(case=CASES, tracked=st.booleans(), guard=st.sampled_from(GUARDS))
def test_layers_of_any_shape(case, tracked, guard):
    graph = case.graph()
    frames = case.frames(graph)
    for kernels in KERNELS:
        assert_exact(graph, frames, kernels=kernels, tracked=tracked, guard=guard)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    channels=st.sampled_from([1, 3, 16, 64, 70]),
    timesteps=st.integers(1, 4),
    downsampling=st.sampled_from(["or", "max", "stride", "subsample", "none"]),
    heads=st.sampled_from([0, 0, 2]),
    fill=st.sampled_from(["random", "zero", "saturated", "static"]),
)
def test_transformers(seed, sides, channels, timesteps, downsampling, heads, fill):
    rng = np.random.default_rng(seed)
    graph = random_sdt_graph(
        rng, image=(2, *sides), channels=channels * max(heads, 1), timesteps=timesteps,
        downsampling=downsampling, dilation_heads=heads,
    )  # fmt: skip
    frames = random_frames(rng, graph, batch=3)
    if fill in ("zero", "saturated"):
        frames[:] = graph.input.low if fill == "zero" else graph.input.high
    elif fill == "static":
        frames[:] = frames[0]
    for kernels in KERNELS:
        assert_exact(graph, frames, kernels=kernels, batch_size=int(rng.integers(1, 4)))


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_the_rows(threads, monkeypatch):
    always_threads(monkeypatch)
    for seed, sides in enumerate(((9, 8), (2, 5), (1, 1))):
        rng = np.random.default_rng(seed)
        kind = "max" if seed else "or"
        graph = random_sdt_graph(rng, image=(2, *sides), channels=70, downsampling=kind)
        frames = random_frames(rng, graph, batch=2)
        for kernels in ("auto", "event", "onednn"):
            assert_exact(graph, frames, kernels=kernels, threads=threads)


def test_an_error_in_one_thread_ends_all(monkeypatch):
    always_threads(monkeypatch)
    rng = np.random.default_rng(1)
    graph = random_sdt_graph(rng, channels=16)
    frames = random_frames(rng, graph)
    run(graph, frames, threads=2)

    def fail(*_):
        raise RuntimeError("broken kernel")

    signals = import_module("sdt_lava.engine.plan.signals")
    monkeypatch.setattr(signals, "fire_rows", fail)
    with pytest.raises(RuntimeError, match="broken kernel"):
        # Another graph: the plan of this one has its kernels.
        run(random_sdt_graph(np.random.default_rng(1), channels=16), frames, threads=2)


def test_a_quiet_layer_runs_by_events_and_a_busy_one_does_not():
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-100, 100, (64, 128, 3, 3))
    graph = layer(weight)
    frames = np.zeros((2, 1, 128, 3, 3), np.int64)
    frames[:, :, ::10] = 1
    assert set(usage(run(graph, frames)[1])) == {"event"}
    frames[:] = 1
    assert set(usage(run(graph, frames)[1])) == {"event", "onednn"}, "the plan is kept"
    busy = layer(weight)
    assert set(usage(run(busy, frames)[1])) == {"onednn"}


@pytest.mark.parametrize(
    ("weight", "fields", "kernel"),
    [
        (np.full((2, 15, 3, 3), 2), {"high": 255}, "onednn"),
        (np.full((2, 15, 3, 3), 2), {"low": -1, "high": 5}, "float32"),
        # An odd weight of more than seven bits.
        (np.full((2, 15, 3, 3), 255), {"high": 255}, "float32"),
        # Sums of up to 2^24 and more.
        (np.full((2, 900, 3, 3), 255), {"high": 255}, "float64"),
    ],
)
def test_a_dense_kernel_is_used_only_where_it_is_exact(weight, fields, kernel, caplog):
    if kernel == "onednn" and byte_products_differ():
        kernel = "float32"
    graph = layer(weight, **fields)
    frames = np.full((2, 1, *graph.input_shape), graph.input.high, np.int64)
    with caplog.at_level("DEBUG"):
        for wanted in ("auto", "onednn", "float32", "event"):
            engine = assert_exact(graph, frames, kernels=wanted)
        assert f"dense kernel {kernel}" in caplog.text
    allowed = {kernel, "float32"} if kernel == "onednn" else {kernel}
    assert set(usage(engine)) <= allowed


@pytest.mark.parametrize(
    ("weight", "fields", "kernel"),
    [
        (np.full((2, 3, 5, 5), 254), {}, "lookup"),
        # As many inputs in a row as a word can hold at any place.
        (np.full((2, 19, 3, 3), 254), {}, "lookup"),
        (np.full((2, 20, 3, 3), 254), {}, "event"),
        # Sums of up to 2^15 and more.
        (np.full((2, 8, 6, 7), 254), {}, "event"),
        (np.full((2, 3, 5, 5), 2), {"dilation": (1, 2), "padding": (0, 3)}, "event"),
        (np.full((2, 3, 5, 5), 2), {"dilation": (2, 1), "padding": (3, 2)}, "lookup"),
        (np.full((2, 3, 5, 5), 254), {"low": -128, "high": 127}, "int16"),
        (np.full((2, 3, 5, 5), 255), {"low": -(2**15) + 1, "high": 2**15 - 1}, "int16"),
        (np.full((2, 3, 5, 5), 255), {"low": -(2**15), "high": 0}, "float64"),
        (np.full((2, 14, 3, 3), 2), {"low": -1}, "int16"),
        (np.full((2, 15, 3, 3), 2), {"low": -1}, "float32"),
        (np.full((2, 3, 5, 5), 2), {"low": -1, "dilation": (1, 2), "padding": (0, 2)}, "float32"),
    ],
)
def test_small_windows_have_kernels_of_their_own(weight, fields, kernel):
    graph = layer(weight, **fields)
    low, high = graph.input.low, graph.input.high
    shape = (2, 1, *graph.input_shape)
    frames = np.random.default_rng(0).choice([low, high], shape, p=[0.8, 0.2])
    engine = assert_exact(graph, frames)
    assert set(usage(engine)) == {kernel}


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("weight", [254, -254])
def test_overflow_is_found_by_every_kernel(kernels, weight):
    graph = layer(np.full((3, 70, 3, 3), weight), steps=3, exponent=7)
    frames = np.ones((3, 2, 70, 3, 3), np.int64)
    with pytest.raises(NumericOverflowError, match="'conv', step 0: sum"):
        run(graph, frames, strict=True, kernels=kernels)
    assert_exact(graph, frames, kernels=kernels)


@pytest.mark.parametrize("kernels", ["auto", "event", "lookup", "onednn", "float32"])
def test_states_go_on_from_run_to_run(kernels):
    rng = np.random.default_rng(6)
    for graph in (random_sdt_graph(rng, channels=65), random_chain(rng, timesteps=4)):
        frames = random_frames(rng, graph, batch=2)
        expected = run_reference(graph, frames, strict=False)
        _, engine = run(graph, frames, kernels=kernels)
        states = {}
        for step in range(graph.timesteps):
            found = engine.run(frames[step : step + 1], RunRequest(graph.lif_names, states=states))
            for name, spikes in found.items():
                assert np.array_equal(spikes[0], expected[name][step]), (name, step)


def test_the_largest_values_are_those_of_the_interpreter():
    rng = np.random.default_rng(7)
    graph = random_sdt_graph(rng, channels=66, blocks=2)
    frames = random_frames(rng, graph, batch=3)
    wanted = run(graph, frames, tracked=True, kernels="interpreter")[1].extremes
    for kernels in KERNELS:
        for keep in (None, ()):
            _, engine = run(graph, frames, keep, tracked=True, kernels=kernels)
            assert engine.extremes == wanted, kernels
