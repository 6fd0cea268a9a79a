"""What is lost, or likely to be another input than meant, where data enter a network."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import sdt_lava
from sdt_lava.errors import DataError
from sdt_lava.ir import Dense, Graph, Input, Lif
from sdt_lava.ir.encoding import to_time_first


def network(shape=(4,), **entry) -> Graph:
    weight = np.full((3, int(np.prod(shape))), 20)
    nodes = [
        Input(name="input", shape=shape, **entry),
        Dense(name="d", inputs=("input",), weight=weight),
        Lif(name="out", inputs=("d",), threshold=10),
    ]
    return Graph.build(nodes, 5)


def warnings_of(net, x, caplog, backend="engine", **options):
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        sdt_lava.simulate(net, x, backend, **options)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("backend", ["engine", "reference"])
@pytest.mark.parametrize("entry", [{"high": 255}, {}])
def test_fractions_that_are_rounded_are_said_once(caplog, backend, entry):
    x = np.random.default_rng(0).random((5, 4)) / 2
    (message,) = warnings_of(network(**entry), x, caplog, backend)
    assert message.startswith("20 of 20 input values are not whole numbers and are rounded")
    assert "100.0 % of a value is lost" in message


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint8, bool])
def test_whole_numbers_of_any_type_are_no_loss(caplog, dtype):
    x = np.random.default_rng(0).integers(0, 2, (5, 4)).astype(dtype)
    assert warnings_of(network(high=255), x, caplog) == []


def test_levels_of_the_network_may_round_but_not_destroy(caplog):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (6, 4)) / 255
    fine = network(scale=255.0, high=255)
    assert warnings_of(fine, pixels.astype(np.float32), caplog) == []
    assert (
        warnings_of(network(scale=64.0, low=-255, high=255), rng.normal(size=(6, 4)), caplog) == []
    )
    (message,) = warnings_of(network(scale=4.0, high=255), pixels, caplog)
    assert "scale 4" in message and "units" in message


def test_another_number_of_steps_is_said_with_the_remedy(caplog):
    net = network()
    assert warnings_of(net, np.ones((2, 5, 4), int), caplog) == []
    (message,) = warnings_of(net, np.ones((2, 7, 4), int), caplog)
    assert "the input has 7 steps, but the network was made for 5" in message
    assert "swapaxes" not in message
    (message,) = warnings_of(net, np.ones((5, 7, 4), int), caplog)
    assert "np.swapaxes(x, 0, 1)" in message
    # A stream may come in pieces of any length.
    assert warnings_of(net, np.ones((2, 7, 4), int), caplog, reset=False) == []


@pytest.mark.parametrize(
    ("shape", "mend"),
    [
        ((2, 5, 3), lambda x: x[None]),
        ((6, 5, 3, 2), lambda x: np.moveaxis(x, -1, -3)),
        ((6, 4, 5, 3, 2), lambda x: np.moveaxis(x, -1, -3)),
        ((6, 2, 3, 5), lambda x: np.swapaxes(x, -1, -2)),
        ((6, 2, 5, 3, 4), lambda x: np.moveaxis(x, -1, 1)),
        ((6, 30), lambda x: x.reshape(-1, 2, 5, 3)),
    ],
)
def test_axes_in_another_order_are_refused_with_what_mends_them(shape, mend):
    frame, x = (2, 5, 3), np.arange(np.prod(shape)).reshape(shape)
    with pytest.raises(DataError) as caught:
        to_time_first(x, frame, 4)
    remedy = caught.value.remedy
    mended = eval(remedy.split(": ")[-1], {"np": np, "x": x})
    assert np.array_equal(mended, mend(x))
    assert to_time_first(mended, frame, 4).shape[2:] == frame


def test_no_remedy_is_made_up():
    with pytest.raises(DataError) as caught:
        to_time_first(np.zeros((6, 7)), (2, 5, 3), 4)
    assert caught.value.remedy == ""


@pytest.mark.parametrize("x", [None, "x", object(), [[1, 2], [3]], np.zeros((2, 4), complex)])
def test_what_is_no_array_of_numbers(x):
    with pytest.raises(DataError):
        sdt_lava.simulate(network(), x, "engine")
