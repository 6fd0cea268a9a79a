"""Hard links, with which a small file could stand for thousands of layers or arrays."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sdt_lava import load_network, save_network
from sdt_lava.errors import NetworkFileError
from tests.graphs import random_chain


@pytest.fixture
def path(tmp_path):
    graph = random_chain(np.random.default_rng(0), convs=(4,), denses=(256, 256, 256), varied=False)
    save_network(graph, tmp_path / "net.h5", compress=False)
    return tmp_path / "net.h5"


def test_one_group_is_one_layer(path):
    with h5py.File(path, "r+") as file:
        count = len(file["layer"])
        for number in range(count, count + 2000):
            file["layer"][str(number)] = file["layer"][str(count - 1)]
    with pytest.raises(NetworkFileError, match="same group as an earlier layer"):
        load_network(path)


def test_an_array_may_be_shared_by_a_few_layers(path):
    with h5py.File(path, "r+") as file:
        last = str(len(file["layer"]) - 1)
        del file["layer"][last]["weight"]
        file["layer"][last]["weight"] = file["layer"][str(int(last) - 1)]["weight"]
    graph = load_network(path)
    weights = [node.weight for node in graph if node.kind == "dense"]
    assert np.array_equal(weights[-1], weights[-2])


def test_arrays_that_are_read_again_and_again(path):
    with h5py.File(path, "r+") as file:
        layers = file["layer"]
        last = len(layers) - 1
        for number in range(last + 1, last + 60):
            group = layers.create_group(str(number))
            for name in layers[str(last)]:
                group[name] = layers[str(last)][name]
            for name, value in layers[str(last)].attrs.items():
                group.attrs[name] = value
    with pytest.raises(NetworkFileError, match="share their data"):
        load_network(path)
