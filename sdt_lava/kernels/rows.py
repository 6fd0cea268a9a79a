"""Sum weight rows and table rows in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sdt_lava.kernels.llvm import (
    BYTE,
    INT,
    SHORT,
    WORD,
    constant,
    counting,
    element,
    everywhere,
    external,
    index,
    load,
    shuffle,
    store,
)
from sdt_lava.kernels.words import HALF, HAS_BYTE_MULTIPLY, LANES

# Number of 8-bit weights whose sum fits 16 bits: 256 * -128 and 256 * 127 are in range.
EVENTS_PER_SUM = 256
# Types of a vector of sums.
_SHORTS = ir.VectorType(SHORT, HALF)
_WIDE = ir.VectorType(INT, HALF)
# Number of rows that `add_rows` adds at once. The end of a loop over few events is hard to predict,
# so fewer and longer iterations, padded with empty events, are faster.
_EVENTS_AT_ONCE = 4


def _interleave_orders() -> tuple[list[int], list[int]]:
    """Return the orders in which AVX-512 interleaves the bytes of two vectors in 128-bit lanes."""
    low, high = [], []
    for lane in range(0, LANES, 16):
        for byte in range(8):
            low += [lane + byte, LANES + lane + byte]
            high += [lane + 8 + byte, LANES + lane + 8 + byte]
    return low, high


_LOW, _HIGH = _interleave_orders()
# The weight at position p of 64 is added to output channel STORED_CHANNELS[p] of 64. The
# interleaving is thus compensated once, when weights are stored.
STORED_CHANNELS = tuple(range(LANES))
if HAS_BYTE_MULTIPLY:
    _sums_at = _LOW[::2] + _HIGH[::2]
    STORED_CHANNELS = tuple(_sums_at.index(position) for position in range(LANES))


def _add_pair(builder: Any, sums: list[Any], first: Any, second: Any) -> list[Any]:
    """Add two vectors of signed bytes, 32 or 64, to one or two vectors of 32 16-bit sums."""
    byte = ir.VectorType(BYTE, LANES)
    if HAS_BYTE_MULTIPLY and first.type.count == LANES:
        # Multiplies by one and adds adjacent values; the sum of two weights fits 16 bits.
        pairs = external(builder, "llvm.x86.avx512.pmaddubs.w.512", _SHORTS, [byte, byte])
        ones = constant(1, byte)
        added = [
            builder.call(pairs, [ones, shuffle(builder, first, second, order)])
            for order in (_LOW, _HIGH)
        ]
    else:
        added = []
        for part in range(0, first.type.count, HALF):
            order = list(range(part, part + HALF))
            wide = [builder.sext(shuffle(builder, x, x, order), _SHORTS) for x in (first, second)]
            added.append(builder.add(*wide))
    return [builder.add(total, pair) for total, pair in zip(sums, added, strict=True)]


def _add_up(
    builder: Any, width: int, weights: Any, events: Any, count: Any, nothing: Any = None
) -> list[Any]:
    """Generate the loop over events; return the 16-bit sums of their weight rows.

    Parameters
    ----------
    builder : IRBuilder
        Builder of the instructions.
    width : int
        Number of weights of a row: 32 or a multiple of 64.
    weights, events : pointer
        Addresses of the first weight row and the first event; an event is the number of a row.
    count : int64
        Number of events.
    nothing : int64, optional
        Number of a row of zeros. Without it, `count` must be even.
    """
    at_once = 2 if nothing is None else _EVENTS_AT_ONCE
    lanes = min(width, LANES)

    def row(place: Any) -> list[Any]:
        event = builder.zext(builder.load(builder.gep(events, [place])), WORD)
        if nothing is not None:
            event = builder.select(builder.icmp_signed("<", place, count), event, nothing)
        start = builder.gep(weights, [builder.mul(event, index(width))])
        parts = range(0, width, lanes)
        return [load(builder, start, ir.VectorType(BYTE, lanes), part) for part in parts]

    with counting(builder, count, by=at_once) as loop:
        totals = [loop.carried(ir.Constant(_SHORTS, None)) for _ in range(width // HALF)]
        following, per_part = list(totals), lanes // HALF
        for number in range(0, at_once, 2):
            pair = [row(builder.add(loop.number, index(number + other))) for other in (0, 1)]
            for part, vectors in enumerate(zip(*pair, strict=True)):
                part_sums = slice(part * per_part, (part + 1) * per_part)
                following[part_sums] = _add_pair(builder, following[part_sums], *vectors)
        for total, value in zip(totals, following, strict=True):
            loop.carry(total, value)
    return totals


def _store_wide(
    builder: Any, totals: list[Any], target: Any, again: Any = None, shift: Any = None
) -> None:
    """Store 16-bit sums as 32-bit sums.

    Parameters
    ----------
    builder : IRBuilder
        Builder of the instructions.
    totals : list of vector
        16-bit sums.
    target : pointer
        Address of the 32-bit sums.
    again : int1, optional
        Whether to add to the values in memory.
    shift : int64, optional
        Exponent of the power of two by which sums are multiplied.
    """
    shifts = None if shift is None else everywhere(builder, builder.trunc(shift, INT), _WIDE)
    for part, total in enumerate(totals):
        value = builder.sext(total, _WIDE)
        if shifts is not None:
            value = builder.shl(value, shifts)
        if again is not None:
            previous = load(builder, target, _WIDE, part * HALF)
            value = builder.add(builder.select(again, previous, ir.Constant(_WIDE, None)), value)
        store(builder, value, target, part * HALF)


def _make_sum_rows(width: int) -> Any:
    """Build `sum_rows` for rows of ``width`` weights."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights, events, count, sums, again = arguments
        rows, numbers = (
            element(builder, weights, index(0), BYTE),
            element(builder, events, index(0), SHORT),
        )
        totals = _add_up(builder, width, rows, numbers, count)
        _store_wide(builder, totals, element(builder, sums, index(0), INT), again)
        return context.get_dummy_value()

    @intrinsic
    def sum_rows(typing: Any, weights: Any, events: Any, count: Any, sums: Any, again: Any) -> Any:
        """Set ``sums`` to the sum of the weight rows of events, or add it if ``again``.

        The row of an event is ``weights[event * width:]``. There must be an even number of 16-bit
        events, at most EVENTS_PER_SUM.
        """
        return types.void(weights, events, count, sums, again), codegen

    return sum_rows


def _make_add_rows(width: int) -> Any:
    """Build `add_rows` for rows of ``width`` weights."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights, events, count, nothing, sums, shift = arguments
        rows, numbers = (
            element(builder, weights, index(0), BYTE),
            element(builder, events, index(0), INT),
        )
        totals = _add_up(builder, width, rows, numbers, count, nothing)
        target = element(builder, sums, index(0), INT)
        _store_wide(builder, totals, target, ir.Constant(ir.IntType(1), 1), shift)
        return context.get_dummy_value()

    @intrinsic
    def add_rows(
        typing: Any, weights: Any, events: Any, count: Any, nothing: Any, sums: Any, shift: Any
    ) -> Any:
        """Add the weight rows of events, times ``2 ** shift``, to ``sums``.

        There may be at most EVENTS_PER_SUM 32-bit events; ``weights[event * width:]`` is the row of
        an event, and the row of ``nothing`` is 0. Up to three elements after the last event are
        read.
        """
        return types.void(weights, events, count, nothing, sums, shift), codegen

    return add_rows


sum_rows_64 = _make_sum_rows(LANES)
sum_rows_128 = _make_sum_rows(2 * LANES)
add_rows_32 = _make_add_rows(HALF)
add_rows_64 = _make_add_rows(LANES)


def _make_sum_lookups(width: int) -> Any:
    """Build the function for table rows of ``width`` sums."""
    parts = range(0, width, HALF)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tables, entries, found, rows, groups, sums, at = arguments
        tables = element(builder, tables, index(0), SHORT)
        entries = element(builder, entries, index(0), SHORT)
        with counting(builder, rows) as outer:
            totals = [outer.carried(ir.Constant(_SHORTS, None)) for _ in parts]
            place = element(builder, found, builder.mul(outer.number, index(2)), WORD)
            table = builder.gep(tables, [builder.load(place)])
            selected = builder.gep(entries, [builder.load(builder.gep(place, [index(1)]))])
            with counting(builder, groups) as inner:
                inside = [inner.carried(total) for total in totals]
                entry = builder.load(builder.gep(selected, [inner.number]))
                row = builder.gep(table, [builder.mul(builder.zext(entry, WORD), index(width))])
                for total, part in zip(inside, parts, strict=True):
                    inner.carry(total, builder.add(total, load(builder, row, _SHORTS, part)))
            for total, value in zip(totals, inside, strict=True):
                outer.carry(total, value)
        _store_wide(builder, totals, element(builder, sums, at, INT))
        return context.get_dummy_value()

    @intrinsic
    def sum_lookups(
        typing: Any, tables: Any, entries: Any, found: Any, rows: Any, groups: Any, sums: Any,
        at: Any,
    ) -> Any:  # fmt: skip
        """Set ``sums[at:]`` to the 16-bit sums of the table rows of entries.

        There is one table, with its own entries, for each row found.
        """
        return types.void(tables, entries, found, rows, groups, sums, at), codegen

    return sum_lookups


sum_lookups_32 = _make_sum_lookups(HALF)
sum_lookups_64 = _make_sum_lookups(LANES)
