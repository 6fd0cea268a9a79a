"""Inputs in any memory layout and type: the same result from every back end, or a typed error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.engine import Engine, EngineOptions
from sdt_lava.errors import DataError
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.ir.reference import run_reference
from sdt_lava.model import SpikeDrivenTransformer
from tests.backends.odd_arrays import FORMS
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.needs import back_ends

# Types of input that hold spikes, and payloads from 0 to 100.
TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
BACKENDS = ("engine", "reference", "machine", "lava-inprocess")


def network(high):
    """A network of 2 x 5 x 9 inputs, so that rows are whole vectors of 8 pixels and a rest."""
    rng = np.random.default_rng(2)
    return random_chain(rng, image=(2, 5, 9), high=high, varied=False, timesteps=3)


def spikes_of(graph, x, backend, **options):
    result = sdt_lava.simulate(graph, x, backend, **options)
    return {name: np.array(values) for name, values in result.spikes.items()}


@pytest.fixture(scope="module", params=[1, 100], ids=["spikes", "payloads"])
def case(request):
    """A network, its input, static and in time, and what the reference makes of it."""
    graph = network(request.param)
    rng = np.random.default_rng(3)
    x = rng.integers(0, request.param, (4, graph.timesteps, *graph.input_shape), endpoint=True)
    x = x / graph.input.scale
    inputs = {"in time": x, "static": x[:, 0]}
    return graph, inputs, {key: spikes_of(graph, x, "reference") for key, x in inputs.items()}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert any(spikes.any() for spikes in expected.values())
    for name, spikes in expected.items():
        assert np.array_equal(found[name], spikes), name


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["in time", "static"])
@pytest.mark.parametrize("backend", back_ends(*BACKENDS))
def test_layouts_of_memory(case, form, way, backend):
    graph, inputs, expected = case
    x = FORMS[form](inputs[way].astype(np.float32))
    assert_equal(spikes_of(graph, x, backend), expected[way])


@pytest.mark.parametrize("kind", ["?", *TYPES])
@pytest.mark.parametrize("form", FORMS)
def test_types_of_spikes(kind, form):
    graph = network(1)
    x = np.random.default_rng(1).integers(0, 2, (3, graph.timesteps, *graph.input_shape))
    expected = spikes_of(graph, x, "reference")
    x = FORMS[form](x.astype(kind))
    for options in ({}, {"batch_size": 2, "count": True}):
        assert_equal(spikes_of(graph, x, "engine", **options), expected)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("form", FORMS)
def test_frames_of_the_engine(kind, form):
    """`Engine.run` takes frames of any integer type; the kernels address them themselves."""
    graph = network(1)
    frames = random_frames(np.random.default_rng(1), graph, batch=3)
    expected = run_reference(graph, frames)
    odd = FORMS[form](frames.astype(kind))
    for kernels in ("auto", "interpreter"):
        found = Engine(graph, options=EngineOptions(kernels=kernels)).run(odd)
        for name, values in found.items():
            assert np.array_equal(values, expected[name]), name


@pytest.mark.parametrize("backend", back_ends(*BACKENDS))
def test_one_value_seen_as_many(backend):
    """Steps of zero: one sample, one pixel and one channel repeated."""
    for graph in (network(1), network(100)):
        column = np.array([[1], [0], [1], [1], [0]], np.uint8)
        for values in (np.float32(1), column, column.astype(np.float64)):
            x = np.broadcast_to(values, (3, *graph.input_shape))
            assert_equal(spikes_of(graph, x, backend), spikes_of(graph, np.array(x), "reference"))


def test_values_that_are_no_spikes_are_rounded_in_every_layout():
    graph = network(1)
    x = np.random.default_rng(2).random((3, graph.timesteps, *graph.input_shape))
    expected = spikes_of(graph, x, "reference")
    for make in FORMS.values():
        assert_equal(spikes_of(graph, make(x), "engine"), expected)


def test_the_float_model_takes_them_too():
    torch.manual_seed(0)
    config = SdtConfig(
        image_size=(8, 8), in_channels=3, num_classes=4, dim=8, depth=1, timesteps=2,
        pooling_stat="0001",
    )  # fmt: skip
    model = SpikeDrivenTransformer(config)
    x = np.random.default_rng(4).random((2, 3, 8, 8))
    expected = sdt_lava.simulate(model, x.astype(np.float32)).logits
    for form, make in FORMS.items():
        found = sdt_lava.simulate(model, make(x.astype(np.float32))).logits
        assert np.array_equal(found, expected), form


class Ragged:
    """Something that cannot become an array."""

    def __array__(self, *args, **kwargs):
        raise TypeError("no array of this")


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x[:0],
        lambda x: x[:, :0],
        lambda x: x.astype(complex),
        lambda x: x.astype("S1"),
        lambda x: x.astype(object),
        lambda x: x.astype("M8[s]"),
        lambda x: np.where(x == 1, np.nan, x),
        lambda x: np.where(x == 1, np.inf, x).astype(np.float32),
        lambda x: np.ma.masked_equal(x, 1),
        lambda x: x.astype([("value", "f4")]),
        lambda x: [[1, 2], [3]],
        lambda x: Ragged(),
    ],
)
@pytest.mark.parametrize("backend", ["engine", "reference"])
@pytest.mark.parametrize("high", [1, 100])
def test_what_is_no_input_is_refused(make, backend, high):
    graph = network(high)
    x = np.ones((2, graph.timesteps, *graph.input_shape))
    with pytest.raises(DataError, match="input x"):
        sdt_lava.simulate(graph, make(x), backend)


def test_a_transformer_takes_them_too():
    rng = np.random.default_rng(0)
    graph = random_sdt_graph(rng, image=(2, 8, 9), channels=16, high=1)
    x = np.swapaxes(random_frames(rng, graph, batch=3), 0, 1).astype(np.int32)
    expected = spikes_of(graph, x, "reference")
    for make in FORMS.values():
        assert_equal(spikes_of(graph, make(x), "engine"), expected)
