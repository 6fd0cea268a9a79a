"""Record and transpose signals, and add sums with a shift, wrapped or transposed."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.llvm import INT, element, index, load, shuffle, store

# Number of rows and columns of a tile of `_transpose_tile`.
_TILE = 8

# A part of a signal to transpose: its first index, rows and columns in the source, and the first
# index of its transpose in the target.
PLACE = np.dtype([(name, np.int64) for name in ("begin", "rows", "columns", "goal")])


@intrinsic
def _transpose_tile(
    typing: Any, source: Any, at: Any, stride: Any, target: Any, goal: Any, step: Any
) -> Any:
    """Transpose _TILE rows of _TILE values; row r is ``source[at + r * stride:]``.

    Its values are stored from ``target[goal + r]`` at a distance of ``step``.
    """
    row = ir.VectorType(INT, _TILE)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, at, stride, target, goal, step = arguments

        def place(array: Any, first: Any, distance: Any, number: int) -> Any:
            offset = builder.add(first, builder.mul(distance, index(number)))
            return element(builder, array, offset, INT)

        rows = [load(builder, place(source, at, stride, r), row) for r in range(_TILE)]
        # Exchange off-diagonal blocks of four by four, of two by two, and of one value.
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
    """Copy values to a row of a recording and return whether all of them fit its type.

    Parameters
    ----------
    values : ndarray of int32
        Values ``(n,)``.
    row : ndarray of uint8 or int32
        Output ``(n,)``.
    """
    fits = True
    for i in range(values.size):
        row[i] = values[i]
        fits &= row[i] == values[i]
    return fits


@jit
def transpose(source: Any, places: Any, target: Any) -> None:
    """Transpose parts of an array into parts of another array.

    Parameters
    ----------
    source, target : ndarray of int32
        Arrays ``(n,)``; each part is in C order.
    places : ndarray of PLACE
        Parts to transpose.
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
    """Add sums times ``2 ** exponent``, rounded down, to the activation, and clear them.

    Parameters
    ----------
    sums : ndarray of int32 or int64
        Sums ``(n,)``; set to 0.
    exponent : int
        Exponent from -31 to 31.
    activation : ndarray of int32
        Activation ``(n,)``; updated.
    """
    for i in range(sums.size):
        total = np.int64(sums[i])
        total = total << exponent if exponent >= 0 else total >> -exponent
        activation[i] = np.int32(activation[i] + np.int32(total))
        sums[i] = 0


@jit
def wrap_sums(sums: Any, activation: Any) -> None:
    """Add a convolution's sums, wrapped to 24 bits, to the activation, and clear them.

    Parameters
    ----------
    sums, activation : ndarray of int32
        Arrays ``(n,)``; `sums` is set to 0 and `activation` is updated.
    """
    for i in range(sums.size):
        # Bits above the 24th are shifted out, and the 24th bit becomes the sign.
        wrapped = np.int32(np.int32(np.int64(sums[i]) << 8) >> 8)
        activation[i] = np.int32(activation[i] + wrapped)
        sums[i] = 0


@jit
def transpose_sums(sums: Any, activation: Any) -> None:
    """Add sums to an activation of the transposed shape, and clear them.

    Parameters
    ----------
    sums : ndarray of int32
        Sums ``(positions, channels)``; set to 0.
    activation : ndarray of int32
        Activation ``(channels, positions)``; updated.
    """
    for channel in range(sums.shape[1]):
        for position in range(sums.shape[0]):
            total = activation[channel, position] + sums[position, channel]
            activation[channel, position] = np.int32(total)
            sums[position, channel] = 0
