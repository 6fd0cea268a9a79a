"""Grids: weights that somebody rounded before are integers times some step.

Such are fine-tuned weights, multiples of 1/64, -1 and 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Distance from an integer that float32 numbers of 127 steps have, with some roundings on their way.
CLOSE = 5e-5
# Numbers that differ by less than this share of the largest one are one number in float32.
_SAME = 2e-7
# Enough values to see that there is no grid.
_GLANCE = 4096


def grid_of(values: Any, most: int) -> float | None:
    """Return the largest step of which all values are multiples, at most ``most`` steps away.

    Parameters
    ----------
    values : array-like
        Numbers of any shape.
    most : int
        Largest number of steps.

    Returns
    -------
    float or None
        None if there is no such step; 0.0 if all values are 0.
    """
    flat = np.abs(np.asarray(values, np.float64)).ravel()
    if len(_distinct(flat[:_GLANCE])) > most + 1:
        return None
    present = _distinct(flat)
    present = present[present > 0]
    if not present.size:
        return 0.0
    for steps in range(1, most + 1):
        # The largest number knows the step best.
        count = np.rint(present[-1] / present[0] * steps)
        if count > most:
            return None
        step = float(present[-1] / count)
        counts = present / step
        if (np.abs(counts - np.rint(counts)) < CLOSE).all():
            return step
    return None


def _distinct(magnitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distinct numbers in rising order; what only float32 tells apart is one."""
    present = np.unique(magnitudes)
    if not present.size:
        return present
    room = _SAME * present[-1]
    present = np.where(present <= room, 0.0, present)
    return present[np.concatenate([[True], np.diff(present) > room])]


def whole(values: Any) -> bool:
    """Tell whether all values are integers, but for what float32 leaves behind."""
    array = np.asarray(values, np.float64)
    room = CLOSE * np.maximum(1, np.abs(array) / 128)
    return bool((np.abs(array - np.rint(array)) <= room).all())
