"""Files of the stock layout in lava-dl's own netx, and SLAYER's exports here."""

import os

import h5py
import numpy as np
import pytest
import torch
from lava.lib.dl import slayer
from lava.lib.dl.netx import hdf5

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.io.netx.stock_rules import find_chain
from sdt_lava.ir import Graph
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.io.netx.stock_lava import run_stock

pytestmark = pytest.mark.lava

SAMPLES = 3
# An unknown type at the start leaves a variable of stock netx unset (UnboundLocalError, a
# NameError); a missing layer is asked of h5py by number (TypeError); no layers, no first one.
STOCK_STOPS = (UnboundLocalError, TypeError, IndexError)


CHAINS = {
    "conv-conv-flatten-dense-dense": {},
    "graded": {"low": -100, "high": 255, "convs": (3, 2), "denses": (4,)},
    "dense only": {"image": (7,), "convs": ()},
    "conv only": {"convs": (4, 4), "denses": (), "biases": False},
    "flatten first": {"image": (2, 3, 4), "convs": (), "denses": (5,)},
    "one token": {"image": (3, 1, 1), "timesteps": 1},
    "short": {"timesteps": 2},
}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["conv-conv-flatten-dense-dense", "graded"])
def test_stock_spikes_are_ours_by_seed(tmp_path, name, seed):
    check_in_stock(tmp_path, seed, CHAINS[name])


@pytest.mark.parametrize("name", list(CHAINS)[2:])
def test_stock_spikes_are_ours_by_shape(tmp_path, name):
    check_in_stock(tmp_path, 3, CHAINS[name])


def check_in_stock(folder, seed, options):
    rng = np.random.default_rng(seed)
    graph = random_chain(rng, **options)
    find_chain(graph)
    save_network(graph, folder / "net.net")
    frames = random_frames(rng, graph, SAMPLES)
    values = run_reference(graph, frames)
    expected = values[graph.output_name]
    assert any(values[name].any() for name in graph.lif_names)
    bits = 0 if (graph.input.low, graph.input.high) == (0, 1) else 16
    assert np.array_equal(run_stock(folder / "net.net", frames, bits), expected)


@pytest.mark.parametrize("decays", [(0, 0), (4096, 4096), (0, 4095), (1, 1)])
def test_stock_decays_at_their_limits(tmp_path, decays):
    rng = np.random.default_rng(0)
    nodes = list(random_chain(rng, image=(6,), convs=(), denses=(8,)))
    values = {"current_decay": decays[0], "voltage_decay": decays[1], "threshold": 200}
    nodes[-1] = type(nodes[-1])(**{**vars(nodes[-1]), **values})
    graph = Graph.build(nodes, 5)
    save_network(graph, tmp_path / "net.h5")
    frames = random_frames(rng, graph, SAMPLES)
    expected = run_reference(graph, frames)[graph.output_name]
    assert 0 < expected.mean() < 1
    assert np.array_equal(run_stock(tmp_path / "net.h5", frames), expected)


def test_dense_weights_that_stock_netx_keeps():
    """The rule of the writer, "at least one positive weight", against lava-dl's own arithmetic."""
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

    def kept(weight):
        scaled, bits, exponent, _ = optimize_weight_bits(weight)
        mode = determine_sign_mode(scaled)
        used = truncate_weights(clip_weights(scaled, mode, num_bits=8), mode, bits)
        return np.array_equal(used, weight << -exponent)

    for low in range(-254, 256, 2):
        for high in range(max(low, 2), 256, 2):
            assert kept(np.array([[low, high]])), (low, high)
    rng = np.random.default_rng(0)
    for _ in range(300):
        unit = int(rng.choice([2, 4, 8, 16, 32, 64]))
        weight = unit * rng.integers(-(254 // unit), 254 // unit + 1, (3, 4))
        if weight.max() > 0:
            assert kept(weight)
    assert not kept(np.array([[-128, -128]]))
    with pytest.raises(OverflowError), np.errstate(divide="ignore", over="ignore"):
        kept(np.array([[0, 0]]))


@pytest.mark.parametrize("downsampling", ["or", "subsample"])
def test_extended_files_stop_stock_netx(tmp_path, downsampling):
    path = tmp_path / "net.h5"
    graph = random_sdt_graph(np.random.default_rng(0), downsampling=downsampling, image=(1, 4, 4))
    save_network(graph, path)
    for count in (None, *range(len(graph) + 1)):
        with pytest.raises(STOCK_STOPS):
            hdf5.Network(str(path), num_layers=count)
    for count in range(1, len(graph)):
        with pytest.raises(STOCK_STOPS):
            hdf5.Network(str(path), skip_layers=count, input_shape=(4, 4, 1))


def test_stock_netx_stops_at_an_extended_file_without_its_first_layer(tmp_path):
    graph = random_sdt_graph(np.random.default_rng(0))
    for renumber in (False, True):
        path = tmp_path / f"{renumber}.h5"
        save_network(graph, path)
        with h5py.File(path, "r+") as file:
            del file["layer/0"]
            for index in range(1, len(graph) * renumber):
                file.move(f"layer/{index}", f"layer/{index - 1}")
        with pytest.raises(STOCK_STOPS):
            hdf5.Network(str(path))
        with pytest.raises(NetworkFileError):
            load_network(path)


class SlayerNet(torch.nn.Module):
    def __init__(self, image, with_input=True):
        super().__init__()
        block = slayer.block.cuba
        neuron = {
            "threshold": 0.15,
            "current_decay": 0.75,
            "voltage_decay": 0.3,
            "norm": slayer.neuron.norm.MeanOnlyBatchNorm,
        }
        common = {"weight_norm": False, "delay": False, "delay_shift": False, "weight_scale": 3}
        self.blocks = torch.nn.ModuleList(
            [
                block.Conv(neuron, image[0], 4, 3, padding=1, stride=2, **common),
                block.Conv(neuron, 4, 3, (2, 3), padding=(0, 1), **common),
                block.Flatten(),
                block.Dense(neuron, 3 * 2 * 3, 6, **common),
                block.Dense(neuron, 6, 4, **common),
            ]
        )
        if with_input:
            self.blocks.insert(0, block.Input(delay_shift=False))

    def forward(self, spikes):
        for block in self.blocks:
            spikes = block(spikes)
        return spikes

    def export(self, path):
        with h5py.File(path, "w") as file:
            layers = file.create_group("layer")
            for index, block in enumerate(self.blocks):
                block.export_hdf5(layers.create_group(str(index)))


@pytest.fixture(params=[0, 1])
def slayer_file(request, tmp_path):
    torch.manual_seed(request.param)
    image, timesteps = (2, 5, 6), 10
    network = SlayerNet(image)
    spikes = (torch.rand(8, *image, timesteps) < 0.4).float()
    network.train()
    for _ in range(3):
        network(spikes)
    network.eval()
    with torch.no_grad():
        output = network(spikes[:SAMPLES])
        network.export(tmp_path / "slayer.net")
    frames = spikes[:SAMPLES].permute(4, 0, 1, 2, 3).numpy().astype(np.int64)
    return tmp_path / "slayer.net", frames, output.permute(2, 0, 1).numpy().astype(np.int64)


def test_slayer_export(slayer_file):
    path, frames, from_slayer = slayer_file
    graph = load_network(path, timesteps=frames.shape[0])
    assert graph.timesteps == frames.shape[0]
    assert graph.lif_names == ("layer.1", "layer.2", "layer.4", "layer.5")
    assert graph.order[1] == "layer.1.synapse"
    ours = run_reference(graph, frames)[graph.output_name]
    assert ours.any()
    assert np.array_equal(ours, from_slayer)
    assert np.array_equal(ours, run_stock(path, frames))
    again = path.with_name("again.h5")
    save_network(graph, again)
    assert np.array_equal(run_stock(again, frames), ours)
    assert os.path.getsize(again) < os.path.getsize(path) + 20_000


def test_slayer_export_without_input_layer(tmp_path):
    network = SlayerNet((2, 5, 6), with_input=False)
    network(torch.zeros(1, 2, 5, 6, 2))
    network.export(tmp_path / "net.h5")
    with pytest.raises(NetworkFileError, match="input_shape="):
        load_network(tmp_path / "net.h5")
    graph = load_network(tmp_path / "net.h5", input_shape=(2, 5, 6))
    assert graph.timesteps == 1
    assert graph.order[:3] == ("input", "layer.0.synapse", "layer.0")
