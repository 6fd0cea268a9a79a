"""Populations: one time step of all neurons, in the arithmetic of Lava's fixed-point models.

Lava computes in int32, in which sums wrap, and in int64 for the product of a decay. The casts here
are those of ``lava.proc.lif.models`` and ``lava.proc.graded.models`` (lava-nc 0.10.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sdt_lava.kernels.jit import jit
from sdt_lava.support.allocation import placed_fields

# lava.proc.lif.models: 24-bit states, decays of 12 bit, activations aligned by 6 bit.
_SPAN = 2**23
_UNITY = 2**12
_ALIGN_SHIFT = 6
# Neurons whose parameters stay in the first cache.
_PERIOD = 1024


# A population: first neuron, number of neurons, first index and number of its parameters, which
# repeat themselves, and whether anything is left of u after a step.
POPULATION = np.dtype(
    [
        ("begin", np.int64),
        ("size", np.int64),
        ("parameter", np.int64),
        ("period", np.int64),
        ("has_memory", np.bool_),
    ],
    align=True,
)


class PopulationTable(NamedTuple):
    """Parameters of populations that follow one another, as :func:`integrate` reads them.

    Parameters
    ----------
    parts : ndarray of POPULATION
        The populations.
    bias : ndarray of int32
        ``(n,)``: what is added to v.
    kept_current, kept_voltage : ndarray of int32
        ``(n,)``: what is left of u and of v after a step in 1/4096 (0 to 4096).
    threshold : ndarray of int32
        ``(n,)``: firing threshold, aligned with v.
    """

    parts: NDArray[Any]
    bias: NDArray[np.int32]
    kept_current: NDArray[np.int32]
    kept_voltage: NDArray[np.int32]
    threshold: NDArray[np.int32]


def population_table(populations: Sequence[tuple[int, Sequence[Any]]]) -> PopulationTable:
    """Make the parameters of some populations.

    Parameters
    ----------
    populations : sequence of tuple
        Number of neurons, and the four fields, which repeat themselves from neuron to neuron.
    """
    parts, columns = [], []
    neuron = parameter = 0
    for size, fields in populations:
        values = np.stack(np.broadcast_arrays(*map(np.atleast_1d, fields)))
        # Whole repetitions.
        values = np.tile(values, -(-_PERIOD // values.shape[1]))[:, : max(size, 1)]
        parts.append((neuron, size, parameter, values.shape[1], values[1].any()))
        columns.append(values)
        neuron, parameter = neuron + size, parameter + values.shape[1]
    rows = np.hstack(columns).astype(np.int32)
    return placed_fields(PopulationTable(np.array(parts, POPULATION), *rows))


@jit
def _decayed(state: Any, kept: Any) -> Any:
    """Return ``state * kept / 4096`` in int32, rounded towards zero."""
    # In floating point there are vector instructions for it; 32 by 13 bits are exact.
    return np.int32(np.float64(state) * np.float64(kept) * (1 / _UNITY))


@jit
def _driven(current: Any) -> Any:
    """Wrap a current, as Lava does: +2^23 is kept and -2^23 is not."""
    if current > _SPAN:
        return np.int32(current - 2 * _SPAN)
    return np.int32(current + 2 * _SPAN) if current <= -_SPAN else np.int32(current)


@jit
def _charged(voltage: Any, current: Any, bias: Any) -> Any:
    """Add to what is left of a voltage, and saturate."""
    total = np.int32(np.int32(voltage + current) + bias)
    return min(max(total, np.int32(1 - _SPAN)), np.int32(_SPAN - 1))


@jit
def integrate(
    activation: Any, current: Any, voltage: Any, table: PopulationTable, spikes: Any
) -> None:
    """Advance leaky integrate-and-fire neurons by one step.

    Parameters
    ----------
    activation : ndarray of int32
        Sum of what arrived in this step, ``(n,)``.
    current, voltage : ndarray of int32
        State u and v, ``(n,)``; updated in place. Where nothing is left of any current after a
        step, `current` may be empty.
    table : PopulationTable
        Their parameters.
    spikes : ndarray of int32
        Output, ``(n,)``: 0 or 1.
    """
    is_kept = current.size > 0
    for part in table.parts:
        end = part.begin + part.size
        for first in range(part.begin, end, part.period):
            for k in range(min(part.period, end - first)):
                # Unsigned: an index that might count from the end costs a test.
                i, p = np.uint64(first + k), np.uint64(part.parameter + k)
                u = np.int32(np.int64(activation[i]) << _ALIGN_SHIFT)
                if part.has_memory:
                    u = np.int32(_decayed(current[i], table.kept_current[p]) + u)
                u = _driven(u)
                if is_kept:
                    current[i] = u
                v = _charged(_decayed(voltage[i], table.kept_voltage[p]), u, table.bias[p])
                fired = v > table.threshold[p]
                spikes[i] = fired
                voltage[i] = np.int32(0) if fired else v


@jit
def relay(activation: Any, voltage: Any, threshold: int, payload: Any) -> None:
    """Send sums on as graded spikes where their magnitude exceeds a threshold.

    Parameters
    ----------
    activation : ndarray of int32
        Sum of what arrived in this step, ``(n,)``.
    voltage : ndarray of int32
        State, ``(n,)``; 0 afterwards.
    threshold : int
        Smaller and equal magnitudes are not sent.
    payload : ndarray of int32
        Output, ``(n,)``.
    """
    for i in range(activation.size):
        total = np.int32(voltage[i] + activation[i])
        # The magnitude of the most negative int32 is itself, as in NumPy.
        magnitude = np.int32(-total) if total < 0 else total
        payload[i] = total if magnitude > threshold else np.int32(0)
        voltage[i] = 0
