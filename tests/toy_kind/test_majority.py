"""The toy network does all that a network of the library's own kinds does."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import sdt_lava
from sdt_lava.backends.deployment import compile_network
from sdt_lava.engine import Engine
from sdt_lava.hardware.core_map import map_cores
from sdt_lava.hardware.rules import check_rules
from sdt_lava.importers.tracing.tracer import trace
from sdt_lava.ir import Gate, Graph
from sdt_lava.ir.biases import gather_biases
from sdt_lava.ir.bounds import bound
from sdt_lava.ir.encoding import encode, to_time_first
from sdt_lava.ir.reference import run_reference
from sdt_lava.quantize.changes import count_changes
from sdt_lava.quantize.float_run import evaluate, teacher_of
from sdt_lava.quantize.post_training import CalibrationData, quantize
from sdt_lava.report.counting import count
from sdt_lava.report.page.collect import ReportOptions, collect_report
from sdt_lava.report.page.write import write_report
from tests.importers.library_neurons import MultiStepLIFNode
from tests.needs import back_ends
from tests.toy_kind.majority import Majority, majority

STEPS = 3


class Model(nn.Module):
    """A network as a user writes it, with a pool that the library does not know."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2 = nn.Conv2d(2, 5, 3, padding=1), nn.Conv2d(5, 4, 2)
        self.lif1, self.lif2 = MultiStepLIFNode(v_threshold=0.2), MultiStepLIFNode(v_threshold=0.1)
        self.head = nn.Linear(4 * 3 * 2, 3)
        with torch.no_grad():
            self.conv2.weight.mul_(2).add_(0.1)

    def forward(self, x):
        x = x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1)
        x = self.lif1(self.conv1(x.flatten(0, 1)).unflatten(0, (STEPS, -1)))
        x = majority(x.flatten(0, 1), 3, 2, 2)
        x = self.lif2(self.conv2(x).unflatten(0, (STEPS, -1)))
        return self.head(x.flatten(2)).mean(0)


@pytest.fixture(scope="module")
def float_graph(x) -> Graph:
    return trace(Model().eval(), x, levels=(255.0, 0, 255))


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(3).random((4, 2, 9, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def net(x, float_graph, tmp_path_factory) -> Graph:
    """The network as it comes back from its file."""
    exported, report = quantize(float_graph, calibration=CalibrationData(x, "noise"))
    assert report.spikes is not None
    path = tmp_path_factory.mktemp("toy") / "net.h5"
    sdt_lava.save_network(exported, path)
    loaded = sdt_lava.load_network(path)
    written, read = exported.nodes["majority"], loaded.nodes["majority"]
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
    assert len(calls) + len(decorators) == 4
    # Nothing but these, imports and the text that says what it is.
    assert len(module.body) == 1 + sum(
        isinstance(part, ast.Import | ast.ImportFrom) for part in module.body
    ) + len(classes) + len(functions) + len(calls)


def test_the_float_graph_is_the_model(float_graph, x):
    (pool,) = float_graph.of_type(Majority)
    assert (pool.kernel, pool.stride, pool.needed) == (3, 2, 2)
    frames = torch.from_numpy(to_time_first(x, x.shape[1:], STEPS).astype(np.float64))
    values = evaluate(float_graph, frames)
    with torch.no_grad():
        expected = Model().eval().double()(torch.from_numpy(x).double())
    assert torch.allclose(values[float_graph.output_name].mean(0), expected)


def test_few_spikes_change(float_graph, net, x):
    gathered = gather_biases(float_graph)
    changes = count_changes(gathered, net, CalibrationData(x, "noise"), teacher_of(gathered))
    for layer in changes.layers:
        assert layer.forced < 0.02 * layer.decisions, layer


@pytest.mark.parametrize("needed", [1, 2, 9])
def test_the_pool_is_what_it_says(net, x, needed):
    graph = net.rebuild(
        Majority(name="majority", inputs=node.inputs, kernel=3, stride=2, needed=needed)
        if node.name == "majority"
        else node
        for node in net
    )
    values = run_reference(graph, encode(graph, x))
    spikes = values["lif1"]
    for row, column in np.ndindex(4, 3):
        window = spikes[..., 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        expected = window.sum(axis=(-2, -1)) >= needed
        assert np.array_equal(values["majority"][..., row, column], expected)
    lowered = compile_network(graph).graph
    assert isinstance(lowered.nodes["majority"], Gate)
    assert np.array_equal(run_reference(lowered, encode(graph, x))["majority"], values["majority"])


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
    low, high = bound(net).intervals["majority"]
    assert set(low) == {0} and set(high) == {1}


@pytest.mark.parametrize("backend", ["engine", "reference"])
def test_it_is_counted(net, x, backend):
    result = sdt_lava.simulate(net, x, backend, count=True)
    pool = next(layer for layer in count(result).layers if layer.name == "majority")
    values = run_reference(net, encode(net, x))
    assert np.array_equal(pool.events, values["majority"].sum(axis=(2, 3, 4)))
    reached = np.zeros((9, 8), np.int64)
    for row, column in np.ndindex(4, 3):
        reached[2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += 1
    assert np.array_equal(pool.operations("pool"), (values["lif1"] * reached).sum(axis=(2, 3, 4)))


def test_it_is_checked_and_mapped(net):
    compiled = compile_network(net, target="loihi2")
    assert not [found for found in check_rules(compiled) if found.severity == "error"]
    assert "majority" in {layer.name for layer in map_cores(compiled).layers}


def test_it_is_reported(net, x, tmp_path):
    labels = np.array([0, 1, 2, 0])
    options = ReportOptions(target="loihi2", others=("reference",))
    run = {"network": "toy", "data": "noise"}
    page = write_report(collect_report(net, x, labels, run, options), tmp_path)
    assert "majority" in page.read_text()
