"""Comparison of two executions."""

from __future__ import annotations

import numpy as np
import pytest

from sdt_lava.backends.result import Result
from sdt_lava.errors import DataError
from sdt_lava.report.compare import compare
from sdt_lava.report.figures import plot_comparison


def results(**right_spikes):
    spikes = {"a": np.zeros((3, 2, 4), np.uint8), "b": np.ones((3, 2, 2, 1, 2), np.uint8)}
    left = Result("engine", np.eye(2), spikes, 0.0)
    return left, Result("lava", np.array([[1, 0], [1, 0]]), {**spikes, **right_spikes}, 0.0)


def test_equal_executions():
    comparison = compare(*results())
    assert comparison.differing == 0 and comparison.first_layer is None
    assert comparison.agreeing_labels == 1 and comparison.samples == 2


def test_where_the_difference_begins():
    changed = np.ones((3, 2, 2, 1, 2), np.uint8)
    changed[1, 1, 0, 0, 1] = 0
    changed[2, 0, 1, 0, 0] = 0
    comparison = compare(*results(b=changed))
    row = comparison.first_layer
    assert row is not None and row.name == "b"
    assert (row.differing, row.decisions) == (2, 24) and row.share == pytest.approx(2 / 24)
    first = row.first
    assert first is not None
    assert (first.step, first.sample, first.neuron) == (1, 1, (0, 0, 1))
    assert (first.left, first.right) == (1, 0)
    plain = comparison.to_dict()
    assert plain["first_layer"] == "b" and plain["layers"][1]["share"] == row.share


def test_other_layers_or_shapes_are_refused():
    with pytest.raises(DataError, match="'c'"):
        compare(*results(c=np.zeros((3, 2, 1), np.uint8)))
    with pytest.raises(DataError, match="shapes"):
        compare(*results(a=np.zeros((2, 2, 4), np.uint8)))


def test_figure(tmp_path):
    plot_comparison(compare(*results()), tmp_path / "c.png", ("left", "right"))
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
