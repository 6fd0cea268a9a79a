"""Check and convert the values of NIR's nodes, which may have any type and shape."""

from __future__ import annotations

from reprlib import repr as short_repr
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import NirError
from sdt_lava.ir import Shape

FloatArray = NDArray[np.float64]


def numbers(values: Any, where: str) -> FloatArray:
    """Return values as an array of finite float64 numbers.

    Raises
    ------
    NirError
        If the values are not numeric, not finite, or empty.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "iufb":
            raise TypeError(f"type {array.dtype}")
        array = array.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise NirError(where, f"no numbers ({str(error)[:80]})", "numbers") from error
    if not array.size or not np.isfinite(array).all():
        problem = "NaN or infinity" if array.size else "an empty array"
        raise NirError(where, problem, "finite numbers")
    return array


def sides(values: Any, where: str) -> Shape:
    """Return the sides of a shape as positive integers; raise `NirError` for other values."""
    array = numbers(values, where).reshape(-1)
    if (array != np.rint(array)).any() or array.min() < 1 or array.max() > 2**31:
        raise NirError(where, short_repr(array.tolist()), "positive integers")
    return tuple(int(side) for side in array)


def pair(values: Any, where: str, least: int | None = None) -> tuple[int, int]:
    """Return one or two integers as a pair; raise `NirError` for other values."""
    array = numbers(values, where).reshape(-1)
    if array.size not in (1, 2) or (array != np.rint(array)).any() or abs(array).max() > 2**31:
        raise NirError(where, short_repr(array.tolist()), "one or two integers")
    if least is not None and array.min() < least:
        raise NirError(where, short_repr(array.tolist()), f"at least {least}")
    return int(array[0]), int(array[-1])


def by_output(values: Any, channels: int, where: str) -> FloatArray:
    """Return one number per output channel, ``(O,)``; a single number is repeated."""
    array = numbers(values, where)
    if array.size == 1:
        return np.full(channels, float(array.reshape(())))
    if array.size != channels or max(array.shape) != channels:
        raise NirError(where, f"shape {array.shape}", f"({channels},)")
    return array.reshape(-1)
