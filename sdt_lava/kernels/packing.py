"""Pack, count and unpack spikes."""

from __future__ import annotations

from typing import Any, NamedTuple

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
from sdt_lava.kernels.words import LANES, SpikeArray, count_bits, read, spread_word, write

# Number of pixels packed at once.
PIXELS = 8
_LONGS = ir.VectorType(WORD, PIXELS)
_KINDS = {1: BYTE, 4: INT, 8: WORD}


def _make_pack_pixels(kind: ir.IntType) -> Any:
    """Build the packing function for values of 8, 32 or 64 bits."""
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
        """Pack adjacent pixels of an image row to one word each, 8 pixels at a time.

        The result is 0 if all values are 0 or `one`.
        """
        operands = (frames, start, one, distance, channels, columns, words, at)
        return types.int64(*operands), codegen

    return pack_pixels


def _make_read(kind: ir.IntType) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, at = arguments
        value = builder.load(element(builder, values, at, kind))
        return value if kind is WORD else builder.zext(value, WORD)

    @intrinsic
    def read_value(typing: Any, values: Any, at: Any) -> Any:
        """Read the bits of a value."""
        return types.int64(values, at), codegen

    return read_value


_pack_bytes, _pack_ints, _pack_longs = map(_make_pack_pixels, _KINDS.values())
_read_byte, _read_int, _read_long = map(_make_read, _KINDS.values())


class Values(NamedTuple):
    """The input's spikes ``(images, rows, T, W, C)``, in any order in memory.

    Parameters
    ----------
    address : address
        Input values of 1, 4 or 8 bytes.
    bytes, one : int
        Size of a value in bytes, and the bits of 1.
    image, row, step, column, channel : int
        Distances between images, rows, steps, columns and channels, in elements.
    """

    address: int
    bytes: int
    one: int
    image: int
    row: int
    step: int
    column: int
    channel: int


class ImageSize(NamedTuple):
    """Numbers of rows of an image, time steps, columns and channels."""

    height: int
    steps: int
    columns: int
    channels: int


@jit
def _pack_line(values: Values, start: int, channels: int, columns: int, words: int, at: int) -> int:
    address, one, distance = values.address, values.one, values.channel
    if values.bytes == 1:
        return _pack_bytes(address, start, one, distance, channels, columns, words, at)
    if values.bytes == 4:
        return _pack_ints(address, start, one, distance, channels, columns, words, at)
    return _pack_longs(address, start, one, distance, channels, columns, words, at)


@jit
def _read_bits(values: Values, at: int) -> int:
    if values.bytes == 1:
        return _read_byte(values.address, at)
    return _read_int(values.address, at) if values.bytes == 4 else _read_long(values.address, at)


@jit
def _pack_word(
    values: Values, start: int, channels: int, columns: int, words: int, at: int, count: int
) -> int:
    """Pack one word of each column, ``count`` words apart; return 0 if all values are 0 or 1."""
    others = done = 0
    if count == 1 and values.column == 1:
        done = columns // PIXELS * PIXELS
        others |= _pack_line(values, start, channels, done, words, at)
    for column in range(done, columns):
        place = start + column * values.column
        spikes = 0
        for channel in range(channels):
            value = _read_bits(values, place + channel * values.channel)
            spikes |= (value == values.one) << channel
            others |= value != 0 and value != values.one
        write(words, at + column * count, spikes)
    return others


@jit
def pack_rows(values: Values, size: ImageSize, rows: tuple[int, int], words: int) -> bool:
    """Pack some rows of the input's spikes and return whether all values are 0 or 1.

    Parameters
    ----------
    values : Values
        Input values.
    size : ImageSize
        Size of the input.
    rows : tuple of int
        First and end row, numbered through all images.
    words : address of uint64
        Output ``(images * rows, T, W, words)``.
    """
    count = (size.channels + LANES - 1) // LANES
    other_values = 0
    first_row, end_row = rows
    for row in range(first_row, end_row):
        origin = row // size.height * values.image + row % size.height * values.row
        for step in range(size.steps):
            line = (row * size.steps + step) * size.columns * count
            for word in range(count):
                first = word * LANES
                start = origin + step * values.step + first * values.channel
                channels = min(size.channels - first, LANES)
                other_values |= _pack_word(
                    values, start, channels, size.columns, words, line + word, count
                )
    return other_values == 0


class PaddedRows(NamedTuple):
    """Rows of one image that are spread, with a border of zeros.

    Parameters
    ----------
    origin : int
        First row of the image among all rows.
    top, rows : int
        First row to write, which may be in the border, and number of rows.
    padding : int
        Number of border columns on each side.
    """

    origin: int
    top: int
    rows: int
    padding: int


@jit
def spread_rows(source: SpikeArray, place: PaddedRows, values: int) -> None:
    """Write the spikes of some rows of an image as bytes.

    Parameters
    ----------
    source : SpikeArray
        The spikes.
    place : PaddedRows
        Rows to write.
    values : address of uint8
        Output ``(T, rows, W + 2 padding, 64 words)``, which is filled completely.
    """
    wide = source.columns + 2 * place.padding
    for step in range(source.steps):
        for row in range(place.rows):
            y = place.top + row
            is_inside = 0 <= y < source.height
            line = ((place.origin + y) * source.steps + step) * source.columns
            for x in range(wide):
                at = ((step * place.rows + row) * wide + x) * source.used
                column = x - place.padding
                is_read = is_inside and 0 <= column < source.columns
                for word in range(source.used):
                    bits = 0
                    if is_read:
                        first = (line + column) * source.stride + source.first
                        bits = read(source.address, first + word)
                    spread_word(bits, values, (at + word) * LANES)


@jit
def count_spikes(spikes: Any, first_word: int, end_word: int) -> int:
    """Count the spikes in some words of ``(rows, T, W, words)``."""
    total = 0
    rows, steps, columns, _ = spikes.shape
    for row in range(rows):
        for step in range(steps):
            for column in range(columns):
                for word in range(first_word, end_word):
                    total += count_bits(spikes[row, step, column, word])
    return total
