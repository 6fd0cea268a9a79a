"""Whole signals: recorded, transposed, and added to sums with a shift, wrapped or transposed."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.llvm import INT, element, index, load, shuffle, store

# Rows and columns of what `_transpose_tile` transposes.
_TILE = 8

# A part of a signal that is transposed: where it begins in the source, its rows and columns there,
# and where its transpose begins in the target.
PLACE = np.dtype([(name, np.int64) for name in ("begin", "rows", "columns", "goal")])


@intrinsic
def _transpose_tile(
    typing: Any, source: Any, at: Any, stride: Any, target: Any, goal: Any, step: Any
) -> Any:
    """Transpose _TILE rows of _TILE values: row r is ``source[at + r * stride:]``.

    Its values go to ``target[goal + r]``, and from there on ``step`` apart.
    """
    row = ir.VectorType(INT, _TILE)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, at, stride, target, goal, step = arguments

        def place(array: Any, first: Any, distance: Any, number: int) -> Any:
            offset = builder.add(first, builder.mul(distance, index(number)))
            return element(builder, array, offset, INT)

        rows = [load(builder, place(source, at, stride, r), row) for r in range(_TILE)]
        # Exchange blocks off the diagonal: of four by four, of two by two, of one value.
        for block in (4, 2, 1):
            lanes = range(_TILE)
            upper = [lane if not lane & block else _TILE + lane - block for lane in lanes]
            lower = [lane + block if not lane & block else _TILE + lane for lane in lanes]
            for first in (r for r in range(_TILE) if not r & block):
                pair = rows[first], rows[first + block]
                rows[first] = shuffle(builder, *pair, upper)
                rows[first + block] = shuffle(builder, *pair, lower)
        for number, column in enumerate(rows):
            store(builder, column, place(target, goal, step, number))
        return context.get_dummy_value()

    return types.void(source, at, stride, target, goal, step), codegen


@jit
def record(values: Any, row: Any) -> bool:
    """Copy values to a row of a recording, and tell whether all of them fit its type.

    Parameters
    ----------
    values : ndarray of int32
        ``(n,)``.
    row : ndarray of uint8 or int32
        Output, ``(n,)``.
    """
    fits = True
    for i in range(values.size):
        row[i] = values[i]
        fits &= row[i] == values[i]
    return fits


@jit
def transpose(source: Any, places: Any, target: Any) -> None:
    """Transpose parts of an array into parts of another.

    Parameters
    ----------
    source, target : ndarray of int32
        ``(n,)``; both in C order.
    places : ndarray of PLACE
        The parts.
    """
    read, write = source.ctypes.data, target.ctypes.data
    for place in places:
        begin, rows, columns, goal = place.begin, place.rows, place.columns, place.goal
        tall, wide = rows // _TILE * _TILE, columns // _TILE * _TILE
        for row in range(0, tall, _TILE):
            for column in range(0, wide, _TILE):
                at, to = begin + row * columns + column, goal + column * rows + row
                _transpose_tile(read, at, columns, write, to, rows)
        for row in range(rows):
            at, to = begin + row * columns, goal + row
            for column in range(wide if row < tall else 0, columns):
                target[np.uint64(to + column * rows)] = source[np.uint64(at + column)]


@jit
def shift_sums(sums: Any, exponent: int, activation: Any) -> None:
    """Add sums times ``2 ** exponent``, rounded down, and clear them.

    Parameters
    ----------
    sums : ndarray of int32 or int64
        ``(n,)``; 0 afterwards.
    exponent : int
        -31 to 31.
    activation : ndarray of int32
        ``(n,)``; added to.
    """
    for i in range(sums.size):
        total = np.int64(sums[i])
        total = total << exponent if exponent >= 0 else total >> -exponent
        activation[i] = np.int32(activation[i] + np.int32(total))
        sums[i] = 0


@jit
def wrap_sums(sums: Any, activation: Any) -> None:
    """Add a convolution's sums, wrapped to 24 bit, and clear them.

    Parameters
    ----------
    sums, activation : ndarray of int32
        ``(n,)``; `sums` is 0 afterwards, `activation` is added to.
    """
    for i in range(sums.size):
        # Bits above the 24th are shifted out, and the sign is that of the 24th.
        wrapped = np.int32(np.int32(np.int64(sums[i]) << 8) >> 8)
        activation[i] = np.int32(activation[i] + wrapped)
        sums[i] = 0


@jit
def transpose_sums(sums: Any, activation: Any) -> None:
    """Add sums to an array of the transposed shape, and clear them.

    Parameters
    ----------
    sums : ndarray of int32
        ``(positions, channels)``; 0 afterwards.
    activation : ndarray of int32
        ``(channels, positions)``; added to.
    """
    for channel in range(sums.shape[1]):
        for position in range(sums.shape[0]):
            total = activation[channel, position] + sums[position, channel]
            activation[channel, position] = np.int32(total)
            sums[position, channel] = 0
