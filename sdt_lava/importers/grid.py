"""Detect weights that are already quantised, that is, integers times a step.

Examples are fine-tuned weights, multiples of 1/64, and weights of -1 and 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Largest distance from an integer of float32 numbers of up to 127 steps after a few roundings.
CLOSE = 5e-5
# Numbers are equal in float32 if they differ by less than this fraction of the largest one.
_SAME = 2e-7
# Number of values that suffices to reject most non-quantised weights.
_GLANCE = 4096


def grid_of(values: Any, most: int) -> float | None:
    """Return the largest step of which all values are multiples, by at most ``most``.

    Parameters
    ----------
    values : array-like
        Numbers of any shape.
    most : int
        Largest number of steps.

    Returns
    -------
    float or None
        The step; None if there is none; 0.0 if all values are 0.
    """
    flat = np.abs(np.asarray(values, np.float64)).ravel()
    if len(_distinct(flat[:_GLANCE])) > most + 1:
        return None
    present = _distinct(flat)
    present = present[present > 0]
    if not present.size:
        return 0.0
    for steps in range(1, most + 1):
        # The largest number determines the step most accurately.
        count = np.rint(present[-1] / present[0] * steps)
        if count > most:
            return None
        step = float(present[-1] / count)
        counts = present / step
        if (np.abs(counts - np.rint(counts)) < CLOSE).all():
            return step
    return None


def _distinct(magnitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distinct numbers in ascending order, merging those that are equal in float32."""
    present = np.unique(magnitudes)
    if not present.size:
        return present
    room = _SAME * present[-1]
    present = np.where(present <= room, 0.0, present)
    return present[np.concatenate([[True], np.diff(present) > room])]


def whole(values: Any) -> bool:
    """Return whether all values are integers, up to float32 rounding errors."""
    array = np.asarray(values, np.float64)
    room = CLOSE * np.maximum(1, np.abs(array) / 128)
    return bool((np.abs(array - np.rint(array)) <= room).all())
