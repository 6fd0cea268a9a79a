"""Files that stock netx has run in Lava: every spike of every layer, on every back end."""

from __future__ import annotations

import numpy as np
import pytest

import sdt_lava
from sdt_lava.io.netx import load_network
from tests.recordings.netx import stock_networks
from tests.recordings.store import load, names, write_file


@pytest.mark.parametrize("backend", ["reference", "engine", "machine"])
@pytest.mark.parametrize("name", names("stock-spikes"))
def test_stock_netx(tmp_path, name, backend):
    case = load("stock-spikes")[name]
    frames = case["frames"]
    graph = load_network(write_file(case, tmp_path / "net.net"))
    x = (np.swapaxes(frames, 0, 1) - graph.input.offset) / graph.input.scale
    result = sdt_lava.simulate(graph, x, backend, strict=False)
    assert list(result.spikes) == [layer for layer in case if layer not in ("frames", "file")]
    for layer, sent in result.spikes.items():
        assert np.array_equal(sent, case[layer]), layer
    assert all(sent.any() for sent in result.spikes.values())


def test_the_files_are_what_we_write():
    assert names("stock-spikes") == list(stock_networks())
