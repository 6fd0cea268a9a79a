"""Our recurrent and image networks in the layout of stock netx, where it has one."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import sdt_lava
from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.io.netx.stock_rules import find_chain, survive_scaling
from sdt_lava.ir import CubaLif, Dense, Flatten, Graph, Input, Lif
from tests.cuba_graphs import random_cuba_fields
from tests.graphs import GraphMaker, assert_same_graph, random_frames

# Which graphs may have the stock layout.


def cuba_net(rng, *, image=(3, 4, 4), hidden=None, **fields):
    maker = GraphMaker(rng, biases=False, spread_limit=600)
    last = maker.conv("conv", maker.input(image), 3)
    last = maker.add(CubaLif(name="conv_lif", inputs=(last,), **fields.get("conv", {})))
    last = maker.add(Flatten(name="flat", inputs=(last,)))
    last = maker.dense("fc", last, 6)
    last = maker.add(CubaLif(name="fc_lif", inputs=(last,), **fields.get("dense", {})))
    maker.lif("out_lif", maker.dense("out", last, 3))
    return maker.graph(7)


def fields(rng, channels, **more):
    found = random_cuba_fields(rng, channels, 300)
    del found["bias"]
    return {**found, **more}


def is_stock(graph, path):
    save_network(graph, path)
    assert_same_graph(load_network(path), graph)
    with h5py.File(path) as file:
        return file["layer/0/type"][0] == b"input"


STOCK = {
    "by channel": {},
    "with biases": {"conv": {"bias": np.array([5, -3, 2])}},
    "delays": {"dense": {"delay": np.array([0, 1, 2, 3, 1, 0])}},
    "one delay": {"dense": {"delay": 2}},
    "recurrent": {"dense": {"weight_rec": 2 * np.arange(-18, 18).reshape(6, 6)}},
    "negative bias before recurrence": {
        "conv": {"bias": np.array([-5, -3, 0])},
        "dense": {"weight_rec": np.full((6, 6), 4)},
    },
}
EXTENDED = {
    "delayed convolution": {"conv": {"delay": 1}},
    "bias before recurrence": {
        "conv": {"bias": np.array([5, -3, 2])},
        "dense": {"weight_rec": np.full((6, 6), 4)},
    },
    "bias before delays": {"conv": {"bias": np.array([5, -3, 2])}, "dense": {"delay": 1}},
    "delayed bias": {"dense": {"delay": 1, "bias": -np.ones(6, int)}},
    "long delay": {"dense": {"delay": 63}},
    "delayed recurrence": {"dense": {"delay": 1, "weight_rec": np.full((6, 6), 4)}},
    "recurrent convolution": {"conv": {"weight_rec": np.full((12, 12), 4)}},
    "shifted": {"dense": {"drive_shift": 1}},
}


@pytest.mark.parametrize("name", [*STOCK, *EXTENDED])
def test_layout_of_cuba_networks(tmp_path, name):
    rng = np.random.default_rng(0)
    changes = {**STOCK, **EXTENDED}[name]
    graph = cuba_net(
        rng,
        conv=fields(rng, 3, **changes.get("conv", {})),
        dense=fields(rng, 6, **changes.get("dense", {})),
    )
    assert is_stock(graph, tmp_path / "n.h5") == (name in STOCK)


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("name", ["with biases", "one delay"])
def test_cuba_networks_in_stock_netx(tmp_path, name):
    from tests.io.netx.stock_lava import run_stock_layers

    rng = np.random.default_rng(1)
    changes = STOCK[name]
    graph = cuba_net(
        rng,
        conv=fields(rng, 3, **changes.get("conv", {})),
        dense=fields(rng, 6, **changes.get("dense", {})),
    )
    find_chain(graph)
    save_network(graph, tmp_path / "n.h5")
    frames = random_frames(rng, graph, batch=1)
    expected = sdt_lava.simulate(graph, np.swapaxes(frames, 0, 1))
    layers = run_stock_layers(tmp_path / "n.h5", frames)
    assert expected.spikes["out_lif"].any()
    for found, sent in zip(layers, expected.spikes.values(), strict=True):
        assert np.array_equal(found, sent)


def image_net(scale=20.0, offset=3.0, **changes):
    entry = Input(name="x", shape=(2, 3, 3), low=-99, high=99, scale=scale, offset=offset)
    neurons = CubaLif(name="a", inputs=("x",), **{"threshold": 50, "voltage_decay": 9, **changes})
    dense = Dense(name="d", inputs=("a",), weight=np.full((2, 18), 6))
    return Graph.build([entry, neurons, dense, Lif(name="b", inputs=("d",), threshold=9)], 3)


def test_layout_of_image_networks(tmp_path):
    path = tmp_path / "n.h5"
    assert is_stock(image_net(), path)
    assert is_stock(image_net(threshold=np.array([4, 5])), path)
    for changes in (
        {"scale": 0.5},
        {"offset": 0.5},
        {"delay": 1},
        {"bias": np.array([1, 2])},
        {"current_decay": 9},
        {"drive_shift": 1},
    ):
        assert not is_stock(image_net(**changes), path)


def test_image_files_whose_parts_disagree(tmp_path):
    path = tmp_path / "n.h5"
    save_network(image_net(), path)
    with h5py.File(path, "r+") as file:
        file["layer/0/weight"][...] = 21
    with pytest.raises(NetworkFileError, match="as the attributes say"):
        load_network(path)


@pytest.mark.lava
def test_weights_of_recurrent_layers_that_stock_netx_keeps():
    """The rule of the writer against lava-dl's own arithmetic."""
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

    def kept(parts):
        with np.errstate(divide="ignore"):
            scaled, bits, exponent, _ = optimize_weight_bits(np.hstack(parts))
        for part, used in zip(parts, np.split(scaled, [parts[0].shape[1]], axis=1), strict=True):
            mode = determine_sign_mode(used)
            found = truncate_weights(clip_weights(used, mode, num_bits=8), mode, bits)
            if not np.array_equal(found * 2.0**exponent, part):
                return False
        return True

    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(1000):
        unit = int(rng.choice([1, 2, 4, 32]))
        ends = [np.sort(rng.integers(-280 // unit, 280 // unit + 1, 2)) for _ in range(2)]
        signs = rng.integers(0, 4, 2)
        parts = [
            unit * np.clip(rng.integers(*end, (2, 3), endpoint=True), *limits)
            for end, limits in zip(
                ends,
                [[(-999, 999), (0, 999), (-999, 0), (-128, 127)][s] for s in signs],
                strict=True,
            )
        ]
        if not any(part.any() for part in parts):
            continue
        survives = survive_scaling(parts)
        seen.add(survives)
        if survives:
            assert kept(parts), parts
    assert seen == {True, False}
