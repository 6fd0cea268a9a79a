"""Sigma-delta networks: the messages of SLAYER and of stock netx in Lava, on every back end."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import sdt_lava
from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.ir import Delta, Sigma, SigmaDelta
from tests.graphs import assert_same_graph
from tests.needs import back_ends, runnable
from tests.recordings.netx import MESSAGES, STOCK_MESSAGES, messages, seeds_of
from tests.recordings.store import load

CASE = Path(__file__).parents[2] / "data" / "netx" / "sigma-delta"
# Integer levels per unit: of a message (a value's 6 bits and the 6 of a message), of a state.
MESSAGE, STATE = 1 << 12, 1 << 18
BACKENDS = ("reference", "engine", "machine", "lava-inprocess")


def assert_same_messages(result, expected):
    assert list(result.messages) == list(expected)
    for name, sent in expected.items():
        assert np.array_equal(result.messages[name], sent), name


def in_levels(outputs):
    """SLAYER's messages in the units of ours; those of an output have six bits more."""
    *sent, last = outputs
    levels = {name: outputs[name].astype(float) * MESSAGE for name in sent}
    return {**levels, last: outputs[last].astype(float) * STATE}


@pytest.mark.parametrize("backend", back_ends(*BACKENDS))
def test_outputs_of_slayer(backend):
    """A file and an output that SLAYER wrote: the output at each step, in its own units."""
    recorded = np.load(CASE / "slayer.npz")
    result = sdt_lava.simulate(load_network(CASE / "network.net"), recorded["x"], backend)
    assert np.array_equal(result.outputs, recorded["outputs"])
    assert np.array_equal(result.logits, recorded["outputs"][-1] * STATE)


@pytest.mark.parametrize(
    ("name", "seed"),
    [(name, seed) for name in MESSAGES if "without" not in name for seed in seeds_of(name)],
)
def test_messages_of_slayer(tmp_path, name, seed):
    network = messages(name, seed)
    graph = load_network(network.export(tmp_path / "slayer.net"), lead_in=False)
    assert any(node.bias is not None for node in graph.of_type(SigmaDelta)) == ("bias" in name)
    expected = in_levels(network.outputs)
    assert all(sent.any() for sent in expected.values())
    for backend in runnable(BACKENDS):
        assert_same_messages(sdt_lava.simulate(graph, network.x, backend), expected)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", STOCK_MESSAGES)
def test_messages_of_stock_netx(tmp_path, name, seed):
    """Layer by layer and step by step, of each sample from a fresh start; any integer is taken."""
    graph = load_network(messages(name, seed).export(tmp_path / "slayer.net"))
    expected = dict(load("stock-messages")[f"{name}, seed {seed}"])
    frames = expected.pop("frames")
    assert sum(sent.any() for sent in expected.values()) >= len(expected) - 1
    for backend in runnable(BACKENDS):
        assert_same_messages(sdt_lava.simulate(graph, frames / 64, backend), expected)


def test_messages_without_encoders(tmp_path):
    graph = load_network(messages("without encoders", 1).export(tmp_path / "slayer.net"))
    expected = dict(load("stock-messages")["without encoders, seed 1"])
    frames = expected.pop("frames")
    assert all(sent.any() for sent in expected.values())
    for backend in runnable(BACKENDS):
        result = sdt_lava.simulate(graph, frames, backend)
        assert_same_messages(result, expected)
        # The messages of neurons that nobody decodes add up to their activation.
        assert result.outputs is None
        assert np.array_equal(result.logits, result.messages["layer.2"].sum(axis=0))


def test_an_output_may_be_a_convolution(tmp_path):
    """As in lava-dl's object detectors, whose last layer decodes an image."""
    path = messages("without encoders", 2).export(tmp_path / "a.net", DECODED)
    graph = load_network(path)
    expected = dict(load("stock-messages")["decoded image, seed 2"])
    frames = expected.pop("frames")
    for backend in runnable(BACKENDS):
        result = sdt_lava.simulate(graph, frames, backend)
        assert_same_messages(result, expected)
        assert result.outputs.shape == (6, 1, 2, 4, 3) and result.outputs.any()


@pytest.mark.lava
@pytest.mark.slow
def test_pilotnet(tmp_path):
    """Its steering angle, and every message before it, as stock netx has them in Lava."""
    from tests.io.netx import sigma_delta_nets as nets
    from tests.io.netx.stock_lava import run_stock_messages

    network = nets.Messages(nets.pilotnet, timesteps=3, samples=1)
    path = network.export(tmp_path / "slayer.net")
    graph = load_network(path)
    frames = np.rint(network.x[0] * 64).astype(int)
    stock = run_stock_messages(path, frames)
    result = sdt_lava.simulate(graph, frames[None] / 64, "engine")
    assert_same_messages(result, dict(zip(graph.message_names, stock, strict=True)))
    assert result.outputs.shape == (3, 1, 1) and result.outputs.all()
    lava = sdt_lava.simulate(graph, frames[None] / 64, "lava-inprocess")
    assert_same_messages(lava, result.messages)


@pytest.mark.lava
@pytest.mark.slow
def test_messages_in_lava(tmp_path):
    network = messages("windows with biases", 1)
    graph = load_network(network.export(tmp_path / "slayer.net"))
    expected = sdt_lava.simulate(graph, network.x, "reference").messages
    result = sdt_lava.simulate(graph, network.x, "lava", timeout=120)
    assert_same_messages(result, expected)


@pytest.mark.lava
@pytest.mark.parametrize("lead_in", [True, False])
@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("models", ["lava", "accelerated", "fused-blocks", "fused"])
def test_process_models(tmp_path, models, reset, lead_in):
    network = messages("windows with biases")
    graph = load_network(network.export(tmp_path / "slayer.net"), lead_in=lead_in)
    expected = sdt_lava.simulate(graph, network.x, "reference", reset=reset)
    options = {"models": models, "reset": reset}
    assert_same_messages(
        sdt_lava.simulate(graph, network.x, "lava-inprocess", **options), expected.messages
    )


@pytest.mark.parametrize("lead_in", [True, False])
@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("backend", ["engine", "machine"])
def test_streams(tmp_path, backend, reset, lead_in):
    network = messages("windows with biases")
    graph = load_network(network.export(tmp_path / "slayer.net"), lead_in=lead_in)
    expected = sdt_lava.simulate(graph, network.x, "reference", reset=reset)
    found = sdt_lava.simulate(graph, network.x, backend, reset=reset, batch_size=1)
    assert_same_messages(found, expected.messages)
    assert np.array_equal(found.logits, expected.logits)


def test_a_stream_takes_lavas_own_processes(tmp_path):
    """Neurons that no reset holds back are at a sample's start by themselves, as in stock netx."""
    network = messages("dense with biases")
    path = network.export(tmp_path / "slayer.net")

    def neurons(graph, reset):
        compiled = sdt_lava.compile(graph, timesteps=9, reset=reset)
        return [row.process for row in compiled.processes if row.latency is not None]

    own = ["Delta", "SigmaDelta", "SigmaDelta", "Sigma"]
    resetting = [f"{name}Reset" for name in own]
    assert neurons(load_network(path), False) == own
    assert neurons(load_network(path), True) == resetting
    # From rest they only start if a reset takes back what they did before.
    assert neurons(load_network(path, lead_in=False), False) == resetting


def test_leads_are_those_of_stock_netx(tmp_path):
    graph = load_network(messages("windows").export(tmp_path / "slayer.net"))
    assert [node.lead for node in graph.of_type(SigmaDelta)] == [1, 2, 3, 4]
    assert [type(graph.nodes[name]) for name in graph.message_names][::5] == [Delta, Sigma]


@pytest.mark.parametrize("lead_in", [True, False])
def test_round_trip(tmp_path, lead_in):
    network = messages("windows with biases", 2)
    graph = load_network(network.export(tmp_path / "slayer.net"), lead_in=lead_in)
    save_network(graph, tmp_path / "net.h5")
    again = load_network(tmp_path / "net.h5")
    assert_same_graph(again, graph)
    expected = sdt_lava.simulate(graph, network.x)
    assert_same_messages(sdt_lava.simulate(again, network.x), expected.messages)


def test_real_input_is_rounded_as_in_training(tmp_path):
    """SLAYER rounds real values to 2/64; whole numbers of 1/64 are those that netx takes."""
    graph = load_network(messages("dense").export(tmp_path / "slayer.net"))
    x = np.array([[[0.0, 1 / 64, 1.4 / 64, -2.9 / 64, 5.0, -5.0]]])
    frames = sdt_lava.simulate(graph, x).frames
    assert frames.ravel().tolist() == [0, 1, 2, -2, 254, -256]


def change(name, value):
    def apply(file):
        if name in file:
            del file[name]
        file[name] = value

    return apply


# The last layer decodes.
DECODED = change("layer/2/neuron/sigma_output", True)


def recurrent(file):
    change("layer/1/type", np.array([b"dense_rec"]))(file)
    change("layer/1/weight_rec", np.zeros((7, 7)))(file)


REFUSED = {
    "activation": (change("layer/1/neuron/activation", "tanh"), "tanh"),
    "threshold": (change("layer/1/neuron/vThMant", 2048), "24-bit"),
    "negative threshold": (change("layer/1/neuron/vThMant", -1), "0 to 2047"),
    "bias": (change("layer/1/bias", np.full(7, 5000.0)), "24-bit"),
    "bias of the output": (change("layer/3/bias", np.ones(3)), "only adds up"),
    "delay": (change("layer/1/delay", np.ones(7)), "delays"),
    "divided": (change("layer/1/neuron/weight_exp", 2), "WgtScaleBatchNorm"),
    "recurrent": (recurrent, "SLAYER does not have"),
    "no threshold": (lambda file: file["layer/1/neuron"].pop("vThMant"), "vThMant"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(tmp_path, name):
    apply, found = REFUSED[name]
    path = messages("dense").export(tmp_path / "slayer.net", apply)
    with pytest.raises(NetworkFileError, match=found) as error:
        load_network(path)
    assert error.value.remedy


def test_what_nobody_reads_refuses_nothing(tmp_path):
    """Thresholds of decoders, activations of encoders, delays of none, and a norm of one."""

    def more(file):
        change("layer/0/neuron/activation", "tanh")(file)
        change("layer/1/delay", np.zeros(7))(file)
        change("layer/1/neuron/weight_exp", 0)(file)
        change("layer/1/neuron/messageBits", 16)(file)
        del file["layer/3/neuron/vThMant"]

    network = messages("dense")
    plain = load_network(network.export(tmp_path / "plain.net"))
    more_members = load_network(network.export(tmp_path / "more.net", more))
    assert_same_graph(more_members, plain)


def test_an_identity_is_not_rectified(tmp_path):
    network = messages("dense")
    path = network.export(tmp_path / "a.net", change("layer/1/neuron/activation", "identity"))
    graph = load_network(path)
    assert [node.rectified for node in graph.of_type(SigmaDelta)] == [False, True]
    expected = sdt_lava.simulate(graph, network.x, "reference")
    assert (np.cumsum(expected.messages["layer.1"], axis=0) < -MESSAGE).any()
    for backend in runnable(["engine", "machine", "lava-inprocess"]):
        assert_same_messages(sdt_lava.simulate(graph, network.x, backend), expected.messages)


def test_files_are_those_of_slayer():
    with h5py.File(CASE / "network.net") as file:
        assert file["layer/1/neuron/type"][()] == b"SDNN"
        assert "sigma_output" in file["layer/2/neuron"]
