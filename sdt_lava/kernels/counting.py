"""Events counted in packed signals, alone and weighted with the fan-out of their neurons."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.llvm import INT, INTS, PART, WORD, constant, element, index, load
from sdt_lava.kernels.words import LANES, count_bits, read, write


@intrinsic
def _count_nonzero(typing: Any, currents: Any, at: Any) -> Any:
    """Count the values of 64 that are not 0."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = element(builder, arguments[0], arguments[1], INT)
        total = index(0)
        for part in range(0, LANES, PART):
            different = builder.icmp_signed("!=", load(builder, values, INTS, part), constant(0))
            bits = builder.zext(builder.bitcast(different, ir.IntType(PART)), WORD)
            total = builder.add(total, builder.ctpop(bits))
        return total

    return types.int64(currents, at), codegen


@jit
def _count_position(signal: int, is_spikes: bool, at: int, words: int) -> int:
    total = 0
    for word in range(words):
        if is_spikes:
            total += count_bits(read(signal, at + word))
        else:
            total += _count_nonzero(signal, (at + word) * LANES)
    return total


@jit
def count_events(
    signal: int, is_spikes: bool, size: Any, words: Any, rows: Any, fan_out: int, number: int,
    counts: int,
) -> None:  # fmt: skip
    """Add up the events of some rows, and the synapses that they reach.

    Parameters
    ----------
    signal : address
        Spikes ``(images * H, T, W, words)`` or currents ``(images * H, T, W, 64 * words)``.
    is_spikes : bool
        Whether they are spikes.
    size : tuple of int
        Images, H, T and W.
    words : tuple of int
        Words at a position, the first and the number of those that are counted.
    rows : tuple of int
        First row and the one after the last, counted through the images.
    fan_out : address of int64
        ``(number, H, W)``.
    number : int
        Connections that differ in what positions reach.
    counts : address of int64
        ``(1 + number, T, images)``: events and, for each connection, synapses; added to.
    """
    images, height, steps, columns = size
    stride, first, used = words
    for row in range(rows[0], rows[1]):
        image, y = row // height, row % height
        for step in range(steps):
            line = (row * steps + step) * columns
            place = step * images + image
            for x in range(columns):
                events = _count_position(signal, is_spikes, (line + x) * stride + first, used)
                write(counts, place, read(counts, place) + events)
                for connection in range(number):
                    reached = events * read(fan_out, (connection * height + y) * columns + x)
                    at = (1 + connection) * steps * images + place
                    write(counts, at, read(counts, at) + reached)
