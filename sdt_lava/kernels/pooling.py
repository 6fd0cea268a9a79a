"""Windows over spikes and currents."""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.kernels.jit import jit

# Layouts are (rows, T, W, words) for spikes and (rows, T, W, channels) for currents, where rows
# count through the images of the batch.


@jit
def or_pool_rows(spikes: Any, height: int, window: Any, rows: Any, pooled: Any) -> None:
    """OR the spikes of each window.

    Parameters
    ----------
    spikes : ndarray of uint64
        ``(images * height, T, W, words)``.
    height : int
        Rows of an input image.
    window : tuple of int
        Kernel, stride, padding and rows of an output image.
    rows : tuple of int
        First output row and the one after the last.
    pooled : ndarray of uint64
        ``(images * H', T, W', words)``.
    """
    kernel, stride, padding, out_height = window
    _, steps, columns, words = spikes.shape
    out_columns = pooled.shape[2]
    for row in range(rows[0], rows[1]):
        image, y = row // out_height, row % out_height
        top = max(y * stride - padding, 0)
        bottom = min(y * stride - padding + kernel, height)
        for step in range(steps):
            for x in range(out_columns):
                left = max(x * stride - padding, 0)
                right = min(x * stride - padding + kernel, columns)
                for word in range(words):
                    found = np.uint64(0)
                    for source in range(image * height + top, image * height + bottom):
                        for column in range(left, right):
                            found |= spikes[source, step, column, word]
                    pooled[row, step, x, word] = found


@jit
def max_pool_rows(currents: Any, height: int, window: Any, rows: Any, pooled: Any) -> None:
    """Take the largest current of each window; arguments as for `or_pool_rows`."""
    kernel, stride, padding, out_height = window
    _, steps, columns, channels = currents.shape
    out_columns = pooled.shape[2]
    for row in range(rows[0], rows[1]):
        image, y = row // out_height, row % out_height
        top = max(y * stride - padding, 0)
        bottom = min(y * stride - padding + kernel, height)
        for step in range(steps):
            for x in range(out_columns):
                left = max(x * stride - padding, 0)
                right = min(x * stride - padding + kernel, columns)
                largest = pooled[row, step, x]
                first = currents[image * height + top, step, left]
                for channel in range(channels):
                    largest[channel] = first[channel]
                for source in range(image * height + top, image * height + bottom):
                    for column in range(left, right):
                        values = currents[source, step, column]
                        for channel in range(channels):
                            largest[channel] = max(largest[channel], values[channel])
