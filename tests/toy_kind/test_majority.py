"""The toy network does all that a network of the library's own kinds does."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.deployment import compile_network
from sdt_lava.engine import Engine
from sdt_lava.hardware.core_map import map_cores
from sdt_lava.hardware.rules import check_rules
from sdt_lava.ir import Conv, Flatten, Gate, Graph, Input, Lif, Readout
from sdt_lava.ir.bounds import bound
from sdt_lava.ir.encoding import encode
from sdt_lava.ir.reference import run_reference
from sdt_lava.quantize.changes import count_changes
from sdt_lava.quantize.post_training import CalibrationData, quantize
from sdt_lava.report.counting import count
from sdt_lava.report.page.collect import ReportOptions, collect_report
from sdt_lava.report.page.write import write_report
from tests.needs import back_ends
from tests.toy_kind.majority import Majority

STEPS = 3


def float_network(needed: int = 2) -> Graph:
    rng = np.random.default_rng(7)
    nodes = (
        Input(name="input", shape=(2, 9, 8), low=0, high=255, scale=255.0),
        Conv(
            name="conv1",
            inputs=("input",),
            weight=rng.normal(0.1, 0.4, (5, 2, 3, 3)),
            bias=rng.normal(0, 0.1, 5),
            padding=(1, 1),
        ),
        Lif(name="lif1", inputs=("conv1",), threshold=1.0),
        Majority(name="pool", inputs=("lif1",), kernel=3, stride=2, needed=needed),
        Conv(name="conv2", inputs=("pool",), weight=rng.normal(0.2, 0.5, (4, 5, 2, 2))),
        Lif(name="lif2", inputs=("conv2",), threshold=1.0),
        Flatten(name="flat", inputs=("lif2",)),
        Readout(
            name="head",
            inputs=("flat",),
            weight=rng.normal(0, 0.3, (3, 4 * 3 * 2)),
            bias=rng.normal(0, 0.1, 3),
        ),
    )
    return Graph.build(nodes, STEPS)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(3).random((4, 2, 9, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def net(x, tmp_path_factory) -> Graph:
    """The network as it comes back from its file."""
    exported, report = quantize(float_network(), calibration=CalibrationData(x, "noise"))
    assert report.spikes is not None
    path = tmp_path_factory.mktemp("toy") / "net.h5"
    sdt_lava.save_network(exported, path)
    loaded = sdt_lava.load_network(path)
    written, read = exported.nodes["pool"], loaded.nodes["pool"]
    for field in fields(Majority):
        assert getattr(read, field.name) == getattr(written, field.name), field.name
    return loaded


def test_it_takes_one_class_and_at_most_four_registrations():
    module = ast.parse(Path(__file__).with_name("majority.py").read_text())
    classes = [part for part in module.body if isinstance(part, ast.ClassDef)]
    functions = [part for part in module.body if isinstance(part, ast.FunctionDef)]
    called = [part for part in module.body if isinstance(part, ast.Expr | ast.Assign)]
    calls = [part for part in called if isinstance(part.value, ast.Call)]
    decorators = [mark for function in functions for mark in function.decorator_list]
    assert len(classes) == 1
    assert len(calls) + len(decorators) == 3 <= 4
    # Nothing but these, imports and the text that says what it is.
    assert len(module.body) == 1 + sum(
        isinstance(part, ast.Import | ast.ImportFrom) for part in module.body
    ) + len(classes) + len(functions) + len(calls)


def test_the_float_network_computes_the_same_with_few_changes(net, x):
    from sdt_lava.ir.biases import gather_biases
    from sdt_lava.quantize.float_run import teacher_of

    gathered = gather_biases(float_network())
    sent = teacher_of(gathered)(x)
    assert 0.05 < sent["lif2"].mean() < 0.95
    changes = count_changes(gathered, net, CalibrationData(x, "noise"), teacher_of(gathered))
    for layer in changes.layers:
        assert layer.forced < 0.02 * layer.decisions, layer


@pytest.mark.parametrize("needed", [1, 2, 9])
def test_the_pool_is_what_it_says(net, x, needed):
    graph = net.rebuild(
        Majority(name="pool", inputs=node.inputs, kernel=3, stride=2, needed=needed)
        if node.name == "pool"
        else node
        for node in net
    )
    values = run_reference(graph, encode(graph, x))
    spikes = values["lif1"]
    for row, column in np.ndindex(4, 3):
        window = spikes[..., 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        expected = window.sum(axis=(-2, -1)) >= needed
        assert np.array_equal(values["pool"][..., row, column], expected)
    lowered = compile_network(graph).graph
    assert isinstance(lowered.nodes["pool"], Gate)
    assert np.array_equal(run_reference(lowered, encode(graph, x))["pool"], values["pool"])


@pytest.mark.parametrize("backend", back_ends("engine", "machine", "lava-inprocess", "lava"))
def test_every_back_end_gives_the_same(net, x, backend):
    expected = sdt_lava.simulate(net, x, "reference")
    found = sdt_lava.simulate(net, x, backend)
    assert 0 < expected.spikes["lif2"].mean() < 1
    assert np.array_equal(found.logits, expected.logits)
    for name in net.lif_names:
        assert np.array_equal(found.spikes[name], expected.spikes[name]), name


def test_the_engine_has_no_kernel_for_it_and_is_exact(net, x):
    frames = encode(net, x)
    found, expected = Engine(net).run(frames), run_reference(net, frames)
    for name in net.nodes:
        assert np.array_equal(found[name], expected[name]), name


def test_it_is_bounded(net):
    low, high = bound(net).intervals["pool"]
    assert set(low) == {0} and set(high) == {1}


@pytest.mark.parametrize("backend", ["engine", "reference"])
def test_it_is_counted(net, x, backend):
    result = sdt_lava.simulate(net, x, backend, count=True)
    pool = next(layer for layer in count(result).layers if layer.name == "pool")
    values = run_reference(net, encode(net, x))
    assert np.array_equal(pool.events, values["pool"].sum(axis=(2, 3, 4)))
    reached = np.zeros((9, 8), np.int64)
    for row, column in np.ndindex(4, 3):
        reached[2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += 1
    assert np.array_equal(pool.operations("pool"), (values["lif1"] * reached).sum(axis=(2, 3, 4)))


def test_it_is_checked_and_mapped(net):
    compiled = compile_network(net, target="loihi2")
    assert not [found for found in check_rules(compiled) if found.severity == "error"]
    assert "pool" in {layer.name for layer in map_cores(compiled).layers}


def test_it_is_reported(net, x, tmp_path):
    labels = np.array([0, 1, 2, 0])
    options = ReportOptions(target="loihi2", others=("reference",))
    run = {"network": "toy", "data": "noise"}
    page = write_report(collect_report(net, x, labels, run, options), tmp_path)
    assert "pool" in page.read_text()
