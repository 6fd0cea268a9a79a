"""Iterate over the values under each tap of sliding windows, in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir.numerics import IntArray

Pair = tuple[int, ...]


def padded(values: IntArray, padding: Pair, fill: int) -> IntArray:
    """Pad images ``(..., H, W)`` with a value."""
    widths = [(0, 0)] * (values.ndim - 2) + [(side, side) for side in padding]
    return np.pad(values, widths, constant_values=fill)


def taps(
    padded: NDArray[Any], size: Pair, kernel: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1)
) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """Yield the row and column of each tap with a view of the values under it.

    Parameters
    ----------
    padded : ndarray
        Padded images ``(..., H, W)``.
    size : tuple of int
        Numbers of windows vertically and horizontally, ``(H', W')``.
    kernel, stride, dilation : tuple of int
        Taps of a window, and distances between windows and between taps.

    Yields
    ------
    row, column : int
        Position of the tap.
    values : ndarray
        Values under the tap, ``(..., H', W')``.
    """
    (height, width), (down, right) = size, stride
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            top, left = row * dilation[0], column * dilation[1]
            rows = slice(top, top + (height - 1) * down + 1, down)
            columns = slice(left, left + (width - 1) * right + 1, right)
            yield row, column, padded[..., rows, columns]
