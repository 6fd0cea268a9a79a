"""Shapes, units and types of numbers that NIR leaves open, as other programs write them."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import sdt_lava
from sdt_lava.errors import NirError
from sdt_lava.nir import NirOptions, from_nir
from tests.importers.nir.structures import (
    DT,
    STEPS,
    chain,
    check,
    conv,
    cuba,
    fire,
    frames_for,
    lif,
    pool,
    vector,
    whole,
)


def test_one_rounded_decay_is_used_in_the_whole_equation():
    """With tau as it was rounded, Euler's method gives the same spikes: leak, drive and rest."""
    rng = np.random.default_rng(1)
    decays = {"tau": 410, "tau_mem": 614, "tau_syn": 1843}
    one, two = 410 / 4096 * 8, 614 / 4096 * 1843 / 4096 * 8
    for neuron in (
        lif(4, tau=10 * DT, r=8.0, v_leak=0.5, v_threshold=one),
        cuba(4, tau_mem=DT / 0.15, tau_syn=DT / 0.45, v_leak=1843 / 4096, v_threshold=two),
    ):
        built = vector(nir.Linear(whole(rng, 4, 6, low=-10, high=40)), neuron)
        net, report = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
        assert any("rounded to" in note for note in report.notes)
        for field, decay in decays.items():
            if hasattr(neuron, field):
                getattr(neuron, field)[:] = DT * 4096 / decay
        check(built, net, frames_for(built, batch=40))


def integrator(r):
    return vector(nir.Linear(np.array([[0.0625]])), fire(1, r=r), inputs=1)


@pytest.mark.parametrize(
    ("r", "dt"), [(1.0, None), (1.0, 1e-4), (1.0, 1.0), (10_000.0, None), (10_000.0, 1e-4)]
)
def test_an_integrator_takes_one_step_as_its_unit(r, dt):
    """r = 1 a step, as most programs write it, or 1/dt, as SpikingJelly does."""
    net, report = from_nir(integrator(r), NirOptions(timesteps=60, dt=dt))
    spikes = sdt_lava.simulate(net, np.ones((1, 60, 1), int), "reference").spikes["if"]
    assert np.flatnonzero(spikes[:, 0, 0]).tolist() == [16, 33, 50] and report.notes == ()


def test_an_integrator_whose_unit_is_no_step_is_refused():
    with pytest.raises(NirError, match=r"if it is 1/dt, pass --dt 0\.0001"):
        from_nir(integrator(10_000.0), NirOptions(timesteps=60, dt=1.0))


@pytest.mark.parametrize(
    ("shape", "nodes", "expected"),
    [
        ((1, 20), [nir.Linear(np.ones((3, 20))), fire(3)], (20,)),
        ((4, 20), [nir.Linear(np.ones((3, 20))), fire(3)], (20,)),
        ((1, 25, 20), [nir.Linear(np.ones((3, 20))), fire(3)], (20,)),
        ((1, 2, 8, 8), [conv(np.random.default_rng(0), 2, 4, 8), fire(4, 8, 8)], (2, 8, 8)),
        ((1, 8, 8), [conv(np.random.default_rng(0), 1, 4, 8), fire(4, 8, 8)], (1, 8, 8)),
        ((1, 2, 8, 8), [pool(nir.SumPool2d, 2, 2), fire(2, 4, 4)], (2, 8, 8)),
        ((1, 5), [fire(5, threshold=0.5)], (5,)),
        ((1, 5), [fire(threshold=0.5)], (5,)),
        ((1, 2, 3, 3), [fire(2, 3, 3, threshold=0.5)], (2, 3, 3)),
        ((1, 3, 3), [fire(1, 3, 3, threshold=0.5)], (1, 3, 3)),
        ((1, 2, 16), [nir.Conv1d(16, np.ones((4, 2, 3)), 1, 1, 1, 1, np.zeros(4)), fire(4, 16)],
         (2, 1, 16)),
        ((1, 16), [nir.Conv1d(16, np.ones((4, 1, 3)), 1, 1, 1, 1, np.zeros(4)), fire(4, 16)],
         (1, 1, 16)),
        ((1, 2, 4, 4), [nir.Flatten(np.array([1, 2, 4, 4]), 1, -1),
                        nir.Linear(np.ones((3, 32))), fire(3)], (2, 4, 4)),
        ((1, 6), [nir.Scale(np.ones(6)), nir.Linear(np.ones((3, 6))), fire(3)], (6,)),
        (None, [nir.Linear(np.ones((3, 20))), fire(3)], (20,)),
        (None, [conv(np.random.default_rng(0), 2, 4, 8), fire(4, 8, 8)], (2, 8, 8)),
        (None, [fire(2, 3, 3, threshold=0.5)], (2, 3, 3)),
    ],
)  # fmt: skip
def test_shapes_of_the_input(shape, nodes, expected):
    entry = nir.Input({"input": None if shape is None else np.array(shape)})
    net, report = from_nir(chain(entry, *nodes), NirOptions(timesteps=4, dt=DT))
    assert net.input_shape == expected
    frames = np.ones((4, 1, *expected), np.int64)
    assert sdt_lava.simulate(net, frames.swapaxes(0, 1), "reference").spikes[net.output_name].any()


def test_a_shape_that_nobody_says_comes_from_the_caller():
    built = chain(nir.Input({"input": None}), pool(nir.SumPool2d, 2, 2), fire())
    with pytest.raises(NirError, match="--input-shape"):
        from_nir(built, NirOptions(timesteps=2))
    net, _ = from_nir(built, NirOptions(timesteps=2, input_shape=(2, 6, 4)))
    assert net.shapes["if"] == (2, 3, 2)


def test_numbers_of_any_type_and_shape():
    rng = np.random.default_rng(0)
    plain = vector(nir.Linear(whole(rng, 5, 6)), lif(5))
    expected, _ = from_nir(plain, NirOptions(timesteps=STEPS, dt=DT))
    for dtype in (np.float32, np.float64):
        for shape in ((), (1,), (5,), (1, 5)):
            values = {"tau": 2 * DT, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0}
            neuron = nir.LIF(**{name: np.full(shape, v, dtype) for name, v in values.items()})
            built = vector(nir.Linear(plain.nodes["linear"].weight.astype(dtype)), neuron)
            net, report = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
            assert report.notes == ()
            for name in ("linear", "lif"):
                first, second = net.nodes[name], expected.nodes[name]
                assert all(
                    np.array_equal(getattr(first, field), getattr(second, field))
                    for field in ("weight", "threshold", "voltage_decay")
                    if hasattr(first, field)
                )


def test_a_decay_of_1_in_float32():
    built = vector(nir.Linear(np.ones((2, 6))), lif(2, tau=np.float32(1e-4), r=1.0))
    net, report = from_nir(built, NirOptions(timesteps=2))
    assert net.nodes["lif"].voltage_decay == 4096 and report.notes == ()
