"""The membranes of a network's last neurons, which are its result where these never fire."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.membranes import ends_in_membranes
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.ir import Conv, CubaLif, Dense, Graph, Input, Lif
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.needs import back_ends, runnable

BACKENDS = ["reference", "engine", "machine", "lava-inprocess"]
LARGEST = 2**17 - 1


def write(path, layers):
    """Write dense layers ``(weight, bias, members of the neuron)`` as SLAYER does."""
    with h5py.File(path, "w") as file:
        for index, (weight, bias, members) in enumerate(layers):
            layer = file.create_group(f"layer/{index}")
            layer["type"], layer["shape"] = np.array([b"dense"], "S10"), [len(weight)]
            layer["weight"], layer["bias"] = weight.astype("f4"), np.asarray(bias, "f4")
            usual = {"iDecay": 4096, "vDecay": 0, "vThMant": LARGEST, "refDelay": 1}
            for name, value in {**usual, **members, "type": "LOIHI"}.items():
                layer[f"neuron/{name}"] = value
    return path


def integrate(currents, bias, i_decay, v_decay):
    """Return v of neurons that never fire after the last step: ``(B, T, n)`` to ``(B, n)``."""
    u = v = np.zeros(currents[:, 0].shape, int)
    for step in np.moveaxis(currents, 1, 0):
        u = np.sign(u) * (np.abs(u) * (4096 - i_decay) >> 12) + (step << 6)
        v = np.sign(v) * (np.abs(v) * (4096 - v_decay) >> 12) + u + (bias << 6)
    return v


@pytest.mark.parametrize("backend", back_ends(*BACKENDS))
@pytest.mark.parametrize(
    ("seed", "steps", "decays"),
    [(0, 16, (4096, 0)), (1, 1, (4096, 0)), (2, 9, (4096, 300)), (3, 12, (1500, 1)),
     (4, 7, (0, 4096))],
)  # fmt: skip
def test_the_membrane_is_the_result(tmp_path, backend, seed, steps, decays):
    rng = np.random.default_rng(seed)
    weight, bias = 2 * rng.integers(-20, 20, (3, 10)), rng.integers(-9, 9, 3)
    members = {"iDecay": decays[0], "vDecay": decays[1], "theta": 1600}
    net = load_network(write(tmp_path / "n.net", [(weight, bias, members)]), timesteps=steps)
    x = rng.integers(0, 2, (4, steps, 10))
    expected = integrate(x @ weight.T, bias, *decays)
    result = sdt_lava.simulate(net, x, backend)
    assert np.array_equal(result.membranes["layer.0"], expected)
    assert np.array_equal(result.logits, expected / 64)
    assert not result.spikes["layer.0"].any() and expected.any()
    assert result.membranes["layer.0"].dtype == np.int64
    if decays == (4096, 0):
        assert result.logits.dtype == np.int64
        assert np.array_equal(result.logits, x.sum(1) @ weight.T + steps * bias)
    assert np.array_equal(result.labels, expected.argmax(1))
    save_network(net, tmp_path / "ours.h5")
    again = sdt_lava.simulate(sdt_lava.load_network(tmp_path / "ours.h5"), x)
    assert np.array_equal(again.logits, result.logits)


@pytest.mark.lava
@pytest.mark.slow
def test_the_membrane_in_lava(tmp_path):
    rng = np.random.default_rng(5)
    weight = 2 * rng.integers(-20, 20, (2, 6))
    net = load_network(write(tmp_path / "n.net", [(weight, [3, -2], {"vDecay": 77})]), 5)
    x = rng.integers(0, 2, (2, 5, 6))
    result = sdt_lava.simulate(net, x, "lava", timeout=120.0)
    expected = integrate(x @ weight.T, np.array([3, -2]), 4096, 77)
    assert np.array_equal(result.membranes["layer.0"], expected)


@pytest.mark.lava
def test_the_threshold_of_an_affine_block(tmp_path):
    """SLAYER's block has dynamics but no spikes, and writes 18 bits."""
    from lava.lib.dl import slayer

    neurons = {"threshold": 1.0, "current_decay": 0.4, "voltage_decay": 0.1}
    block = slayer.block.cuba.Affine(neurons, 6, 4)
    with h5py.File(tmp_path / "n.net", "w") as file:
        block.export_hdf5(file.create_group("layer/0"))
    net = load_network(tmp_path / "n.net", timesteps=8)
    x = np.random.default_rng(0).integers(0, 2, (3, 8, 6))
    weight = (
        np.asarray(net.nodes["layer.0.synapse"].weight) << net.nodes["layer.0.synapse"].exponent
    )
    node = net.nodes["layer.0"]
    expected = integrate(x @ weight.T, np.zeros(4, int), node.current_decay, node.voltage_decay)
    result = sdt_lava.simulate(net, x)
    assert expected.any() and np.array_equal(result.logits, expected / 64)


def one_layer(threshold, **fields):
    dense = Dense(name="d", inputs=("x",), weight=np.array([[4, -2], [2, 2]]))
    usual = {"voltage_decay": 0, "current_decay": 4096, "threshold": threshold}
    neurons = CubaLif(name="n", inputs=("d",), **{**usual, **fields})
    return Graph.build([Input(name="x", shape=(2,)), dense, neurons], 5)


def test_neurons_that_no_input_lets_fire():
    """Largest sums are 4 a step."""
    assert ends_in_membranes(one_layer(20), 5)
    assert not ends_in_membranes(one_layer(20), 6)
    assert not ends_in_membranes(one_layer(19), 5)
    assert ends_in_membranes(one_layer(19, voltage_decay=100), 5)
    assert ends_in_membranes(one_layer(np.array([20, 20])), 5)
    assert not ends_in_membranes(one_layer(np.array([20, 19])), 5)
    assert not ends_in_membranes(one_layer(20, bias=np.array([1, 1])), 5)
    assert ends_in_membranes(one_layer(10, drive_shift=1), 5)
    assert ends_in_membranes(one_layer(20, weight_rec=np.full((2, 2), 100)), 5)
    x = np.ones((1, 5, 2))
    silent, firing = (sdt_lava.simulate(one_layer(threshold), x) for threshold in (20, 9))
    assert silent.logits.tolist() == [[10, 20]]
    assert firing.logits.tolist() == [[1, 1]] == firing.spikes["n"].sum(0).tolist()
    longer = sdt_lava.simulate(one_layer(20), np.ones((1, 6, 2)))
    assert longer.logits.tolist() == longer.spikes["n"].sum(0).tolist() == [[0, 1]]
    stream = sdt_lava.simulate(one_layer(20), np.ones((2, 5, 2)), reset=False)
    assert stream.logits.tolist() == stream.spikes["n"].sum(0).tolist()


def test_payloads_decide_too():
    """Data wider than 0 and 1 may reach what spikes do not."""
    net = one_layer(20)
    entry = Input(name="x", shape=(2,), widens=True)
    net = net.rebuild([entry, *(node for node in net if node.name != "x")])
    assert sdt_lava.simulate(net, np.ones((1, 5, 2))).logits.tolist() == [[10, 20]]
    assert sdt_lava.simulate(net, np.full((1, 5, 2), 3)).logits.tolist() == [[1, 2]]


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_membranes_of_neurons_that_fire(seed, reset):
    rng = np.random.default_rng(seed)
    net = random_chain(rng, convs=(3, 4), denses=() if seed else (5,))
    frames = random_frames(rng, net, batch=4)
    states = {}
    if reset:
        run_reference(net, frames, states=states)
        expected = states[net.output_name][1]
    else:
        parts = []
        for sample in range(4):
            run_reference(net, frames[:, [sample]], states=states)
            parts.append(states[net.output_name][1])
        expected = np.concatenate(parts)
    x = (np.swapaxes(frames, 0, 1) - net.input.offset) / net.input.scale
    for backend in runnable(BACKENDS):
        result = sdt_lava.simulate(net, x, backend, reset=reset, strict=False)
        assert np.array_equal(result.frames, frames)
        assert list(result.membranes) == [net.output_name]
        assert np.array_equal(result.membranes[net.output_name], expected)
        assert np.array_equal(result.logits, result.spikes[net.output_name].sum(0))


def test_images_and_batches():
    rng = np.random.default_rng(0)
    conv = Conv(
        name="c", inputs=("x",), weight=2 * rng.integers(-9, 9, (3, 2, 3, 3)), padding=(1, 1)
    )
    end = Lif(name="n", inputs=("c",), threshold=LARGEST, voltage_decay=0, bias=np.arange(3))
    net = Graph.build([Input(name="x", shape=(2, 4, 5)), conv, end], 3)
    x = rng.integers(0, 2, (5, 3, 2, 4, 5))
    results = [sdt_lava.simulate(net, x, batch_size=size) for size in (1, 2, None)]
    for result in results:
        assert result.membranes["n"].shape == (5, 3, 4, 5) and result.logits.shape == (5, 60)
        assert np.array_equal(result.logits, results[0].logits) and result.logits.any()


def test_networks_that_end_otherwise():
    net = random_sdt_graph(np.random.default_rng(0))
    result = sdt_lava.simulate(net, np.zeros((1, *net.input_shape)))
    assert result.membranes == {}


@pytest.mark.lava
@pytest.mark.slow
def test_the_membrane_of_stock_netx(tmp_path):
    """What lava-dl's tutorial of PilotNet reads: v of the last layer after each sample."""
    from lava.lib.dl.netx import hdf5
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.source import RingBuffer as Source

    from sdt_lava.backends.lava.session import LavaSession

    rng = np.random.default_rng(3)
    steps, hidden, end = 16, 2 * rng.integers(-20, 30, (8, 6)), 2 * rng.integers(-20, 20, (1, 8))
    members = {"vDecay": 1024, "vThMant": 25}
    path = write(tmp_path / "n.net", [(hidden, rng.integers(-9, 9, 8), members), (end, [0], {})])
    x = rng.integers(0, 2, (2, steps, 6))
    found = []
    for sample in x:
        stock = hdf5.Network(str(path), input_shape=(6,), reset_interval=steps, reset_offset=1)
        source = Source(data=np.pad(sample.T, ((0, 0), (0, 2))).astype(np.int32))
        source.s_out.connect(stock.inp)
        config = Loihi2SimCfg(select_tag="fixed_pt")
        with LavaSession(stock.layers[0], config, timeout=90, executor="processes") as session:
            session.run(steps + 2)  # a step from layer to layer
            found.append(np.array(stock.out_layer.neuron.v.get()))
        stock.net_config.f.close()
    result = sdt_lava.simulate(load_network(path, timesteps=steps), x)
    assert np.array_equal(result.membranes["layer.1"], found) and np.any(found)
    assert np.array_equal(result.logits, np.array(found) // 64)
