"""Pool spikes and currents over windows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sdt_lava.kernels.jit import jit

# Layouts are (rows, T, W, words) for spikes and (rows, T, W, channels) for currents, with rows
# numbered through all images of the batch.


class PoolWindow(NamedTuple):
    """Kernel, stride and padding along both axes, and rows of an input and an output image."""

    kernel: int
    stride: int
    padding: int
    height: int
    out_height: int


@jit
def _reach(window: PoolWindow, position: int, size: int) -> tuple[int, int]:
    """Return the first of the input positions in a window along one axis, and the end."""
    first = position * window.stride - window.padding
    return max(first, 0), min(first + window.kernel, size)


@jit
def or_pool_rows(spikes: Any, window: PoolWindow, rows: tuple[int, int], pooled: Any) -> None:
    """Compute the OR of the spikes in each window.

    Parameters
    ----------
    spikes : ndarray of uint64
        Spikes ``(images * height, T, W, words)``.
    window : PoolWindow
        Geometry.
    rows : tuple of int
        First and end output row.
    pooled : ndarray of uint64
        Output ``(images * H', T, W', words)``.
    """
    _, steps, columns, words = spikes.shape
    out_columns = pooled.shape[2]
    first_row, end_row = rows
    for row in range(first_row, end_row):
        image, y = row // window.out_height, row % window.out_height
        top, bottom = _reach(window, y, window.height)
        origin = image * window.height
        for step in range(steps):
            for x in range(out_columns):
                left, right = _reach(window, x, columns)
                for word in range(words):
                    spike_word = np.uint64(0)
                    for source in range(origin + top, origin + bottom):
                        for column in range(left, right):
                            spike_word |= spikes[source, step, column, word]
                    pooled[row, step, x, word] = spike_word


@jit
def max_pool_rows(currents: Any, window: PoolWindow, rows: tuple[int, int], pooled: Any) -> None:
    """Compute the largest current in each window, with the arguments of `or_pool_rows`."""
    _, steps, columns, channels = currents.shape
    out_columns = pooled.shape[2]
    first_row, end_row = rows
    for row in range(first_row, end_row):
        image, y = row // window.out_height, row % window.out_height
        top, bottom = _reach(window, y, window.height)
        origin = image * window.height
        for step in range(steps):
            for x in range(out_columns):
                left, right = _reach(window, x, columns)
                largest = pooled[row, step, x]
                first = currents[origin + top, step, left]
                for channel in range(channels):
                    largest[channel] = first[channel]
                for source in range(origin + top, origin + bottom):
                    for column in range(left, right):
                        values = currents[source, step, column]
                        for channel in range(channels):
                            largest[channel] = max(largest[channel], values[channel])
