"""What lies under each tap of a window that moves over images, in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir.numerics import IntArray

Pair = tuple[int, ...]


def padded(values: IntArray, padding: Pair, fill: int) -> IntArray:
    """Return images ``(..., H, W)`` with a border of one value."""
    widths = [(0, 0)] * (values.ndim - 2) + [(side, side) for side in padding]
    return np.pad(values, widths, constant_values=fill)


def taps(
    padded: NDArray[Any], size: Pair, kernel: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1)
) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """Yield row and column of each tap, and a view of the values that it meets.

    Parameters
    ----------
    padded : ndarray
        Images ``(..., H, W)`` with their border.
    size : tuple of int
        Windows below and beside each other, ``(H', W')``.
    kernel, stride, dilation : tuple of int
        Taps of a window, and distances of windows and of taps.

    Yields
    ------
    row, column : int
        Of the tap.
    values : ndarray
        ``(..., H', W')``.
    """
    (height, width), (down, right) = size, stride
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            top, left = row * dilation[0], column * dilation[1]
            rows = slice(top, top + (height - 1) * down + 1, down)
            columns = slice(left, left + (width - 1) * right + 1, right)
            yield row, column, padded[..., rows, columns]
