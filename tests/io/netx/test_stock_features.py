"""Networks of lava-dl: the spikes of SLAYER and of stock netx in Lava, on every back end."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.result import spike_differences
from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.io.netx.stock_rules import find_chain, survive_scaling
from sdt_lava.ir import CubaLif, Dense, Flatten, Graph, Input, Lif, Readout
from tests.cuba_graphs import random_cuba_fields
from tests.graphs import GraphMaker, assert_same_graph, random_frames
from tests.needs import back_ends, runnable
from tests.recordings.netx import SPIKES, seeds_of, spikes

DATA = Path(__file__).parents[2] / "data" / "netx"
RECORDED = sorted(path.stem for path in DATA.glob("*.npz"))
LAVA = {"timeout": 120.0}
BACKENDS = ("reference", "engine", "machine", "lava-inprocess")


def export(network, folder, change=None):
    path = network.export(folder / "slayer.net", change)
    return path, load_network(path, timesteps=network.timesteps)


def assert_same_spikes(result, expected):
    assert list(result.spikes) == list(expected)
    for name, sent in expected.items():
        assert np.array_equal(result.spikes[name], sent), name


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


def skipping_file(path):
    """A layer of unknown type between two dense ones."""
    dense_file(path, [[4, 2], [2, 8]])
    with h5py.File(path, "r+") as file:
        file.create_dataset("layer/2/type", (1,), "S10", [b"attention"])
        file.copy("layer/1", "layer/3")
    return path


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


def test_pools_of_absurdly_many_channels(tmp_path):
    def change(file):
        del file["layer/1"], file["layer/0/shape"]
        file.move("layer/2", "layer/1")
        del file["layer/3"], file["layer/4"]
        file["layer/0/shape"] = [2**29, 6, 5]

    with pytest.raises(NetworkFileError, match="536870912 channels"):
        export(spikes("pools"), tmp_path, change)


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


def test_stock_networks_in_batches(tmp_path):
    """The engine's batches do not change what delayed spikes do."""
    network = spikes("delays")
    _, graph = export(network, tmp_path)
    whole = sdt_lava.simulate(graph, network.x, batch_size=3)
    parts = sdt_lava.simulate(graph, network.x, batch_size=2)
    assert spike_differences(whole, parts) == 0
