"""Leaky integrators, whose membrane is the result, against Euler's method."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import sdt_lava
from sdt_lava.errors import NirError, NumericOverflowError
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.ir import CubaLif, Lif
from sdt_lava.ir.numerics import THRESHOLD_LIMIT
from sdt_lava.nir import NirOptions, from_nir, load_nir, save_nir, to_nir
from tests.importers.nir.euler import run_nir
from tests.importers.nir.structures import (
    chain,
    cuba,
    ends,
    fire,
    frames_for,
    graph,
    lif,
    whole,
)
from tests.needs import back_ends

DT = 1e-4
# Half of the membrane is lost in each step, so that six steps lose no bit of a sum.
STEPS = 6


def li(*shape, tau=2 * DT, r=2.0, v_leak=0.0):
    return nir.LI(*(np.broadcast_to(v, shape).copy() for v in (tau, r, v_leak)))


def cuba_li(*shape, tau_syn=2 * DT, tau_mem=2 * DT, r=2.0, v_leak=0.0, w_in=2.0):
    values = (tau_mem, tau_syn, r, v_leak, w_in)
    names = ("tau_mem", "tau_syn", "r", "v_leak", "w_in")
    arrays = (np.broadcast_to(value, shape).copy() for value in values)
    return nir.CubaLI(**dict(zip(names, arrays, strict=True)))


def vector(*nodes, inputs=7):
    return chain(nir.Input(np.array([inputs])), *nodes)


def conv(rng, inputs, outputs, sides):
    weight = whole(rng, outputs, inputs, 3, 3)
    return nir.Conv2d(sides, weight, 1, 1, 1, 1, np.zeros(outputs))


def affine(rng, outputs, inputs):
    return nir.Affine(whole(rng, outputs, inputs), whole(rng, outputs))


def made():
    rng = np.random.default_rng(5)
    return {
        "LI": vector(nir.Linear(whole(rng, 5, 7)), li(5)),
        "LI behind neurons": vector(
            nir.Linear(whole(rng, 9, 7)), lif(9), affine(rng, 3, 9), li(3, v_leak=0.25)
        ),
        "LI of one value": vector(nir.Linear(whole(rng, 1, 7)), li(1)),
        "CubaLI": vector(nir.Linear(whole(rng, 5, 7)), cuba_li(5)),
        "CubaLI with a bias": vector(
            nir.Linear(whole(rng, 9, 7)), cuba(9), affine(rng, 3, 9), cuba_li(3)
        ),
        "an image": chain(
            nir.Input(np.array([2, 5, 3])), conv(rng, 2, 3, (5, 3)), fire(3, 5, 3),
            nir.Flatten(np.array([3, 5, 3]), 0, -1), nir.Linear(whole(rng, 4, 45)), li(4),
        ),
        "an image of membranes": chain(
            nir.Input(np.array([2, 5, 3])), conv(rng, 2, 3, (5, 3)), li(3, 5, 3),
        ),
        "factors by neuron": vector(
            nir.Linear(whole(rng, 3, 7, low=-10, high=12)), li(3, r=np.array([2.0, 4.0, 1.0]))
        ),
        "in a graph": graph(
            ["input w part output"], **ends(7, 4), w=nir.Linear(whole(rng, 4, 7)),
            part=graph(["input li output"], **ends(4, 4), li=li(4)),
        ),
    }  # fmt: skip


GRAPHS = made()


def expected_membranes(built, frames):
    emitted = run_nir(built, frames, DT)
    output = next(v for n, v in emitted.items() if n.rpartition(".")[2].startswith("output"))
    return output[-1].reshape(frames.shape[1], -1)


def scale_of(net, report):
    rows = report.quantization.neurons
    return next(row.scale for row in rows if row.name == net.output_name)


def frames_of(built):
    return frames_for(built)[:STEPS]


@pytest.mark.parametrize("name", GRAPHS)
def test_the_membrane_is_the_result(name):
    built = GRAPHS[name]
    net, report = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
    assert isinstance(net.nodes[net.output_name], Lif | CubaLif)
    frames = frames_of(built)
    expected = expected_membranes(built, frames)
    assert np.ptp(expected) > 0
    scale = scale_of(net, report)
    for backend in ("reference", "engine"):
        result = sdt_lava.simulate(net, frames.swapaxes(0, 1), backend)
        assert np.array_equal(result.logits, expected * scale)
        membranes = result.membranes[net.output_name].reshape(len(expected), -1)
        assert np.array_equal(membranes, expected * scale * 64)
    assert f"the logits are {scale:.8g} times" in report.notes[-1]


@pytest.mark.parametrize("backend", back_ends("machine", "lava-inprocess"))
@pytest.mark.parametrize("name", ["LI behind neurons", "CubaLI with a bias"])
def test_the_same_as_processes(name, backend):
    built = GRAPHS[name]
    net, report = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
    frames = frames_of(built)
    found = sdt_lava.simulate(net, frames.swapaxes(0, 1), backend).logits
    assert np.array_equal(found, expected_membranes(built, frames) * scale_of(net, report))


@pytest.mark.parametrize("tau", [3.7 * DT, 50 * DT, 1e6 * DT])
def test_other_time_constants_are_near(tau):
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(4, 33))
    built = vector(nir.Linear(weight), li(4, tau=tau, r=tau / DT * 0.3), inputs=33)
    steps = 40
    net, report = from_nir(built, NirOptions(timesteps=steps, dt=DT))
    frames = (rng.random((steps, 5, 33)) < 0.3).astype(np.int64)
    found = sdt_lava.simulate(net, frames.swapaxes(0, 1)).logits / scale_of(net, report)
    expected = expected_membranes(built, frames)
    assert np.allclose(found, expected, rtol=0.02, atol=0.05 * np.abs(expected).max())


def test_large_sums_get_a_scale_at_which_they_fit():
    """Neurons that fire would stop before; membranes that do not fit are an error."""
    rng = np.random.default_rng(2)
    built = vector(nir.Linear(np.abs(rng.normal(size=(3, 900)))), li(3, tau=1e9 * DT), inputs=900)
    steps = 30
    net, report = from_nir(built, NirOptions(timesteps=steps, dt=DT))
    frames = (rng.random((steps, 2, 900)) < 0.5).astype(np.int64)
    result = sdt_lava.simulate(net, frames.swapaxes(0, 1))
    assert not result.spikes[net.output_name].any()
    expected = expected_membranes(built, frames)
    assert np.allclose(result.logits / scale_of(net, report), expected, rtol=0.05)
    with pytest.raises(NumericOverflowError, match="24-bit state"):
        sdt_lava.simulate(net, np.ones((1, steps, 900), np.int64))


def test_they_may_come_from_a_file_and_go_into_ours(tmp_path):
    built = GRAPHS["LI behind neurons"]
    nir.write(tmp_path / "net.nir", built)
    net, _ = load_nir(tmp_path / "net.nir", NirOptions(timesteps=STEPS, dt=DT))
    save_network(net, tmp_path / "net.h5")
    x = frames_of(built).swapaxes(0, 1)
    expected = sdt_lava.simulate(net, x).logits
    assert np.array_equal(sdt_lava.simulate(load_network(tmp_path / "net.h5"), x).logits, expected)


@pytest.mark.parametrize("name", ["LI behind neurons", "CubaLI with a bias", "an image"])
def test_outwards_they_are_neurons_of_the_largest_threshold(name, tmp_path):
    """snnTorch and Norse read no leaky integrators, but membranes of neurons."""
    built = GRAPHS[name]
    net, _ = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
    save_nir(net, tmp_path / "net.nir")
    again, report = load_nir(tmp_path / "net.nir")
    assert report.exact
    written = to_nir(net).nodes[net.output_name]
    assert np.all(written.v_threshold == THRESHOLD_LIMIT)
    x = frames_of(built).swapaxes(0, 1)
    assert np.array_equal(sdt_lava.simulate(again, x).logits, sdt_lava.simulate(net, x).logits)


def test_membranes_do_not_come_back():
    rng = np.random.default_rng(0)
    built = graph(
        ["input w li output", "li back li"], **ends(7, 4), w=nir.Linear(whole(rng, 4, 7)),
        li=li(4), back=nir.Linear(whole(rng, 4, 4)),
    )  # fmt: skip
    with pytest.raises(NirError, match=r"li \(LI\).*'back' reads at every step"):
        from_nir(built, NirOptions(timesteps=STEPS))
