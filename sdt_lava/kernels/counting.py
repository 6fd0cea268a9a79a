"""Count events in packed signals, alone and weighted by the fan-out of their neurons."""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.llvm import INT, INTS, PART, WORD, constant, element, index, load
from sdt_lava.kernels.words import LANES, count_bits, read, write


@intrinsic
def _count_nonzero(typing: Any, currents: Any, at: Any) -> Any:
    """Count the nonzero values among 64."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = element(builder, arguments[0], arguments[1], INT)
        total = index(0)
        for part in range(0, LANES, PART):
            different = builder.icmp_signed("!=", load(builder, values, INTS, part), constant(0))
            bits = builder.zext(builder.bitcast(different, ir.IntType(PART)), WORD)
            total = builder.add(total, builder.ctpop(bits))
        return total

    return types.int64(currents, at), codegen


class EventArray(NamedTuple):
    """A signal whose events are counted.

    Parameters
    ----------
    address : address
        Spikes ``(images * H, T, W, words)`` or currents ``(images * H, T, W, 64 * words)``.
    is_spikes : bool
        Whether the signal is spikes; otherwise, currents.
    images, height, steps, columns : int
        Images, H, T and W.
    stride : int
        Words at a position.
    first, used : int
        First word to count, and number of words to count.
    """

    address: int
    is_spikes: bool
    images: int
    height: int
    steps: int
    columns: int
    stride: int
    first: int
    used: int


class FanOut(NamedTuple):
    """Synapses that an event reaches.

    Parameters
    ----------
    address : address of int64
        Fan-out of positions, ``(number, H, W)``.
    number : int
        Number of connections whose fan-out differs between positions.
    """

    address: int
    number: int


@jit
def _count_position(signal: EventArray, position: int) -> int:
    total = 0
    at = position * signal.stride + signal.first
    for word in range(signal.used):
        if signal.is_spikes:
            total += count_bits(read(signal.address, at + word))
        else:
            total += _count_nonzero(signal.address, (at + word) * LANES)
    return total


@jit
def _add(counts: int, at: int, number: int) -> None:
    write(counts, at, read(counts, at) + number)


@jit
def count_events(signal: EventArray, rows: tuple[int, int], fan_out: FanOut, counts: int) -> None:
    """Count the events of some rows and the synapses that they reach.

    Parameters
    ----------
    signal : EventArray
        Signal whose events are counted.
    rows : tuple of int
        First and end row, numbered through all images.
    fan_out : FanOut
        Synapses that an event reaches.
    counts : address of int64
        Counts ``(1 + number, T, images)`` of events and, for each connection, synapses; updated.
    """
    first, end = rows
    for row in range(first, end):
        image, y = row // signal.height, row % signal.height
        for step in range(signal.steps):
            line = (row * signal.steps + step) * signal.columns
            place = step * signal.images + image
            for x in range(signal.columns):
                events = _count_position(signal, line + x)
                _add(counts, place, events)
                for connection in range(fan_out.number):
                    position = (connection * signal.height + y) * signal.columns + x
                    reached = events * read(fan_out.address, position)
                    _add(counts, (1 + connection) * signal.steps * signal.images + place, reached)
