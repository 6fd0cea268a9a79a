"""Spikes packed, counted, and spread out for dense operators."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sdt_lava.compiled import compiled
from sdt_lava.kernels.llvm import (
    WORD,
    constant,
    counting,
    element,
    everywhere,
    load,
    store,
)
from sdt_lava.simulate.engine.kernels.vectors import LANES, count_bits, read, spread_word, write

# Pixels that are packed at once.
PIXELS = 8
_LONGS = ir.VectorType(WORD, PIXELS)


@intrinsic
def _pack_pixels(
    typing: Any, frames: Any, start: Any, distance: Any, channels: Any, columns: Any, words: Any,
    at: Any,
) -> Any:  # fmt: skip
    """Pack neighbouring pixels of an image row, 8 at a time, to a word each."""
    signature = types.void(frames, start, distance, channels, columns, words, at)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        frames, start, distance, channels, columns, words, at = arguments
        values, packed = element(builder, frames, start, WORD), element(builder, words, at, WORD)
        with counting(builder, columns, by=PIXELS) as outer:
            pixels = builder.gep(values, [outer.number])
            with counting(builder, channels) as inner:
                spikes = inner.carried(ir.Constant(_LONGS, None))
                channel = builder.gep(pixels, [builder.mul(inner.number, distance)])
                bits = builder.and_(load(builder, channel, _LONGS), constant(1, _LONGS))
                number = everywhere(builder, inner.number, _LONGS)
                inner.carry(spikes, builder.or_(spikes, builder.shl(bits, number)))
            store(builder, spikes, builder.gep(packed, [outer.number]))
        return context.get_dummy_value()

    return signature, codegen


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
def pack_rows(frames: int, strides: Any, size: Any, rows: Any, words: int) -> None:
    """Pack some rows of the input's spikes.

    Parameters
    ----------
    frames : address of int64
        0 or 1.
    strides : tuple of int
        Distances in ``frames`` between images, rows, steps, columns and channels.
    size : tuple of int
        Rows of an image, steps, columns and channels.
    rows : tuple of int
        First row and the one after the last, counted through the images.
    words : address of uint64
        ``(images * rows, T, W, words)``.
    """
    height, steps, columns, channels = size
    count = (channels + LANES - 1) // LANES
    for row in range(rows[0], rows[1]):
        image = row // height * strides[0] + row % height * strides[1]
        for step in range(steps):
            line = (row * steps + step) * columns
            for word in range(count):
                first = word * LANES
                start = image + step * strides[2] + first * strides[4]
                number = min(channels - first, LANES)
                done = 0
                if count == 1 and strides[3] == 1:
                    done = columns // PIXELS * PIXELS
                    _pack_pixels(frames, start, strides[4], number, done, words, line)
                for column in range(done, columns):
                    at = start + column * strides[3]
                    spikes = 0
                    for channel in range(number):
                        spikes |= (read(frames, at + channel * strides[4]) & 1) << channel
                    write(words, (line + column) * count + word, spikes)


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
