"""Spikes packed, counted, and spread out for dense operators."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.llvm import (
    BYTE,
    INT,
    WORD,
    counting,
    element,
    everywhere,
    external,
    load,
    store,
)
from sdt_lava.kernels.words import LANES, count_bits, spread_word, write

# Pixels that are packed at once.
PIXELS = 8
_LONGS = ir.VectorType(WORD, PIXELS)
_KINDS = {1: BYTE, 4: INT, 8: WORD}


def _make_pack_pixels(kind: ir.IntType) -> Any:
    """Build the function for values of 8, 32 or 64 bits."""
    lanes = ir.VectorType(kind, PIXELS)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        frames, start, one, distance, channels, columns, words, at = arguments
        values, packed = element(builder, frames, start, kind), element(builder, words, at, WORD)
        ones = everywhere(builder, one if kind is WORD else builder.trunc(one, kind), lanes)
        with counting(builder, columns, by=PIXELS) as outer:
            pixels = builder.gep(values, [outer.number])
            others = outer.carried(ir.Constant(_LONGS, None))
            with counting(builder, channels) as inner:
                spikes, odd = inner.carried(ir.Constant(_LONGS, None)), inner.carried(others)
                place = builder.gep(pixels, [builder.mul(inner.number, distance)])
                value = load(builder, place, lanes)
                is_one = builder.icmp_signed("==", value, ones)
                is_zero = builder.icmp_signed("==", value, ir.Constant(lanes, None))
                is_odd = builder.not_(builder.or_(is_one, is_zero))
                bits = builder.zext(is_one, _LONGS)
                number = everywhere(builder, inner.number, _LONGS)
                inner.carry(spikes, builder.or_(spikes, builder.shl(bits, number)))
                inner.carry(odd, builder.or_(odd, builder.zext(is_odd, _LONGS)))
            store(builder, spikes, builder.gep(packed, [outer.number]))
            outer.carry(others, odd)
        reduced = external(builder, "llvm.vector.reduce.or.v8i64", WORD, [_LONGS])
        return builder.call(reduced, [others])

    @intrinsic
    def pack_pixels(
        typing: Any, frames: Any, start: Any, one: Any, distance: Any, channels: Any, columns: Any,
        words: Any, at: Any,
    ) -> Any:  # fmt: skip
        """Pack neighbouring pixels of an image row, 8 at a time, to a word each.

        Returns 0 if all values are 0 or `one`.
        """
        given = (frames, start, one, distance, channels, columns, words, at)
        return types.int64(*given), codegen

    return pack_pixels


def _make_read(kind: ir.IntType) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, at = arguments
        value = builder.load(element(builder, values, at, kind))
        return value if kind is WORD else builder.zext(value, WORD)

    @intrinsic
    def read_value(typing: Any, values: Any, at: Any) -> Any:
        """Return the bits of a value."""
        return types.int64(values, at), codegen

    return read_value


_pack_bytes, _pack_ints, _pack_longs = map(_make_pack_pixels, _KINDS.values())
_read_byte, _read_int, _read_long = map(_make_read, _KINDS.values())


@jit
def _pack_line(
    frames: int, kind: Any, start: int, distance: int, channels: int, columns: int, words: int,
    at: int,
) -> int:  # fmt: skip
    size, one = kind
    if size == 1:
        return _pack_bytes(frames, start, one, distance, channels, columns, words, at)
    if size == 4:
        return _pack_ints(frames, start, one, distance, channels, columns, words, at)
    return _pack_longs(frames, start, one, distance, channels, columns, words, at)


@jit
def _read_bits(frames: int, size: int, at: int) -> int:
    if size == 1:
        return _read_byte(frames, at)
    return _read_int(frames, at) if size == 4 else _read_long(frames, at)


@jit
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


@jit
def pack_rows(frames: int, kind: Any, strides: Any, size: Any, rows: Any, words: int) -> bool:
    """Pack some rows of the input's spikes; return whether all values are 0 or 1.

    Parameters
    ----------
    frames : address
        Numbers of 1, 4 or 8 bytes.
    kind : tuple of int
        Their size in bytes, and the bits of 1.
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
    others = 0
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
                    others |= _pack_line(
                        frames, kind, start, strides[4], number, done, words, line
                    )  # fmt: skip
                for column in range(done, columns):
                    at = start + column * strides[3]
                    spikes = 0
                    for channel in range(number):
                        value = _read_bits(frames, kind[0], at + channel * strides[4])
                        spikes |= (value == kind[1]) << channel
                        others |= value != 0 and value != kind[1]
                    write(words, (line + column) * count + word, spikes)
    return others == 0


@jit
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
