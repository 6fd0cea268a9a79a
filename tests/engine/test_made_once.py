"""What is made once for a graph: its key holds all that it depends on."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from sdt_lava.counts.fused_counts import counted
from sdt_lava.engine import Engine, EngineOptions, RunRequest
from sdt_lava.ir import Conv, Dense, Flatten, Graph, Input, Lif
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_frames, random_sdt_graph


def flattened(rng, *, convolution: bool, high: int = 1) -> Graph:
    """Return a dense layer on an image, which it reads as it is or as a vector."""
    entry = Input(name="input", shape=(8, 6, 6), high=high)
    nodes, last = [entry], "input"
    if convolution:
        weight = 2 * rng.integers(-9, 9, (8, 8, 3, 3))
        nodes += [Conv(name="c", inputs=("input",), weight=weight, padding=(1, 1))]
        nodes += [Lif(name="l", inputs=("c",), threshold=20)]
        last = "l"
    weight = 2 * rng.integers(-100, 100, (128, 288))
    nodes += [
        Flatten(name="flat", inputs=(last,)),
        Dense(name="d", inputs=("flat",), weight=weight),
    ]
    return Graph.build([*nodes, Lif(name="out", inputs=("d",), threshold=100)], 4)


def frames_of(rng, graph, batch=3):
    values = rng.integers(
        graph.input.low, graph.input.high, (4, batch, *graph.input_shape), endpoint=True
    )
    return np.where(rng.random(values.shape) < 0.3, values, 0)


@pytest.mark.parametrize("convolution", [False, True])
@pytest.mark.parametrize("high", [1, 255])
@pytest.mark.parametrize("kernels", ["auto", "event", "float32"])
def test_every_order_of_what_is_wanted(convolution, high, kernels):
    """Other outputs, or counts, make a layer read another form of the same input."""
    rng = np.random.default_rng(high)
    keeps = [None, ("out",), ("flat", "out"), ("d",)]
    for order in permutations(range(len(keeps)), 2):
        graph = flattened(rng, convolution=convolution, high=high)
        frames = frames_of(rng, graph)
        want = run_reference(graph, frames, strict=False)
        for number in order:
            for strict, tracked in ((high == 1, False), (False, True)):
                options = EngineOptions(kernels=kernels)
                engine = Engine(graph, strict=strict, tracked=tracked, options=options)
                found = engine.run(frames, keeps[number])
                for name, values in found.items():
                    assert np.array_equal(values, want[name]), (name, order, number)
        what = counted(graph)
        if what is not None:
            engine = Engine(graph, strict=False, options=EngineOptions(kernels=kernels))
            found = engine.run(frames, RunRequest(("out",), counted=what.fan_out))
            assert np.array_equal(found["out"], want["out"]) and found.counts


def test_every_order_of_options_on_one_graph():
    rng = np.random.default_rng(0)
    graph = random_sdt_graph(rng, image=(2, 6, 6), channels=64)
    frames = random_frames(rng, graph, batch=3)
    want = run_reference(graph, frames, strict=False)
    for kernels in ("auto", "onednn", "event", "float32", "lookup", "int16", "auto"):
        for tracked in (False, True):
            for keep in (graph.lif_names, None):
                for steps in (slice(None), slice(0, 1)):
                    options = EngineOptions(kernels=kernels, batch_size=2)
                    engine = Engine(graph, strict=False, tracked=tracked, options=options)
                    for name, values in engine.run(frames[steps], keep).items():
                        assert np.array_equal(values, want[name][steps]), (kernels, tracked, name)


def test_what_is_counted_is_told_by_its_content():
    """An identity would be handed on when an array is gone, and kept when it is written to."""
    rng = np.random.default_rng(1)
    graph = flattened(rng, convolution=True)
    frames = frames_of(rng, graph)
    engine = Engine(graph)
    fan_out = np.ones((1, 6, 6), np.int64)
    for factor in (1, 2, 3, 2):
        fan_out[:] = factor
        given = {"l": fan_out} if factor < 3 else {"l": fan_out.copy()}
        events, reached = engine.run(frames, RunRequest((), counted=given)).counts["l"]
        assert events.any() and np.array_equal(reached, factor * events)
    plans = [key for key in graph.derived if key[0] == "engine plan"]
    assert len(plans) == 3
