"""Kernels that are wrong on a machine are found before their first use, and not used."""

from __future__ import annotations

import json
import logging
from importlib import import_module

import numpy as np
import pytest
import torch

from sdt_lava.engine import Engine, EngineOptions, dense, exact, trials
from sdt_lava.engine.exact import ExactSums
from sdt_lava.engine.plan.synaptic import SynapticOperation
from sdt_lava.engine.synapses import Weights, Window
from sdt_lava.errors import ResourceError
from sdt_lava.ir import Conv, Graph, Input, Lif, OrPool
from sdt_lava.ir.reference import run_reference
from sdt_lava.kernels import verdicts

PLAN = "sdt_lava.engine.plan"
LOOPS = dense.Loops.name
ALL = (*trials.SUMS, trials.SIGNALS, trials.DENSE, LOOPS)


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Nothing has been tried yet; returns where it is noted."""
    monkeypatch.setattr(verdicts, "_VERDICTS", {})
    monkeypatch.setattr(verdicts, "cache_folder", lambda function: tmp_path)
    return tmp_path


def network(low=0, high=1, channels=70):
    rng = np.random.default_rng(0)
    weight, second = (2 * rng.integers(-60, 60, (64, c, 3, 3)) for c in (channels, 64))
    nodes = [
        Input(name="input", shape=(channels, 6, 5), low=low, high=high),
        Conv(name="conv", inputs=("input",), weight=weight, padding=(1, 1), exponent=-2),
        Lif(name="lif", inputs=("conv",), threshold=150),
        OrPool(name="pool", inputs=("lif",), kernel=2, stride=2),
        Conv(name="conv2", inputs=("pool",), weight=second, padding=(1, 1)),
        Lif(name="lif2", inputs=("conv2",), threshold=400),
    ]
    graph = Graph.build(nodes, 2)
    return graph, rng.integers(low, high + 1, (2, 2, channels, 6, 5))


def assert_as_the_reference(graph, frames, **options):
    engine = Engine(graph, options=EngineOptions(**options))
    expected = run_reference(graph, frames)
    for name, values in engine.run(frames, graph.lif_names).items():
        assert np.array_equal(values, expected[name]) and values.any(), name
    return engine


def passes(name):
    if name == LOOPS:
        return verdicts.is_exact(LOOPS, exact._problem_of_loops)
    return trials.passes(name)


def used(engine):
    operations = engine.plan(engine.graph.lif_names).operations
    layers = [op for op in operations if isinstance(op, SynapticOperation)]
    return {kernel.name for layer in layers for kernel in layer.kernels}


def nothing(*arguments):
    """A kernel that computes nothing."""


def failing(*arguments):
    raise RuntimeError("LLVM says no")


@pytest.mark.parametrize("name", [name for name in ALL if name != LOOPS])
def test_trials_are_alive_and_no_value_leaves_its_register(fresh, name):
    fired = []
    for trial in trials._TRIALS[name]():
        found = run_reference(trial.graph, trial.frames, strict=True)
        fired += [found[lif].mean() for lif in trial.graph.lif_names]
    assert max(fired) > 0.2 and np.mean(fired) < 0.9


@pytest.mark.parametrize("name", ALL)
def test_what_is_right_is_noted_and_not_tried_again(fresh, monkeypatch, caplog, name):
    caplog.set_level(logging.INFO, verdicts.__name__)
    assert passes(name)
    assert f"kernel {name} is exact on numba" in caplog.text
    (path,) = fresh.glob("exact-*.json")
    assert name in json.loads(path.read_text())["exact"]
    tried = []
    monkeypatch.setattr(trials, "_problem", lambda name: tried.append(name) or "")
    monkeypatch.setattr(exact, "_problem_of_loops", lambda: tried.append(LOOPS) or "")
    verdicts._VERDICTS.clear()
    assert passes(name) and not tried
    # Another compiler or processor, or a damaged file.
    for change in ("combination", "damage"):
        verdicts._VERDICTS.clear()
        if change == "combination":
            monkeypatch.setattr(verdicts, "combination", lambda: "numba 99, another processor")
        else:
            for path in fresh.glob("exact-*.json"):
                path.write_text('{"exact": 3')
        assert passes(name) and tried.pop() == name


def test_a_folder_that_cannot_be_written_costs_time_only(fresh, monkeypatch, tmp_path):
    for folder in (tmp_path / "missing", None):
        monkeypatch.setattr(verdicts, "cache_folder", lambda function, folder=folder: folder)
        verdicts._VERDICTS.clear()
        assert trials.passes("lookup")


@pytest.mark.parametrize("wrong", [nothing, failing])
@pytest.mark.parametrize(
    "name, low, channels", [("event", 0, 70), ("lookup", 0, 3), ("int16", -9, 3)]
)
def test_a_wrong_kernel_of_sums_is_left_out(fresh, monkeypatch, caplog, wrong, name, low, channels):
    graph, frames = network(low, 9 if low else 1, channels)
    assert name in used(assert_as_the_reference(graph, frames))
    verdicts._VERDICTS.clear()
    for path in fresh.iterdir():
        path.unlink()
    module = {"int16": "product", "event": "event", "lookup": "lookup"}[name]
    kernels = import_module(f"{PLAN}.{module}_kernel")
    monkeypatch.setattr(kernels, f"{module}_rows", wrong)
    graph, frames = network(low, 9 if low else 1, channels)
    assert name not in used(assert_as_the_reference(graph, frames))
    assert f"kernel {name} is not used: it" in caplog.text
    assert all(name not in json.loads(path.read_text())["exact"] for path in fresh.iterdir())


@pytest.mark.parametrize("function", ["or_pool_rows", "max_pool_rows", "fire_rows"])
def test_a_wrong_kernel_of_signals_leaves_all_to_the_interpreter(
    fresh, monkeypatch, caplog, function
):
    monkeypatch.setattr(import_module(f"{PLAN}.signals"), function, nothing)
    graph, frames = network()
    engine = assert_as_the_reference(graph, frames)
    assert not [key for key in graph.derived if key[0] == "engine plan"]
    assert "kernel signals is not used: it differs from the reference" in caplog.text
    assert engine.run(frames)["lif"].any()


def test_what_surrounds_a_wrong_operator_is_refused_with_a_remedy(fresh, monkeypatch):
    monkeypatch.setattr(import_module(f"{PLAN}.dense_kernel"), "spread_rows", nothing)
    graph, frames = network()
    with pytest.raises(ResourceError, match="kernels: wrong results on this processor"):
        Engine(graph, options=EngineOptions(kernels="float32")).run(frames)
    assert_as_the_reference(graph, frames, kernels="interpreter")


def test_loops_that_are_wrong_are_refused(fresh, monkeypatch):
    weights = Weights(np.ones((2, 3, 1, 1), np.int64), Window((1, 1)), (0, 1))
    events = torch.ones((1, 3, 2, 2), dtype=torch.int64)
    assert ExactSums(weights, "layer", [dense.Loops]).sums(events).eq(3).all()
    verdicts._VERDICTS.clear()
    for path in fresh.iterdir():
        path.unlink()
    monkeypatch.setattr(dense, "add_up", nothing)
    with pytest.raises(ResourceError, match="layer: no way to add up its weights"):
        ExactSums(weights, "layer", [dense.Loops]).sums(events)
