"""Loihi's fixed-point ranges and the integer neuron, in one place.

The equations are those of Lava's bit-accurate LIF (``lava.proc.lif``, lava-nc 0.10.0); the bit
widths are those that Lava's process models document for Loihi hardware.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Shape = tuple[int, ...]
# u and v of neuron populations, by name; of CUBA populations also what they sent last.
NeuronStates = dict[str, tuple[NDArray[Any], ...]]

# Synaptic weights that the quantization makes: int8 mantissa times two, without -256, which is
# no neighbour of -254 in a purely inhibitory matrix (see lava_weights).
WEIGHT_LIMIT = 254
# Synaptic weights that a connection can hold at all: eight bits, one of them the sign if both
# signs occur; there the weights are doubled.
WEIGHT_LOW, WEIGHT_HIGH = -256, 255
# Weight exponent of a connection: signed four bits on Loihi, -8 to 7.
MIN_WEIGHT_EXPONENT, MAX_WEIGHT_EXPONENT = -8, 7
# State variables u and v: 24 bit, signed (lava LIF: uv_bitwidth).
STATE_LIMIT = 2**23 - 1
# Activations and thresholds are shifted left by six bits to align with the state.
ACTIVATION_SHIFT = 6
# Largest activation that the 24-bit current holds after that shift.
ACTIVATION_LIMIT = STATE_LIMIT >> ACTIVATION_SHIFT
# Spikes that a pooling of spikes may add up, each with this weight, before its gate fires.
POOL_WEIGHT = 2
POOL_WINDOW_LIMIT = ACTIVATION_LIMIT // POOL_WEIGHT
# Threshold mantissa: unsigned 17 bit.
THRESHOLD_LIMIT = 2**17 - 1
# Bias: signed 13-bit mantissa, unsigned 3-bit exponent. An exponent of six aligns the
# mantissa with activations; it is the one that netx assumes.
BIAS_MANTISSA_LOW, BIAS_MANTISSA_HIGH = -(2**12), 2**12 - 1
BIAS_EXPONENT_HIGH = 7
BIAS_EXPONENT = 6
# Decays: fractions of 4096.
DECAY_SHIFT = 12
DECAY_UNITY = 1 << DECAY_SHIFT
# The largest voltage decay that fits 12 bit; gates have it. It leaves v >> 12 behind.
GATE_DECAY = DECAY_UNITY - 1
# A relay sends its 24-bit sum as the payload of a graded spike.
PAYLOAD_LIMIT = STATE_LIMIT
# Message bits that a connection asks for when its source sends payloads.
GRADED_BITS = 24
# Largest level of an input: graded spikes of the first layer carry 16 bits, one of them the sign.
INPUT_LIMIT = 2**15 - 1
# Variables of Lava's processes, and messages between them.
INT32_LOW, INT32_HIGH = -(2**31), 2**31 - 1
# float32 and float64 add integers exactly while every partial sum stays below these.
FLOAT32_EXACT = 2**24
FLOAT64_EXACT = 2**53


@dataclass(frozen=True)
class LifParameters:
    """Integer parameters of a population of LIF neurons; arrays broadcast to the population.

    Parameters
    ----------
    threshold : int or ndarray of int64
        Threshold mantissa; a neuron fires when ``v > threshold << 6``.
    voltage_decay, current_decay : int or ndarray of int64
        Lost share of v and u in a step, in 1/4096. A current decay of 4096 is no memory in u.
    bias : ndarray of int64 or int
        Bias mantissa.
    bias_exponent : int
        The bias that is added is ``bias << bias_exponent``.
    drive_shift : int
        ``u + bias`` is divided by ``2 ** drive_shift``, rounding towards zero, before it reaches v.
    """

    threshold: int | IntArray
    voltage_decay: int | IntArray
    current_decay: int | IntArray
    bias: IntArray | int
    bias_exponent: int
    drive_shift: int = 0


def channel_vector(values: Any, ndim: int) -> IntArray:
    """Shape a value per channel so that it broadcasts over ``(C, ...)`` of ``ndim`` axes.

    A single value, for all channels, stays one.
    """
    vector = np.asarray(values, dtype=np.int64)
    return vector.reshape(vector.shape + (1,) * (ndim - 1)) if vector.ndim else vector


def power_shift(sums: IntArray, exponent: int | IntArray, axis: int) -> IntArray:
    """Multiply by ``2 ** exponent``, rounding down.

    Parameters
    ----------
    sums : ndarray of int64
        Weighted sums.
    exponent : int or ndarray of int
        One exponent for all, or one for each channel; negative ones shift to the right.
    axis : int
        Axis of the channels.

    Returns
    -------
    ndarray of int64
        Same shape.
    """
    exponents = np.asarray(exponent, np.int64)
    if exponents.ndim:
        exponents = exponents.reshape(-1, *(1,) * (sums.ndim - axis - 1))
    return (sums << np.maximum(exponents, 0)) >> np.maximum(-exponents, 0)


def lava_weights(weight: IntArray) -> tuple[IntArray, int] | None:
    """Write weights as a matrix that Lava's connections leave as it is, and a weight exponent.

    Loihi keeps eight bits of a weight. With both signs they are an int8 times two: Lava clips at
    -256 and drops the lowest bit. With one sign they are a magnitude, clipped at 255. The weight
    exponent, -8 to 7 on Loihi, moves these ranges (``lava.utils.weightutils``).

    Parameters
    ----------
    weight : ndarray of int
        Any shape.

    Returns
    -------
    matrix : ndarray of int64
        Same shape.
    exponent : int
        ``weight = matrix * 2 ** exponent``.
    None
        If eight bits do not hold the weights.
    """
    weight = np.asarray(weight, np.int64)
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    even = not (weight & 1).any()
    if low < 0 < high:
        if even and low >= WEIGHT_LOW and high < WEIGHT_HIGH:
            return weight, 0
        return (2 * weight, -1) if 2 * low >= WEIGHT_LOW and 2 * high < WEIGHT_HIGH else None
    if max(-low, high) <= WEIGHT_HIGH:
        return weight, 0
    return (weight // 2, 1) if even and low == WEIGHT_LOW else None


def doublings(weight: IntArray) -> int:
    """Return how often weights are doubled (or halved, -1) where Lava stores them."""
    found = lava_weights(weight)
    return 0 if found is None else -found[1]


def doublings_of_rows(weight: IntArray, exponents: IntArray) -> IntArray:
    """Return the doublings of each row of weights; a matrix has all rows of one exponent."""
    found = np.zeros(len(weight), np.int64)
    for exponent in np.unique(exponents):
        rows = exponents == exponent
        found[rows] = doublings(weight[rows])
    return found


def decay(state: IntArray, fraction: int | IntArray) -> IntArray:
    """Multiply by ``(4096 - fraction) / 4096``, rounding towards zero."""
    scaled = np.abs(state) * (DECAY_UNITY - fraction) >> DECAY_SHIFT
    return np.asarray(np.sign(state) * scaled, dtype=np.int64)


def wrap_int32(values: IntArray) -> IntArray:
    """Keep 32 bits, as Lava's variables do."""
    return np.asarray(values, np.int64).astype(np.int32).astype(np.int64)


def align_activation(activation: IntArray) -> IntArray:
    """Shift an activation by six bits in 32-bit arithmetic, as Lava does."""
    return wrap_int32(np.asarray(activation, np.int64) << ACTIVATION_SHIFT)


def wrap_current(current: IntArray) -> IntArray:
    """Wrap a current that left the 24-bit range once around, as Lava does."""
    span = 2 * (STATE_LIMIT + 1)
    wrapped = np.where(current > STATE_LIMIT + 1, current - span, current)
    return np.where(wrapped <= -(STATE_LIMIT + 1), current + span, wrapped)


def divide_by_power(values: IntArray, shift: int) -> IntArray:
    """Divide by ``2 ** shift``, rounding towards zero; a negative shift multiplies."""
    if shift <= 0:
        return values << -shift
    return np.asarray(np.sign(values) * (np.abs(values) >> shift), dtype=np.int64)


def driven_current(current: IntArray, activation: IntArray, parameters: LifParameters) -> IntArray:
    """Return u of the next step before it wraps; arguments as of :func:`lif_step`."""
    return decay(current, parameters.current_decay) + align_activation(activation)


def lif_step(
    current: IntArray, voltage: IntArray, activation: IntArray, parameters: LifParameters
) -> tuple[IntArray, IntArray, NDArray[np.bool_], IntArray]:
    """Advance a LIF population by one step.

    ``u <- trunc0(u (4096 - du) / 4096) + (a << 6)``,
    ``v <- trunc0(v (4096 - dv) / 4096) + trunc0((u + (bias << bias_exponent)) / 2^drive_shift)``,
    ``s = v > (threshold << 6)``, then ``v <- 0`` where ``s``. u wraps once and v saturates at 24
    bit; on the way to both, sums wrap at 32 bit.

    Parameters
    ----------
    current, voltage : ndarray of int64
        State before the step.
    activation : ndarray of int64
        Sum of the weighted input spikes of this step.
    parameters : LifParameters
        Parameters of the population.

    Returns
    -------
    current, voltage : ndarray of int64
        State after the step.
    spikes : ndarray of bool
        Which neurons fired.
    peak : ndarray of int64
        ``v`` before saturation and reset, for overflow checks and headroom.
    """
    current = wrap_current(wrap_int32(driven_current(current, activation, parameters)))
    bias = np.asarray(parameters.bias, dtype=np.int64) << parameters.bias_exponent
    drive = divide_by_power(current + bias, parameters.drive_shift)
    peak = decay(voltage, parameters.voltage_decay) + drive
    voltage = np.clip(wrap_int32(peak), -STATE_LIMIT, STATE_LIMIT)
    spikes = voltage > (parameters.threshold << ACTIVATION_SHIFT)
    return current, np.where(spikes, 0, voltage), spikes, peak
