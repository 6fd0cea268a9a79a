"""First layers of full width, whatever leads to them, on every back end."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np
import pytest

import sdt_lava
from sdt_lava.errors import QuantizationError
from sdt_lava.ir import Conv, Dense, Flatten, Graph, Input, Lif, Readout
from sdt_lava.nir import NirOptions, from_nir
from sdt_lava.quantize.post_training import CalibrationData, quantize, quantize_unmeasured
from sdt_lava.quantize.weight_format import WeightFormat
from tests.needs import runnable

# Odd sizes: nothing divides them.
SHAPE, CLASSES, HIDDEN, STEPS = (3, 5, 7), 5, 11, 3


def float_graph(first: str, scale: float = 255.0, high: int = 255, seed: int = 0) -> Graph:
    """A network whose first layer is a convolution, or a dense one on an image or a vector."""
    rng = np.random.default_rng(seed)
    features = int(np.prod(SHAPE))
    entry = Input(name="x", shape=SHAPE, low=0, high=high, scale=scale)
    if first == "conv":
        weight = rng.normal(size=(HIDDEN, SHAPE[0], 3, 3)) * 0.2
        layer = [Conv(name="w", inputs=("x",), weight=weight, padding=(1, 1), stride=(2, 2))]
        features = HIDDEN * 3 * 4
    else:
        weight = rng.normal(size=(HIDDEN, features)) * 0.2
        between = [Flatten(name="flat", inputs=("x",))] if first == "flattened" else []
        layer = [*between, Dense(name="w", inputs=((between or [entry])[-1].name,), weight=weight)]
        features = HIDDEN
    bias = rng.normal(size=HIDDEN) * 0.1
    nodes = [
        entry,
        *layer,
        Lif(name="a", inputs=("w",), threshold=1.0, bias=bias),
        Dense(name="u", inputs=("a",), weight=rng.normal(size=(CLASSES, features)) * 0.5),
        Lif(name="b", inputs=("u",), threshold=1.0),
        Readout(name="head", inputs=("b",), weight=rng.normal(size=(CLASSES, CLASSES))),
    ]
    return Graph.build(nodes, STEPS)


def frames(count: int, high: int = 255, scale: float = 255.0, seed: int = 1):
    values = np.random.default_rng(seed).integers(0, high + 1, (count, *SHAPE))
    return (values / scale).astype(np.float32)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("first", ["conv", "dense", "flattened"])
def test_the_width_that_was_asked_for(first, bits):
    most = WeightFormat(bits).largest
    for quantized in (lambda *g, **o: quantize(*g, **o)[0], quantize_unmeasured):
        full = quantized(float_graph(first), bits).nodes["w"]
        assert np.abs(full.weight).max() == most and np.min(full.exponent) < 0
        fitted = quantized(float_graph(first), bits, first_layer="fitted").nodes["w"]
        assert np.abs(fitted.weight).max() < most and np.min(fitted.exponent) == 0


@pytest.mark.parametrize("scale", [1.0, 16.0, 255.0])
def test_a_flatten_changes_nothing(scale):
    plain, flat = (quantize(float_graph(first, scale))[0] for first in ("dense", "flattened"))
    for name in ("w", "a", "u", "b", "head"):
        for field in ("weight", "exponent", "threshold", "bias"):
            values = [getattr(graph.nodes[name], field, None) for graph in (plain, flat)]
            assert np.array_equal(*values), (name, field)


@pytest.mark.parametrize("first", ["conv", "dense", "flattened"])
def test_full_weights_change_fewer_spikes(first):
    data = CalibrationData(frames(200), "noise", choose=False)
    changed = []
    for first_layer in ("full", "fitted"):
        _, report = quantize(float_graph(first), 4, data, first_layer=first_layer)
        changed.append(next(row.forced for row in report.spikes.layers if row.name == "a"))
    assert changed[0] < changed[1] / 2


@pytest.mark.parametrize("first_layer", ["full", "fitted"])
def test_flattened_images_of_nir(first_layer, tmp_path):
    rng = np.random.default_rng(5)
    features = int(np.prod(SHAPE))
    nodes = {
        "in": nir.Input(np.array(SHAPE)),
        "flat": nir.Flatten({"input": np.array(SHAPE)}, 0, -1),
        "w": nir.Linear(rng.normal(size=(HIDDEN, features)) / 255),
        "a": nir.IF(np.full(HIDDEN, 1e4), np.ones(HIDDEN), np.zeros(HIDDEN)),
        "out": nir.Output(np.array([HIDDEN])),
    }
    chain = list(nodes)
    source = nir.NIRGraph(nodes, list(pairwise(chain)))
    options = NirOptions(
        timesteps=STEPS, dt=1e-4, input_range=(0, 255), bits=4, first_layer=first_layer
    )
    graph, _ = from_nir(source, options)
    node = graph.nodes["w"]
    assert graph.nodes[node.inputs[0]].kind == "flatten"
    assert (np.min(node.exponent) < 0) == (first_layer == "full")
    assert (np.abs(node.weight).max() == WeightFormat(4).largest) == (first_layer == "full")
    sdt_lava.save_network(graph, tmp_path / "net.h5")
    again = sdt_lava.load_network(tmp_path / "net.h5")
    x = np.random.default_rng(2).integers(0, 256, (3, *SHAPE))
    results = [
        sdt_lava.simulate(net, x, backend)
        for net in (graph, again)
        for backend in runnable(["reference", "engine", "machine", "lava-inprocess"])
    ]
    assert results[0].spikes["a"].any() and not results[0].spikes["a"].all()
    for result in results[1:]:
        assert np.array_equal(result.spikes["a"], results[0].spikes["a"])


def test_ways_that_there_are():
    with pytest.raises(QuantizationError, match="'full' or 'fitted'"):
        quantize(float_graph("dense"), first_layer="fine")


def test_spikes_need_no_shift():
    graph = float_graph("flattened")
    binary = replace(graph.input, low=0, high=1, scale=1.0)
    quantized, _ = quantize(graph.rebuild([binary, *list(graph)[1:]]), 4)
    assert np.min(quantized.nodes["w"].exponent) >= 0
