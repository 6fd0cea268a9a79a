"""Networks of lava-dl: the spikes of SLAYER and of stock netx in Lava, on every back end."""

from __future__ import annotations

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.result import spike_differences
from sdt_lava.io.netx import load_network, save_network
from tests.graphs import assert_same_graph
from tests.io.netx.stock_files import BACKENDS, DATA, LAVA, assert_same_spikes, export
from tests.needs import back_ends, runnable
from tests.recordings.netx import SPIKES, seeds_of, spikes

RECORDED = sorted(path.stem for path in DATA.glob("*.npz"))


@pytest.mark.parametrize(
    ("name", "seed"), [(name, seed) for name in SPIKES for seed in seeds_of(name)]
)
def test_slayer_spikes(tmp_path, name, seed):
    network = spikes(name, seed)
    if network.timesteps > 3:
        assert all(sent.any() for sent in list(network.outputs.values())[:2])
    _, graph = export(network, tmp_path)
    for backend in runnable(BACKENDS):
        assert_same_spikes(sdt_lava.simulate(graph, network.x, backend), network.outputs)


@pytest.mark.lava
@pytest.mark.slow
def test_slayer_spikes_in_lava(tmp_path):
    network = spikes("recurrent with delays")
    _, graph = export(network, tmp_path)
    assert_same_spikes(sdt_lava.simulate(graph, network.x, "lava", **LAVA), network.outputs)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_spikes_of_stock_netx(name):
    recorded = dict(np.load(DATA / f"{name}.npz"))
    x, timesteps = recorded.pop("x"), int(recorded.pop("T"))
    graph = load_network(DATA / f"{name}.net", timesteps=timesteps)
    for backend in runnable(BACKENDS):
        assert_same_spikes(sdt_lava.simulate(graph, x, backend), recorded)
    for backend in runnable(["lava-inprocess"]):
        fused = sdt_lava.simulate(graph, x, backend, models="fused")
        assert_same_spikes(fused, recorded)
    assert any(spikes.any() for spikes in recorded.values())


def test_the_recordings_are_there():
    """What the issue of each feature was: windows, payloads, delays, recurrence, images."""
    assert {"windows", "graded", "dense-delays", "recurrent", "image-neurons"} <= set(RECORDED)


def tinynet(backend):
    graph = load_network(DATA / "tinynet" / "network.net", timesteps=16)
    bias = np.load(DATA / "tinynet" / "input_bias.npy").transpose(2, 1, 0)
    image = (bias - graph.input.offset) / graph.input.scale
    options = LAVA if backend == "lava" else {}
    return sdt_lava.simulate(graph, image[None], backend, **options)


@pytest.mark.parametrize("backend", back_ends("reference", "engine", "machine", "lava"))
def test_tinynet(backend):
    """The recording of lava-dl's tests; SLAYER delayed each layer by the step of a hop."""
    result = tinynet(backend)
    assert list(result.spikes) == ["layer.0", "layer.1", "layer.2"]
    for name, file in {"layer.0": "input", "layer.1": "layer1", "layer.2": "output"}.items():
        recorded = np.moveaxis(np.load(DATA / "tinynet" / f"{file}.npy"), -1, 0)
        assert recorded.any()
        assert np.array_equal(result.spikes[name][:-1], recorded[1:]), name


def test_tinynet_says_how_long_its_samples_are():
    assert load_network(DATA / "tinynet" / "network.net").timesteps == 64


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("name", ["graded", "recurrent"])
def test_our_files_in_stock_netx(tmp_path, name):
    from tests.io.netx.stock_lava import run_stock_layers

    recorded = dict(np.load(DATA / f"{name}.npz"))
    x, timesteps = recorded.pop("x")[:1], int(recorded.pop("T"))
    graph = load_network(DATA / f"{name}.net", timesteps=timesteps)
    save_network(graph, tmp_path / "ours.h5")
    assert_same_graph(load_network(tmp_path / "ours.h5"), graph)
    bits = 8 if name == "graded" else 0
    layers = run_stock_layers(tmp_path / "ours.h5", np.swapaxes(x, 0, 1), bits)
    for found, expected in zip(layers, recorded.values(), strict=True):
        assert np.array_equal(found, expected[:, :1])


@pytest.mark.lava
@pytest.mark.slow
def test_our_image_file_in_stock_netx(tmp_path):
    from lava.lib.dl.netx import hdf5

    from tests.io.netx.stock_lava import run_stock_images

    recorded = dict(np.load(DATA / "image-neurons.npz"))
    x, timesteps = recorded.pop("x"), int(recorded.pop("T"))
    graph = load_network(DATA / "image-neurons.net", timesteps=timesteps)
    save_network(graph, tmp_path / "ours.h5")
    assert_same_graph(load_network(tmp_path / "ours.h5"), graph)
    network = hdf5.Network(str(tmp_path / "ours.h5"))
    transform = network.in_layer.transform
    network.net_config.f.close()
    bias = np.rint(x * transform["weight"] + transform["bias"]).astype(int)
    layers = run_stock_images(tmp_path / "ours.h5", bias[:1], timesteps)
    for found, expected in zip(layers, recorded.values(), strict=True):
        assert np.array_equal(found, expected[:, :1])


def test_stock_networks_in_batches(tmp_path):
    """The engine's batches do not change what delayed spikes do."""
    network = spikes("delays")
    _, graph = export(network, tmp_path)
    whole = sdt_lava.simulate(graph, network.x, batch_size=3)
    parts = sdt_lava.simulate(graph, network.x, batch_size=2)
    assert spike_differences(whole, parts) == 0
