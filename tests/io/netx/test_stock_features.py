"""What files of lava-dl mean where stock netx computes something else, or stops."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import sdt_lava
from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.ir import Readout
from tests.io.netx.stock_files import (
    BACKENDS,
    assert_same_spikes,
    dense_file,
    export,
    skipping_file,
)
from tests.needs import back_ends
from tests.recordings.netx import spikes


def test_payloads_are_taken_as_they_come(tmp_path, caplog):
    network = spikes("graded")
    _, graph = export(network, tmp_path)
    assert (graph.input.low, graph.input.high) == (0, 1)
    result = sdt_lava.simulate(graph, network.x)
    assert (result.net.input.low, result.net.input.high) == (0, 16)
    binary = sdt_lava.simulate(graph, np.minimum(network.x, 1))
    assert (binary.net.input.low, binary.net.input.high) == (0, 1)
    assert binary.counts.total("mac") == 0 < result.counts.total("mac")
    negative = sdt_lava.simulate(graph, -network.x)
    assert (negative.net.input.low, negative.net.input.high) == (-16, 1)
    assert not caplog.records


def test_images_beyond_a_bias_are_clipped_with_a_warning(tmp_path, caplog):
    _, graph = export(spikes("image"), tmp_path)
    sdt_lava.simulate(graph, np.full((1, *graph.input_shape), 1e6))
    assert "are clipped" in caplog.text


# What stock netx gets wrong.


@pytest.mark.lava
@pytest.mark.slow
def test_stock_netx_ignores_the_delays_of_convolutions(tmp_path):
    from tests.io.netx.stock_lava import run_stock_apart

    network = spikes("convolutions with delays and biases")
    path, graph = export(network, tmp_path)
    stock = run_stock_apart(path, np.swapaxes(network.x[:1], 0, 1))
    assert not np.array_equal(stock[0], network.outputs["layer.1"][:, :1])
    assert_same_spikes(sdt_lava.simulate(graph, network.x), network.outputs)


@pytest.mark.lava
@pytest.mark.slow
def test_stock_netx_lets_spikes_pass_from_sample_to_sample(tmp_path):
    from tests.io.netx.stock_lava import run_stock_layers

    network = spikes("delays", 1)
    path, graph = export(network, tmp_path)
    stock = run_stock_layers(path, np.swapaxes(network.x, 0, 1)[:, :2])
    last = network.outputs["layer.3"]
    assert np.array_equal(stock[-1][:, 0], last[:, 0])
    assert not np.array_equal(stock[-1][:, 1], last[:, 1])
    result = sdt_lava.simulate(graph, network.x)
    assert_same_spikes(result, network.outputs)
    alone = sdt_lava.simulate(graph, network.x[1:])
    assert_same_spikes(alone, {name: s[:, 1:] for name, s in result.spikes.items()})


@pytest.mark.parametrize(
    ("weight", "held"),
    [
        ([[300, 200], [20, 510]], ([[150, 100], [10, 255]], 1)),
        ([[0, 0], [0, 0]], ([[0, 0], [0, 0]], 0)),
        ([[-256, -2], [-100, 0]], ([[-256, -2], [-100, 0]], 0)),
        ([[-256, 254], [4, 0]], ([[-256, 254], [4, 0]], 0)),
        ([[101, -3], [4, -128]], ([[101, -3], [4, -128]], 0)),
        ([[-1024, 512], [8, 16]], ([[-256, 128], [2, 4]], 2)),
    ],
    ids=["large", "zero", "inhibitory", "lowest", "odd", "large of both signs"],
)
@pytest.mark.parametrize("backend", back_ends(*BACKENDS))
def test_weights_mean_what_they_say(tmp_path, weight, held, backend):
    """Stock netx turns some of them to 0, stops at others, and clips."""
    graph = load_network(dense_file(tmp_path / "n.net", weight), timesteps=6)
    dense = graph.nodes["layer.1.synapse"]
    assert (dense.weight.tolist(), dense.exponent) == held
    x = np.random.default_rng(0).integers(-3, 5, (2, 6, 2))
    models = "lava" if backend == "lava-inprocess" else None
    result = sdt_lava.simulate(graph, x, backend, models=models)
    currents = x @ np.array(weight).T
    v, expected = np.zeros((2, 2), int), []
    for t in range(6):
        v = np.sign(v) * (np.abs(v) * 3072 >> 12) + (currents[:, t] << 6)
        expected.append(v > 500 << 6)
        v[expected[-1]] = 0
    assert np.array_equal(result.spikes["layer.1"], expected)
    assert np.any(expected) == (np.max(np.abs(weight)) > 0)


@pytest.mark.lava
def test_stock_netx_turns_large_positive_weights_to_zero(tmp_path):
    from lava.lib.dl.netx import hdf5

    path = dense_file(tmp_path / "n.net", [[300, 200], [20, 510]])
    network = hdf5.Network(str(path), input_shape=(2,))
    assert not network.layers[0].synapse.weights.get().any()
    network.net_config.f.close()


@pytest.mark.lava
def test_stock_netx_stops_where_all_weights_are_zero(tmp_path):
    from lava.lib.dl.netx import hdf5

    path = dense_file(tmp_path / "n.net", [[0, 0], [0, 0]])
    with pytest.raises(OverflowError), np.errstate(divide="ignore"):
        hdf5.Network(str(path), input_shape=(2,))


def test_fractions_and_unknown_layers_are_refused(tmp_path):
    with pytest.raises(NetworkFileError, match="fractions"):
        load_network(dense_file(tmp_path / "n.net", [[3.5, 2.25], [1, 7.75]]))
    with pytest.raises(NetworkFileError, match="unknown layer type 'attention'"):
        load_network(skipping_file(tmp_path / "m.net"))


@pytest.mark.lava
def test_stock_netx_cuts_fractions_off_and_skips_unknown_layers(tmp_path):
    from lava.lib.dl.netx import hdf5

    path = dense_file(tmp_path / "n.net", [[3.5, 2.25], [1, 7.75]])
    network = hdf5.Network(str(path), input_shape=(2,))
    exponent = network.layers[0].synapse.proc_params["weight_exp"]
    assert (network.layers[0].synapse.weights.get() * 2.0**exponent).tolist() == [[3, 2], [1, 7]]
    network.net_config.f.close()
    network = hdf5.Network(str(skipping_file(tmp_path / "m.net")), input_shape=(2,))
    assert len(network) == 2
    network.net_config.f.close()


def test_delays_longer_than_stock_netx_holds(tmp_path):
    path = dense_file(tmp_path / "n.net", [[600, 0], [0, 600]], delay=[0.0, 70.0])
    graph = load_network(path, timesteps=80)
    x = np.zeros((1, 80, 2))
    x[:, 3] = 1
    spikes = sdt_lava.simulate(graph, x).spikes["layer.1"][:, 0]
    assert np.argwhere(spikes).tolist() == [[3, 0], [73, 1]]
    save_network(graph, tmp_path / "ours.h5")
    with h5py.File(tmp_path / "ours.h5") as file:
        assert file["layer/0/type"][0] == b"input_sdt"


def test_dense_layers_without_neurons_are_readouts(tmp_path):
    """Stock netx gives them neurons that add up and never fire."""
    weight = [[4, -2, 6], [2, 8, -100]]
    graph = load_network(dense_file(tmp_path / "n.net", weight, neuron=False), timesteps=5)
    assert isinstance(graph.readout, Readout)
    x = np.random.default_rng(0).integers(0, 2, (3, 5, 3))
    result = sdt_lava.simulate(graph, x)
    assert np.array_equal(result.logits, x.sum(axis=1) @ np.transpose(weight))
    assert result.spikes == {}
    with h5py.File(dense_file(tmp_path / "m.net", weight, neuron=False), "r+") as file:
        file.copy("layer/1", "layer/2")
    with pytest.raises(NetworkFileError, match="no member 'neuron'"):
        load_network(tmp_path / "m.net")


@pytest.mark.parametrize(
    ("member", "value", "word"),
    [
        ("padding", [1, 0], "next channel"),
        ("stride", [1, 2], "next channel"),
        ("stride", [4, 1], "next channel"),
        ("dilation", [2, 1], "next channel"),
        ("dilation", [1, 0], "dilation"),
        ("dilation", [1, 3], "dilation"),
        ("stride", [0, 1], "next channel"),
    ],
)
def test_pools_that_slayer_does_not_compute_by_channel(tmp_path, member, value, word):
    def change(file):
        del file[f"layer/2/{member}"]
        file[f"layer/2/{member}"] = value

    with pytest.raises(NetworkFileError, match=word):
        export(spikes("pools"), tmp_path, change)


def test_pools_of_absurdly_many_channels(tmp_path):
    def change(file):
        del file["layer/1"], file["layer/0/shape"]
        file.move("layer/2", "layer/1")
        del file["layer/3"], file["layer/4"]
        file["layer/0/shape"] = [2**29, 6, 5]

    with pytest.raises(NetworkFileError, match="536870912 channels"):
        export(spikes("pools"), tmp_path, change)
