"""Define Loihi's fixed-point ranges and the integer neuron.

The equations are those of Lava's bit-accurate LIF (``lava.proc.lif``, lava-nc 0.10.0). The bit
widths are those that Lava's process models document for Loihi hardware.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Shape = tuple[int, ...]
# States u and v of neuron populations by name, for CUBA populations also recent spikes.
NeuronStates = dict[str, tuple[NDArray[Any], ...]]

# Limit of quantized synaptic weights: int8 mantissa times two, without -256, which does not fit a
# purely inhibitory matrix with -254 (see lava_weights).
WEIGHT_LIMIT = 254
# Range of weights that a connection can store: eight bits, including the sign if both signs occur,
# in which case weights are doubled.
WEIGHT_LOW, WEIGHT_HIGH = -256, 255
# Weight exponent of a connection: four signed bits on Loihi, -8 to 7.
MIN_WEIGHT_EXPONENT, MAX_WEIGHT_EXPONENT = -8, 7
# State variables u and v: 24 signed bits (lava LIF: uv_bitwidth).
STATE_LIMIT = 2**23 - 1
# Activations and thresholds are shifted left by six bits to align with the state.
ACTIVATION_SHIFT = 6
# Largest activation that fits the 24-bit current after that shift.
ACTIVATION_LIMIT = STATE_LIMIT >> ACTIVATION_SHIFT
# Weight of a spike in a pooling gate, and limit on the number of spikes that it can sum.
POOL_WEIGHT = 2
POOL_WINDOW_LIMIT = ACTIVATION_LIMIT // POOL_WEIGHT
# Threshold mantissa: 17 unsigned bits.
THRESHOLD_LIMIT = 2**17 - 1
# Bias: signed 13-bit mantissa, unsigned 3-bit exponent. An exponent of six aligns the mantissa with
# activations, as netx assumes.
BIAS_MANTISSA_LOW, BIAS_MANTISSA_HIGH = -(2**12), 2**12 - 1
BIAS_EXPONENT_HIGH = 7
BIAS_EXPONENT = 6
# Decays as fractions of 4096.
DECAY_SHIFT = 12
DECAY_UNITY = 1 << DECAY_SHIFT
# Largest voltage decay that fits 12 bits, as used by gates. It leaves v >> 12.
GATE_DECAY = DECAY_UNITY - 1
# A relay sends its 24-bit sum as the payload of a graded spike.
PAYLOAD_LIMIT = STATE_LIMIT
# Message bits of a connection whose source sends payloads.
GRADED_BITS = 24
# Largest level of an input: graded spikes into the first layer have 16 bits including the sign.
INPUT_LIMIT = 2**15 - 1
# Range of variables of Lava's processes and of messages between them.
INT32_LOW, INT32_HIGH = -(2**31), 2**31 - 1
# float32 and float64 add integers exactly while all partial sums stay below these limits.
FLOAT32_EXACT = 2**24
FLOAT64_EXACT = 2**53


@dataclass(frozen=True)
class LifParameters:
    """Integer parameters of a population of LIF neurons; arrays broadcast to the population.

    Parameters
    ----------
    threshold : int or ndarray of int64
        Threshold mantissa; a neuron fires if ``v > threshold << 6``.
    voltage_decay, current_decay : int or ndarray of int64
        Share of v and u that is lost in a step, in 1/4096. With a current decay of 4096, u has no
        memory.
    bias : ndarray of int64 or int
        Bias mantissa.
    bias_exponent : int
        Exponent of the bias, of which ``bias << bias_exponent`` is added.
    drive_shift : int
        ``u + bias`` is divided by ``2 ** drive_shift``, rounding towards zero, before it is added
        to v.
    """

    threshold: int | IntArray
    voltage_decay: int | IntArray
    current_decay: int | IntArray
    bias: IntArray | int
    bias_exponent: int
    drive_shift: int = 0


def channel_vector(values: Any, ndim: int) -> IntArray:
    """Reshape values per channel to broadcast over ``(C, ...)`` with ``ndim`` axes.

    A single value for all channels is not reshaped.
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
        One exponent for all or one per channel; negative ones shift to the right.
    axis : int
        Axis of the channels.

    Returns
    -------
    ndarray of int64
        Scaled sums of the same shape.
    """
    exponents = np.asarray(exponent, np.int64)
    if exponents.ndim:
        exponents = exponents.reshape(-1, *(1,) * (sums.ndim - axis - 1))
    return (sums << np.maximum(exponents, 0)) >> np.maximum(-exponents, 0)


def lava_weights(weight: IntArray) -> tuple[IntArray, int] | None:
    """Return weights as a matrix that Lava's connections store exactly, and a weight exponent.

    Loihi stores eight bits of a weight. With both signs, they are an int8 times two: Lava clips at
    -256 and drops the lowest bit. With one sign, they are a magnitude, clipped at 255. The weight
    exponent, -8 to 7 on Loihi, scales these ranges (``lava.utils.weightutils``).

    Parameters
    ----------
    weight : ndarray of int
        Weights of any shape.

    Returns
    -------
    matrix : ndarray of int64
        Matrix of the same shape.
    exponent : int
        Exponent with ``weight = matrix * 2 ** exponent``.
    None
        If the weights do not fit eight bits.
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
    """Return how often Lava stores weights doubled (-1 if halved)."""
    stored = lava_weights(weight)
    return 0 if stored is None else -stored[1]


def doublings_of_rows(weight: IntArray, exponents: IntArray) -> IntArray:
    """Return the doublings of each row of weights, where rows of equal exponent form a matrix."""
    result = np.zeros(len(weight), np.int64)
    for exponent in np.unique(exponents):
        rows = exponents == exponent
        result[rows] = doublings(weight[rows])
    return result


def decay(state: IntArray, fraction: int | IntArray) -> IntArray:
    """Multiply by ``(4096 - fraction) / 4096``, rounding towards zero."""
    scaled = np.abs(state) * (DECAY_UNITY - fraction) >> DECAY_SHIFT
    return np.asarray(np.sign(state) * scaled, dtype=np.int64)


def wrap_int32(values: IntArray) -> IntArray:
    """Wrap to 32 bits, as Lava's variables do."""
    return np.asarray(values, np.int64).astype(np.int32).astype(np.int64)


def align_activation(activation: IntArray) -> IntArray:
    """Shift an activation by six bits in 32-bit arithmetic, as Lava does."""
    return wrap_int32(np.asarray(activation, np.int64) << ACTIVATION_SHIFT)


def wrap_current(current: IntArray) -> IntArray:
    """Wrap a current once if it left the 24-bit range, as Lava does."""
    span = 2 * (STATE_LIMIT + 1)
    wrapped = np.where(current > STATE_LIMIT + 1, current - span, current)
    return np.where(wrapped <= -(STATE_LIMIT + 1), current + span, wrapped)


def divide_by_power(values: IntArray, shift: int) -> IntArray:
    """Divide by ``2 ** shift``, rounding towards zero; a negative shift multiplies."""
    if shift <= 0:
        return values << -shift
    return np.asarray(np.sign(values) * (np.abs(values) >> shift), dtype=np.int64)


def driven_current(current: IntArray, activation: IntArray, parameters: LifParameters) -> IntArray:
    """Return u of the next step before wrapping, with the arguments of :func:`lif_step`."""
    return decay(current, parameters.current_decay) + align_activation(activation)


def lif_step(
    current: IntArray, voltage: IntArray, activation: IntArray, parameters: LifParameters
) -> tuple[IntArray, IntArray, NDArray[np.bool_], IntArray]:
    """Advance a LIF population by one step.

    ``u <- trunc0(u (4096 - du) / 4096) + (a << 6)``,
    ``v <- trunc0(v (4096 - dv) / 4096) + trunc0((u + (bias << bias_exponent)) / 2^drive_shift)``,
    ``s = v > (threshold << 6)``, then ``v <- 0`` where ``s``. u wraps once and v saturates at 24
    bits; intermediate sums wrap at 32 bits.

    Parameters
    ----------
    current, voltage : ndarray of int64
        States before the step.
    activation : ndarray of int64
        Sum of the weighted input spikes of this step.
    parameters : LifParameters
        Parameters of the population.

    Returns
    -------
    current, voltage : ndarray of int64
        States after the step.
    spikes : ndarray of bool
        Neurons that fired.
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
