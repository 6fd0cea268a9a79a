"""Populations: one time step of all neurons, in the arithmetic of Lava's fixed-point models.

Lava computes in int32, in which sums wrap, and in int64 for the product of a decay. The casts here
are those of ``lava.proc.lif.models`` and ``lava.proc.graded.models`` (lava-nc 0.10.0).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.compiled import compiled

# lava.proc.lif.models: 24-bit states, decays of 12 bit, activations aligned by 6 bit.
_SPAN = 2**23
_DECAY_SHIFT = 12
_ALIGN_SHIFT = 6
_SIGN_SHIFT = 63


@compiled
def _decayed(state: Any, kept: Any) -> Any:
    """Return ``state * kept / 4096`` in int32, rounded towards zero."""
    product = np.int64(state) * np.int64(kept)
    # A shift rounds down; what is added to a negative number lets it round up.
    towards_zero = (product >> _SIGN_SHIFT) & ((1 << _DECAY_SHIFT) - 1)
    return np.int32((product + towards_zero) >> _DECAY_SHIFT)


@compiled
def integrate(
    activation: Any,
    current: Any,
    voltage: Any,
    bias: Any,
    kept_current: Any,
    kept_voltage: Any,
    threshold: Any,
    spikes: Any,
) -> None:
    """Advance leaky integrate-and-fire neurons by one step.

    Parameters
    ----------
    activation : ndarray of int32
        Sum of what arrived in this step, ``(n,)``.
    current, voltage : ndarray of int32
        State u and v, ``(n,)``; updated in place.
    bias : ndarray of int32
        What is added to v, ``(n,)``.
    kept_current, kept_voltage : ndarray of int32
        What is left of u and v after a step, in 1/4096: 0 to 4096, ``(n,)``.
    threshold : ndarray of int32
        Firing threshold, aligned with v, ``(n,)``.
    spikes : ndarray of int32
        Output, ``(n,)``: 0 or 1.
    """
    for i in range(activation.size):
        aligned = np.int32(np.int64(activation[i]) << _ALIGN_SHIFT)
        u = np.int32(_decayed(current[i], kept_current[i]) + aligned)
        if u > _SPAN:
            u = np.int32(u - 2 * _SPAN)
        elif u <= -_SPAN:
            u = np.int32(u + 2 * _SPAN)
        current[i] = u
        v = np.int32(np.int32(_decayed(voltage[i], kept_voltage[i]) + u) + bias[i])
        v = min(max(v, np.int32(1 - _SPAN)), np.int32(_SPAN - 1))
        fired = v > threshold[i]
        spikes[i] = fired
        voltage[i] = np.int32(0) if fired else v


@compiled
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


@compiled
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


@compiled
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
    for part in range(places.shape[0]):
        rows, columns = places[part, 1], np.uint64(places[part, 2])
        for row in range(rows):
            first = np.uint64(places[part, 0] + row * places[part, 2])
            goal, step = np.uint64(places[part, 3] + row), np.uint64(rows)
            for column in range(columns):
                target[goal + column * step] = source[first + column]
