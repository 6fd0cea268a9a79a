"""How far u and v get, against following them step by step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava.ir.leaks import EXACT_STEPS, Climb, reached, settled
from sdt_lava.ir.numerics import decay, divide_by_power


def _followed(climb, steps):
    current, top = climb.at_rest
    for _ in range(steps):
        current = decay(current, climb.current_loss) + climb.push
        drive = divide_by_power(current + climb.bias, climb.drive_shift)
        reset = top if climb.ceiling is None else np.minimum(top, climb.ceiling)
        top = np.maximum(top, decay(reset, climb.voltage_loss) + drive)
    return current, top


def _climb(seed, losses, shift=0, ceiling=True):
    rng = np.random.default_rng(seed)
    return Climb(
        push=rng.integers(0, rng.choice([2, 300, 2**23]), 5),
        bias=rng.integers(-(2**12), 2**12, 5) << int(rng.integers(0, 8)),
        current_loss=rng.choice(losses, 5),
        voltage_loss=rng.choice(losses, 5),
        drive_shift=shift,
        ceiling=rng.integers(0, 2**17, 5) << 6 if ceiling else None,
    )


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_where_a_leak_settles_is_exact(seed, shift, ceiling):
    climb = _climb(seed, np.arange(500, 4097), shift, ceiling)
    for found, followed in zip(reached(climb, 9), _followed(climb, 600), strict=True):
        np.testing.assert_array_equal(found, followed)


@given(st.integers(0, 2**32 - 1), st.integers(1, EXACT_STEPS), st.booleans())
@settings(max_examples=40, deadline=None)
def test_short_runs_are_exact(seed, steps, ceiling):
    climb = _climb(seed, np.arange(0, 16), 0, ceiling)
    for found, followed in zip(reached(climb, steps), _followed(climb, steps), strict=True):
        np.testing.assert_array_equal(found, followed)


@pytest.mark.parametrize("steps", [257, 1000, 3500])
@pytest.mark.parametrize("seed", range(8))
def test_long_runs_are_bounded_tightly(seed, steps):
    # At least one channel in which nothing has settled.
    climb = _climb(seed, [0, 1], ceiling=seed % 2 > 0)
    current, voltage = reached(climb, steps)
    exact_current, exact_voltage = _followed(climb, steps)
    assert (current >= exact_current).all()
    assert (voltage >= exact_voltage).all()
    assert (current <= 1.01 * exact_current + 4200).all()
    # u is taken to be as large from the beginning of each part as at its end.
    assert (voltage <= 1.05 * exact_voltage + 6000 * steps).all()


@pytest.mark.parametrize("push", [0, 1, 2, 4095, 4097, 2**22])
@pytest.mark.parametrize("loss", [1, 7, 2048, 4095, 4096])
def test_a_settled_state_stays_and_is_the_first_that_does(push, loss):
    state = int(settled(np.array(push), np.array(loss)))
    assert decay(np.array(state), loss) + push == state
    if state:
        assert decay(np.array(state - 1), loss) + push > state - 1


def test_without_a_leak_nothing_settles():
    assert settled(np.array([0, 1]), np.array([0, 0])).tolist() == [0, 1 << 50]


def test_the_slowest_leak_takes_no_time():
    """30 slow populations once took a walk of 65,536 steps each, whatever T."""
    climb = Climb(*(np.array([x]) for x in (64, 0, 1, 1)), 0, None)
    assert [int(value[0]) for value in reached(climb, 1)] == [64, 64]
    current, voltage = reached(climb, 10**9)
    assert int(current[0]) == 63 * 4096 + 1
    assert int(voltage[0]) == (63 * 4096) * 4096 + 1
