"""Windows over spikes and currents; spikes packed, and spread out for dense operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.compiled import compiled
from sdt_lava.simulate.engine.kernels.vectors import LANES, count_bits, read, spread_word, write

# Layouts are (rows, T, W, words) for spikes and (rows, T, W, channels) for currents, where rows
# count through the images of the batch.


@compiled
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


@compiled
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


@compiled
def spread_rows(
    spikes: Any, first_word: int, words: int, image: Any, padding: Any, values: Any
) -> None:
    """Write the spikes of some rows of an image as bytes, with a border of zeros.

    Parameters
    ----------
    spikes : ndarray of uint64
        ``(images * H, T, W, words)``.
    first_word, words : int
        Which words hold the channels that are read.
    image : tuple of int
        First row of the image, its height, and the first row to write, which may lie in the
        border.
    padding : int
        Columns of the border on each side.
    values : ndarray of uint8
        ``(T, rows, W + 2 padding, 64 words)``, filled completely.
    """
    origin, height, top = image
    _, _, columns, _ = spikes.shape
    steps, rows, wide, channels = values.shape
    base = values.ctypes.data
    for step in range(steps):
        for row in range(rows):
            y = top + row
            for x in range(wide):
                at = ((step * rows + row) * wide + x) * channels
                column = x - padding
                inside = 0 <= y < height and 0 <= column < columns
                for word in range(words):
                    bits = np.uint64(0)
                    if inside:
                        bits = spikes[origin + y, step, column, first_word + word]
                    spread_word(bits, base, at + word * LANES)


@compiled
def pack_rows(frames: int, strides: Any, sizes: Any, words: int) -> None:
    """Pack input spikes.

    Parameters
    ----------
    frames : address of int64
        0 or 1.
    strides : tuple of int
        Distances in ``frames`` between images, rows, steps, columns and channels.
    sizes : tuple of int
        Images, rows, steps, columns and channels.
    words : address of uint64
        ``(images * rows, T, W, words)``, filled completely.
    """
    images, rows, steps, columns, channels = sizes
    count = (channels + LANES - 1) // LANES
    for line in range(images * rows * steps):
        row, step = line // steps, line % steps
        start = row // rows * strides[0] + row % rows * strides[1] + step * strides[2]
        for at in range(line * columns * count, (line + 1) * columns * count):
            write(words, at, 0)
        for channel in range(channels):
            bit = 1 << (channel % LANES)
            for column in range(columns):
                if read(frames, start + column * strides[3] + channel * strides[4]):
                    at = (line * columns + column) * count + channel // LANES
                    write(words, at, read(words, at) | bit)


@compiled
def count_spikes(spikes: Any, first_word: int, end_word: int) -> int:
    """Count the spikes of some words of ``(rows, T, W, words)``."""
    total = 0
    rows, steps, columns, _ = spikes.shape
    for row in range(rows):
        for step in range(steps):
            for column in range(columns):
                for word in range(first_word, end_word):
                    total += count_bits(spikes[row, step, column, word])
    return total
