"""A threshold of 0, which integer networks may have: any current fires."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdt_lava import simulate
from sdt_lava.errors import SdtLavaError
from sdt_lava.ir import Lif
from sdt_lava.nir import NirOptions, load_nir, save_nir
from tests.graphs import random_chain


def without_threshold(seed, **changes):
    net = random_chain(np.random.default_rng(seed))
    return net.rebuild(
        replace(node, threshold=0, **changes) if isinstance(node, Lif) else node for node in net
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "changes",
    [{}, {"voltage_decay": 0}, {"voltage_decay": 0, "current_decay": 4096}],
    ids=["as it is", "without leak", "IF"],
)
def test_round_trip(tmp_path, seed, changes):
    net = without_threshold(seed, **changes)
    save_nir(net, tmp_path / "net.nir")
    again, _ = load_nir(tmp_path / "net.nir")
    low, high = net.input.low, net.input.high
    x = np.random.default_rng(seed).integers(low, high + 1, (3, *net.input_shape))
    first, second = (simulate(graph, x, "reference", strict=False) for graph in (net, again))
    assert {node.threshold for node in again if isinstance(node, Lif)} == {0}
    assert np.array_equal(first.logits, second.logits)
    assert first.spikes.keys() == second.spikes.keys()
    assert all(np.array_equal(first.spikes[name], second.spikes[name]) for name in first.spikes)


def test_it_cannot_be_quantized(tmp_path):
    """A scale of weights follows from a threshold."""
    save_nir(without_threshold(0), tmp_path / "net.nir")
    with pytest.raises(SdtLavaError, match="above 0"):
        load_nir(tmp_path / "net.nir", NirOptions(requantize=True))
