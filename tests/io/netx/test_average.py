"""lava-dl's average at the end of a network: sums over groups of neurons, which the host makes."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import sdt_lava
from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.ir import Conv, Flatten, Graph, GroupSum, Input, Lif
from tests.graphs import assert_same_graph
from tests.needs import back_ends, runnable
from tests.recordings.netx import spikes

BACKENDS = ("reference", "engine", "machine", "lava-inprocess")
GROUPS = [(4, 0), (1, 1), (12, 2), (3, 3)]  # and seeds


def with_average(network, path, groups):
    def change(file):
        index = len(file["layer"])
        file.create_dataset(f"layer/{index}/type", (1,), "S10", [b"average"])
        file[f"layer/{index}/shape"] = [groups, 1, 1]

    return network.export(path, change)


@pytest.mark.parametrize("backend", back_ends(*BACKENDS, "lava"))
@pytest.mark.parametrize(("groups", "seed"), GROUPS)
def test_averages_of_slayer(tmp_path, backend, groups, seed):
    network = spikes("axonal", seed)
    path = with_average(network, tmp_path / "n.net", groups)
    net = load_network(path, timesteps=network.timesteps)
    options = {"timeout": 120.0} if backend == "lava" else {}
    result = sdt_lava.simulate(net, network.x, backend, **options)
    sent = network.outputs["layer.2"]
    assert sent.any() and np.array_equal(result.spikes["layer.2"], sent)
    assert result.logits.dtype == np.int64 and result.logits.shape == (len(network.x), groups)
    assert np.array_equal(result.logits, sent.sum(0).reshape(-1, groups, 12 // groups).sum(2))
    assert list(result.membranes) == ["layer.2"]


@pytest.mark.lava
@pytest.mark.parametrize(("groups", "seed"), GROUPS)
def test_the_average_is_that_of_slayer(tmp_path, groups, seed):
    import torch

    from tests.io.netx.slayer_nets import BLOCK

    network = spikes("axonal", seed)
    net = load_network(with_average(network, tmp_path / "n.net", groups), network.timesteps)
    result = sdt_lava.simulate(net, network.x)
    x = torch.tensor(np.moveaxis(network.outputs["layer.2"], 0, -1).astype(np.float32))
    mean = BLOCK.Average(num_outputs=groups)(x).sum(-1).numpy()
    assert np.allclose(result.logits / (12 // groups), mean)
    assert np.array_equal(result.labels, mean.argmax(1))


def test_the_average_of_an_image():
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-9, 20, (4, 2, 3, 3))
    nodes = [
        Input(name="x", shape=(2, 4, 5)),
        Conv(name="c", inputs=("x",), weight=weight, padding=(1, 1)),
        Lif(name="n", inputs=("c",), threshold=60),
        Flatten(name="f", inputs=("n",)),
        GroupSum(name="a", inputs=("f",), groups=4),
    ]
    x = rng.integers(0, 2, (3, 6, 2, 4, 5))
    for chain in (nodes, [*nodes[:3], GroupSum(name="a", inputs=("n",), groups=4)]):
        net = Graph.build(chain, 6)
        for backend in runnable(BACKENDS):
            result = sdt_lava.simulate(net, x, backend)
            expected = result.spikes["n"].sum(axis=(0, 3, 4))
            assert expected.any() and np.array_equal(result.logits, expected)
    # What the host adds up is no synaptic operation.
    assert set(result.synops.by_role) >= {"synapse"}
    bare = sdt_lava.simulate(Graph.build(nodes[:3], 6), x)
    assert result.synops.total == bare.synops.total


def test_files_and_compilation(tmp_path):
    network = spikes("axonal")
    net = load_network(with_average(network, tmp_path / "n.net", 4), timesteps=network.timesteps)
    assert any("sums over groups of 3 neurons" in note for note in net.metadata["notes"])
    save_network(net, tmp_path / "ours.h5")
    assert_same_graph(load_network(tmp_path / "ours.h5"), net)
    assert "group_sum" in str(net)
    compiled = sdt_lava.compile(net)
    assert compiled.output_name == "layer.2" and "layer.3" not in compiled.graph.nodes
    shorter = load_network(tmp_path / "n.net", timesteps=network.timesteps, num_layers=3)
    assert shorter.output_name == "layer.2"


@pytest.mark.parametrize(("groups", "words"), [(5, "5 groups of the 12 neurons"), (0, "0 groups")])
def test_groups_of_different_sizes(tmp_path, groups, words):
    path = with_average(spikes("axonal"), tmp_path / "n.net", groups)
    with pytest.raises(NetworkFileError, match=f"{words}.*--num-layers 3"):
        load_network(path)
    load_network(path, num_layers=3)


def test_an_average_in_front_of_other_layers(tmp_path):
    path = with_average(spikes("axonal"), tmp_path / "n.net", 12)
    with h5py.File(path, "r+") as file:
        file.copy("layer/2", "layer/4")
    with pytest.raises(NetworkFileError, match="fractions of spikes.*--num-layers 3"):
        load_network(path)
