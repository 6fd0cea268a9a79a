"""Neurons that are an OR of their input, told from their parameters alone."""

from __future__ import annotations

import numpy as np
import pytest

from sdt_lava.ir import CubaLif, Lif

WEIGHT = 4


def fired(node, counts):
    """Return when neurons fire to so many spikes of the weight in each step."""
    arriving = np.array(counts, np.int64)[:, None, None] * WEIGHT
    sent, _ = node.run(arriving, None)
    return sent[:, 0, 0].astype(bool).tolist()


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"threshold": 0}, ""),
        ({"threshold": WEIGHT - 1, "voltage_decay": 0}, ""),
        ({"threshold": WEIGHT}, "threshold 4 on spikes of weight 4"),
        ({"threshold": -1}, "threshold -1"),
        ({"threshold": WEIGHT - 1, "bias": np.array([2])}, "a bias"),
        ({"threshold": WEIGHT - 1, "current_decay": 1024}, "a current decay of 1024/4096"),
    ],
)
def test_neurons_are_an_or_exactly_if_nothing_is_said_against_it(parameters, reason):
    node = Lif(name="lif", inputs=("sum",), **parameters)
    found = node.why_no_or(WEIGHT)
    assert found.startswith(reason) and bool(found) == bool(reason)
    counts = [0, 1, 0, 0, 1, 1, 2, 0, 0, 0]
    assert (fired(node, counts) == [count > 0 for count in counts]) == (not reason)


def test_channels_and_what_is_more_than_lif():
    neurons = {"name": "lif", "inputs": ("sum",), "voltage_decay": 0}
    assert not CubaLif(**neurons, threshold=np.array([0, 3])).why_no_or(WEIGHT)
    assert "threshold 4" in CubaLif(**neurons, threshold=np.array([0, 4])).why_no_or(WEIGHT)
    assert "delays" in CubaLif(**neurons, threshold=0, delay=1).why_no_or(WEIGHT)
    assert "division" in CubaLif(**neurons, threshold=0, drive_shift=1).why_no_or(WEIGHT)
