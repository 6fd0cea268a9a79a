"""Plans without torch: the same spikes by kernels of our own, and torch where it is worth it."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava.engine import Engine, EngineOptions, planner
from sdt_lava.engine.plan.synaptic import SynapticOperation
from sdt_lava.ir import Conv, Graph, Input, Lif, TokenDilate
from sdt_lava.ir.reference import run_reference
from sdt_lava.support.allocation import GUARDS
from tests.engine.layers import CASES, assert_exact
from tests.graphs import GraphMaker, random_frames, random_sdt_graph

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def unloaded(monkeypatch):
    """Let plans believe that nobody has imported torch."""
    monkeypatch.setattr(planner, "torch_is_loaded", lambda: False)


def kernel_names(engine):
    plan = engine.plan(engine.graph.lif_names)
    layers = [op for op in plan.operations if isinstance(op, SynapticOperation)]
    return [op.describe() for op in layers]


@settings(max_examples=40, deadline=None)
@given(case=CASES, guard=st.sampled_from(GUARDS))
def test_layers_of_any_shape(case, guard):
    graph = case.graph()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "torch_is_loaded", lambda: False)
        assert_exact(graph, case.frames(graph), guard=guard)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), fill=st.sampled_from(["random", "saturated"]))
def test_transformers(seed, fill):
    rng = np.random.default_rng(seed)
    graph = random_sdt_graph(rng, image=(2, 6, 5), channels=16, timesteps=3)
    frames = random_frames(rng, graph, batch=3)
    if fill == "saturated":
        frames[:] = graph.input.high
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "torch_is_loaded", lambda: False)
        assert_exact(graph, frames)


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("shape", [(3, 15, 15), (200,)])
def test_large_windows_of_payloads(unloaded, shape, guard):
    rng = np.random.default_rng(0)
    maker = GraphMaker(rng)
    maker.input(shape, -255, 255)
    first = (
        maker.conv("first", "input", 70, (7, 7), stride=(2, 2), padding=(3, 3))
        if len(shape) == 3
        else maker.dense("first", "input", 70)
    )
    maker.lif("lif", first)
    graph = maker.graph(2)
    frames = rng.integers(-255, 256, (2, 3, *shape))
    frames[0, 0] = 255
    assert_exact(graph, frames, guard=guard)
    engine = Engine(graph, options=EngineOptions(guard=guard))
    assert kernel_names(engine) == ["int16"]


def busy_graph():
    rng = np.random.default_rng(1)
    weight = 2 * rng.integers(-60, 60, (64, 32, 3, 3))
    nodes = [
        Input(name="input", shape=(32, 6, 6)),
        Conv(name="conv", inputs=("input",), weight=weight, padding=(1, 1)),
        Lif(name="lif", inputs=("conv",), threshold=300),
    ]
    return Graph.build(nodes, 2)


def test_torch_comes_when_a_layer_has_enough_work(unloaded, monkeypatch, caplog):
    graph = busy_graph()
    frames = np.ones((2, 4, *graph.input_shape), np.int64)
    expected = run_reference(graph, frames)["lif"]
    # The second of two runs of four samples passes it.
    macs = 64 * 32 * 9 * 36
    monkeypatch.setattr(planner, "_WORTH_TORCH", macs * 2 * 6)
    caplog.set_level(logging.INFO, planner.__name__)
    for number in range(2):
        found = Engine(graph, tracked=False).run(frames, ["lif"])["lif"]
        assert np.array_equal(found, expected) and expected.any()
        assert ("torch is imported" in caplog.text) == bool(number)
    assert "kernels without torch" in caplog.text and "kernels with torch" in caplog.text
    assert "multiplications in one layer" in caplog.text


@pytest.mark.parametrize("kind", ["large weights", "no kernel", "asked for", "no room"])
def test_torch_comes_where_no_kernel_of_ours_can(unloaded, monkeypatch, caplog, kind):
    rng = np.random.default_rng(2)
    options = EngineOptions()
    nodes = [Input(name="input", shape=(8, 4, 4))]
    weight = 2 * rng.integers(-60, 60, (16, 8, 3, 3))
    if kind == "large weights":
        weight = weight * 77
    nodes.append(Conv(name="conv", inputs=("input",), weight=weight, padding=(1, 1)))
    nodes.append(Lif(name="lif", inputs=("conv",), threshold=200))
    if kind == "no kernel":
        nodes.append(TokenDilate(name="dilate", inputs=("lif",), heads=2))
    elif kind == "asked for":
        options = EngineOptions(kernels="onednn")
    elif kind == "no room":
        monkeypatch.setattr(planner.Planner, "_table_room", lambda planner: 1000)
    graph = Graph.build(nodes, 2)
    frames = rng.integers(0, 2, (2, 2, 8, 4, 4))
    caplog.set_level(logging.INFO, planner.__name__)
    expected = run_reference(graph, frames)
    for name, values in Engine(graph, options=options).run(frames).items():
        assert np.array_equal(values, expected[name]), name
    assert "torch is imported" in caplog.text


PROGRAM = """
import sys
import numpy as np
import sdt_lava
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_chain, random_frames, random_sdt_graph

for seed in range(6):
    rng = np.random.default_rng(seed)
    graph = random_chain(rng, timesteps=3) if seed % 2 else random_sdt_graph(rng, timesteps=2)
    frames = random_frames(rng, graph, batch=2)
    result = sdt_lava.simulate(graph, frames.swapaxes(0, 1), "engine", threads=2, count=True)
    expected = run_reference(graph, result.integer_run("run")[1])
    for name, spikes in result.spikes.items():
        assert np.array_equal(spikes, expected[name]), name
    assert result.synops.total >= 0
assert "torch" not in sys.modules, "imported"
"""


def test_a_process_without_torch():
    command = [sys.executable, "-c", PROGRAM]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("told, expected", [("3", 3), ("2,4", 2), ("", None), ("x", None)])
def test_threads_are_those_that_torch_would_use(monkeypatch, told, expected):
    from sdt_lava.support import torch_use

    monkeypatch.setattr(torch_use, "torch_is_loaded", lambda: False)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    found = torch_use.default_threads()
    assert found == expected if expected else found >= 1
