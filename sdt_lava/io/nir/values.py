"""Numbers of NIR's nodes, which may have any type and shape."""

from __future__ import annotations

from reprlib import repr as short_repr
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import NirError
from sdt_lava.ir import Shape

FloatArray = NDArray[np.float64]


def numbers(values: Any, where: str) -> FloatArray:
    """Return finite float64 numbers.

    Raises
    ------
    NirError
        If they are something else.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "iufb":
            raise TypeError(f"type {array.dtype}")
        array = array.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise NirError(where, f"no numbers ({str(error)[:80]})", "numbers") from error
    if not array.size or not np.isfinite(array).all():
        found = "NaN or infinity" if array.size else "an empty array"
        raise NirError(where, found, "finite numbers")
    return array


def sides(values: Any, where: str) -> Shape:
    """Return the sides of a shape, positive integers."""
    array = numbers(values, where).reshape(-1)
    if (array != np.rint(array)).any() or array.min() < 1 or array.max() > 2**31:
        raise NirError(where, short_repr(array.tolist()), "positive integers")
    return tuple(int(side) for side in array)


def pair(values: Any, where: str, least: int | None = None) -> tuple[int, int]:
    """Return one or two integers as two."""
    array = numbers(values, where).reshape(-1)
    if array.size not in (1, 2) or (array != np.rint(array)).any() or abs(array).max() > 2**31:
        raise NirError(where, short_repr(array.tolist()), "one or two integers")
    if least is not None and array.min() < least:
        raise NirError(where, short_repr(array.tolist()), f"at least {least}")
    return int(array[0]), int(array[-1])


def by_output(values: Any, channels: int, where: str) -> FloatArray:
    """Return one number for each output channel, ``(O,)``; one for all is repeated."""
    given = numbers(values, where)
    if given.size == 1:
        return np.full(channels, float(given.reshape(())))
    if given.size != channels or max(given.shape) != channels:
        raise NirError(where, f"shape {given.shape}", f"({channels},)")
    return given.reshape(-1)
