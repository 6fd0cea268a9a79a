"""The integer neuron against Lava's own bit-accurate model, far beyond the legal ranges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava.ir.numerics import (
    ACTIVATION_LIMIT,
    STATE_LIMIT,
    LifParameters,
    decay,
    lava_weights,
    lif_step,
)

PARAMETERS = st.builds(
    LifParameters,
    threshold=st.integers(0, 2**17 - 1),
    voltage_decay=st.integers(0, 4096),
    current_decay=st.integers(1, 4096),
    bias=st.integers(-4096, 4095),
    bias_exponent=st.integers(0, 7),
)


class LavaNeurons:
    """Lava's process model, stepped by hand."""

    def __init__(self, size: int, parameters: LifParameters) -> None:
        from lava.proc.lif.models import PyLifModelBitAcc

        self.model = PyLifModelBitAcc({})
        self.model.u = np.zeros(size, np.int32)
        self.model.v = np.zeros(size, np.int32)
        self.model.du = parameters.current_decay - 1
        self.model.dv = parameters.voltage_decay
        self.model.bias_mant = np.full(size, parameters.bias, np.int16)
        self.model.bias_exp = np.full(size, parameters.bias_exponent, np.int16)
        self.model.vth = np.int32(parameters.threshold)
        self.model.scale_bias()
        self.model.scale_threshold()

    def step(self, activation: np.ndarray) -> np.ndarray:
        self.model.subthr_dynamics(activation_in=activation.astype(np.int32))
        spikes = self.model.spiking_activation()
        self.model.reset_voltage(spikes)
        return spikes


@pytest.mark.lava
@settings(max_examples=300, deadline=None)
@given(
    parameters=PARAMETERS,
    scale=st.sampled_from([1, 100, ACTIVATION_LIMIT, ACTIVATION_LIMIT + 5, 2**22]),
    seed=st.integers(0, 2**32 - 1),
)
def test_lif_step_equals_lava(parameters, scale, seed):
    activations = np.random.default_rng(seed).integers(-scale, scale + 1, (12, 9))
    lava = LavaNeurons(9, parameters)
    current = voltage = np.zeros(9, np.int64)
    for activation in activations:
        current, voltage, spikes, _ = lif_step(current, voltage, activation, parameters)
        assert np.array_equal(spikes, lava.step(activation))
        assert np.array_equal(current, lava.model.u)
        assert np.array_equal(voltage, lava.model.v)


def test_threshold_is_strict():
    parameters = LifParameters(5, 2048, 4096, 0, 6)
    _, _, spikes, _ = lif_step(np.zeros(2, int), np.zeros(2, int), np.array([5, 6]), parameters)
    assert spikes.tolist() == [False, True]


@given(st.integers(-STATE_LIMIT, STATE_LIMIT), st.integers(0, 4096))
def test_decay_rounds_towards_zero(state, fraction):
    exact = state * (4096 - fraction) / 4096
    assert decay(np.array([state]), fraction)[0] == int(exact)


WEIGHTS = {
    "low": st.integers(-260, 0),
    "high": st.integers(-3, 260),
    "even": st.booleans(),
    "seed": st.integers(0, 99),
}


def drawn_weights(low, high, even, seed):
    weight = np.random.default_rng(seed).integers(min(low, high), high, (3, 4), endpoint=True)
    weight.flat[:2] = low, high
    return weight // 2 * 2 if even else weight


@settings(max_examples=300, deadline=None)
@given(**WEIGHTS)
def test_which_weights_are_stored(low, high, even, seed):
    weight = drawn_weights(low, high, even, seed)
    stored = lava_weights(weight)
    lowest, highest = weight.min(), weight.max()
    if lowest < 0 < highest:
        fits = (lowest >= -128 and highest <= 127) or (
            not (weight % 2).any() and lowest >= -256 and highest <= 254
        )
    else:
        fits = (lowest >= -255 and highest <= 255) or (lowest == -256 and not (weight % 2).any())
    assert (stored is not None) == fits
    if stored is not None:
        matrix, exponent = stored
        assert np.array_equal(matrix * 2.0**exponent, weight)


@pytest.mark.lava
@settings(max_examples=300, deadline=None)
@given(**WEIGHTS)
def test_lava_leaves_stored_weights_as_they_are(low, high, even, seed):
    from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

    stored = lava_weights(drawn_weights(low, high, even, seed))
    if stored is not None:
        matrix, _ = stored
        mode = determine_sign_mode(matrix)
        used = truncate_weights(clip_weights(matrix, mode, num_bits=8), mode, 8)
        assert np.array_equal(used, matrix)
