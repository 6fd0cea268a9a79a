"""Files as lava-dl's own export writes them, and their spikes."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from sdt_lava.io.netx import load_network

DATA = Path(__file__).parents[2] / "data" / "netx"
LAVA = {"timeout": 120.0}
BACKENDS = ("reference", "engine", "machine", "lava-inprocess")


def export(network, folder, change=None):
    path = network.export(folder / "slayer.net", change)
    return path, load_network(path, timesteps=network.timesteps)


def assert_same_spikes(result, expected):
    assert list(result.spikes) == list(expected)
    for name, sent in expected.items():
        assert np.array_equal(result.spikes[name], sent), name


def dense_file(path, weight, neuron=True, **members):
    """A file of one dense layer as SLAYER writes it."""
    weight = np.asarray(weight)
    with h5py.File(path, "w") as file:
        entry, dense = file.create_group("layer/0"), file.create_group("layer/1")
        for group, kind in ((entry, b"input"), (dense, b"dense")):
            group.create_dataset("type", (1,), "S10", [kind])
        entry["shape"], dense["shape"] = [weight.shape[1]], [weight.shape[0]]
        dense["weight"] = weight.astype(np.float32)
        if neuron:
            for key, value in {"iDecay": 4096, "vDecay": 1024, "vThMant": 500}.items():
                dense[f"neuron/{key}"] = value
            dense["neuron/type"] = "CUBA"
        for key, value in members.items():
            dense[key] = value
    return path


def skipping_file(path):
    """A layer of unknown type between two dense ones."""
    dense_file(path, [[4, 2], [2, 8]])
    with h5py.File(path, "r+") as file:
        file.create_dataset("layer/2/type", (1,), "S10", [b"attention"])
        file.copy("layer/1", "layer/3")
    return path
