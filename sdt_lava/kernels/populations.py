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
from sdt_lava.kernels.vectors import TILE, transpose_tile
from sdt_lava.support.allocation import placed_fields

# lava.proc.lif.models: 24-bit states, decays of 12 bit, activations aligned by 6 bit.
_SPAN = 2**23
_UNITY = 2**12
_ALIGN_SHIFT = 6
# Neurons whose parameters stay in the first cache.
_PERIOD = 1024


class LifArrays(NamedTuple):
    """Parameters of populations that follow one another, as :func:`integrate` reads them.

    Parameters
    ----------
    parts : ndarray of int64
        ``(populations, 5)``: first neuron, number of neurons, first index and number of its
        parameters, which repeat themselves, and whether anything is left of u after a step.
    fields : ndarray of int32
        ``(4, n)``: what is added to v, what is left of u and of v after a step in 1/4096 (0 to
        4096), and the firing threshold, aligned with v.
    """

    parts: NDArray[np.int64]
    fields: NDArray[np.int32]


def lif_arrays(populations: Sequence[tuple[int, Sequence[Any]]]) -> LifArrays:
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
    parameters = LifArrays(np.array(parts, np.int64), np.hstack(columns).astype(np.int32))
    return placed_fields(parameters)


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
    activation: Any,
    current: Any,
    voltage: Any,
    parts: Any,
    fields: Any,
    spikes: Any,
) -> None:
    """Advance leaky integrate-and-fire neurons by one step.

    Parameters
    ----------
    activation : ndarray of int32
        Sum of what arrived in this step, ``(n,)``.
    current, voltage : ndarray of int32
        State u and v, ``(n,)``; updated in place. Where nothing is left of any current after a
        step, `current` may be empty.
    parts, fields
        :class:`LifArrays`.
    spikes : ndarray of int32
        Output, ``(n,)``: 0 or 1.
    """
    bias, kept_current, kept_voltage, threshold = fields[0], fields[1], fields[2], fields[3]
    is_kept = current.size > 0
    for part in range(parts.shape[0]):
        begin, size, parameter, period, has_memory = parts[part]
        for first in range(begin, begin + size, period):
            for k in range(min(period, begin + size - first)):
                # Unsigned: an index that might count from the end costs a test.
                i, p = np.uint64(first + k), np.uint64(parameter + k)
                u = np.int32(np.int64(activation[i]) << _ALIGN_SHIFT)
                if has_memory:
                    u = np.int32(_decayed(current[i], kept_current[p]) + u)
                u = _driven(u)
                if is_kept:
                    current[i] = u
                v = _charged(_decayed(voltage[i], kept_voltage[p]), u, bias[p])
                fired = v > threshold[p]
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


@jit
def record(values: Any, row: Any) -> bool:
    """Copy values to a row of a recording, and tell whether all of them fit its type.

    Parameters
    ----------
    values : ndarray of int32
        ``(n,)``.
    row : ndarray of uint8 or int32
        Output, ``(n,)``.
    """
    fits = True
    for i in range(values.size):
        row[i] = values[i]
        fits &= row[i] == values[i]
    return fits


@jit
def transpose(source: Any, places: Any, target: Any) -> None:
    """Transpose parts of an array into parts of another.

    Parameters
    ----------
    source, target : ndarray of int32
        ``(n,)``; both in C order.
    places : ndarray of int64
        ``(parts, 4)``: where a part begins in `source`, its rows and columns there, and where its
        transpose begins in `target`.
    """
    read, write = source.ctypes.data, target.ctypes.data
    for part in range(places.shape[0]):
        begin, rows, columns, goal = places[part]
        tall, wide = rows // TILE * TILE, columns // TILE * TILE
        for row in range(0, tall, TILE):
            for column in range(0, wide, TILE):
                at, to = begin + row * columns + column, goal + column * rows + row
                transpose_tile(read, at, columns, write, to, rows)
        for row in range(rows):
            at, to = begin + row * columns, goal + row
            for column in range(wide if row < tall else 0, columns):
                target[np.uint64(to + column * rows)] = source[np.uint64(at + column)]
