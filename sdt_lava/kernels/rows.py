"""Sums of weight rows, in registers: of rows that events select, and of rows of tables."""

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
    external,
    index,
    load,
    shuffle,
    store,
)
from sdt_lava.kernels.words import HAS_BYTE_MULTIPLY, LANES

# So many events fit a 16-bit sum: 256 * -128 and 256 * 127 are inside its range.
EVENTS_PER_SUM = 256


def _interleave_orders() -> tuple[list[int], list[int]]:
    """Where the bytes of two vectors go when AVX-512 interleaves them, in its 128-bit lanes."""
    low, high = [], []
    for lane in range(0, LANES, 16):
        for byte in range(8):
            low += [lane + byte, LANES + lane + byte]
            high += [lane + 8 + byte, LANES + lane + 8 + byte]
    return low, high


_LOW, _HIGH = _interleave_orders()
# sum_rows adds the weight at position p of a row into output channel STORED_CHANNELS[p] of 64:
# undoing the interleaving is left to whoever stores the weights, once.
STORED_CHANNELS = tuple(range(LANES))
if HAS_BYTE_MULTIPLY:
    _sums_at = _LOW[::2] + _HIGH[::2]
    STORED_CHANNELS = tuple(_sums_at.index(position) for position in range(LANES))


def _add_pair(builder: Any, sums: list[Any], first: Any, second: Any) -> list[Any]:
    """Add two vectors of 64 signed bytes to two vectors of 32 16-bit sums."""
    short = ir.VectorType(SHORT, LANES // 2)
    if HAS_BYTE_MULTIPLY:
        byte = ir.VectorType(BYTE, LANES)
        # Multiplies by one and adds neighbours: the sum of two weights fits 16 bits.
        pairs = external(builder, "llvm.x86.avx512.pmaddubs.w.512", short, [byte, byte])
        ones = constant(1, byte)
        added = [
            builder.call(pairs, [ones, shuffle(builder, first, second, order)])
            for order in (_LOW, _HIGH)
        ]
    else:
        added = []
        for half in (0, LANES // 2):
            order = list(range(half, half + LANES // 2))
            wide = [builder.sext(shuffle(builder, x, x, order), short) for x in (first, second)]
            added.append(builder.add(*wide))
    return [builder.add(total, pair) for total, pair in zip(sums, added, strict=True)]


def _make_sum_rows(words: int) -> Any:
    """Build the function for rows of ``64 * words`` weights."""
    width = LANES * words
    byte, short = ir.VectorType(BYTE, LANES), ir.VectorType(SHORT, LANES // 2)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights = element(builder, arguments[0], arguments[1], BYTE)
        events = element(builder, arguments[2], arguments[3], SHORT)
        count, again = arguments[4], arguments[7]

        def row(position: Any, word: int) -> Any:
            event = builder.zext(builder.load(builder.gep(events, [position])), WORD)
            start = builder.gep(weights, [builder.mul(event, index(width))])
            return load(builder, start, byte, LANES * word)

        with counting(builder, count, by=2) as loop:
            totals = [loop.carried(ir.Constant(short, None)) for _ in range(2 * words)]
            places = loop.number, builder.add(loop.number, index(1))
            for word in range(words):
                sums = totals[2 * word : 2 * word + 2]
                added = _add_pair(builder, sums, *(row(place, word) for place in places))
                for total, value in zip(sums, added, strict=True):
                    loop.carry(total, value)
        target = element(builder, arguments[5], arguments[6], INT)
        _store_wide(builder, totals, target, again)
        return context.get_dummy_value()

    @intrinsic
    def sum_rows(
        typing: Any, weights: Any, row0: Any, events: Any, first: Any, count: Any, sums: Any,
        at: Any, again: Any,
    ) -> Any:  # fmt: skip
        """Set ``sums[at:]`` to the sum of the weight rows of events, or add it if ``again``.

        An even number of events, at most EVENTS_PER_SUM; ``weights[row0 + event * width:]`` is the
        row of an event.
        """
        signature = types.void(weights, row0, events, first, count, sums, at, again)
        return signature, codegen

    return sum_rows


def _store_wide(builder: Any, totals: list[Any], target: Any, again: Any = None) -> None:
    """Store vectors of 16-bit sums as 32-bit ones, added to what is there if ``again``."""
    wide = ir.VectorType(INT, LANES // 2)
    for part, total in enumerate(totals):
        value = builder.sext(total, wide)
        if again is not None:
            before = load(builder, target, wide, part * LANES // 2)
            kept = builder.select(again, before, ir.Constant(wide, None))
            value = builder.add(kept, value)
        store(builder, value, target, part * LANES // 2)


sum_rows_64 = _make_sum_rows(1)
sum_rows_128 = _make_sum_rows(2)


def _make_sum_lookups(width: int) -> Any:
    """Build the function for table rows of ``width`` sums."""
    short = ir.VectorType(SHORT, LANES // 2)
    parts = range(0, width, LANES // 2)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tables, entries, found, rows, groups, sums, at = arguments
        tables = element(builder, tables, index(0), SHORT)
        entries = element(builder, entries, index(0), SHORT)
        with counting(builder, rows) as outer:
            totals = [outer.carried(ir.Constant(short, None)) for _ in parts]
            place = element(builder, found, builder.mul(outer.number, index(2)), WORD)
            table = builder.gep(tables, [builder.load(place)])
            selected = builder.gep(entries, [builder.load(builder.gep(place, [index(1)]))])
            with counting(builder, groups) as inner:
                inside = [inner.carried(total) for total in totals]
                entry = builder.load(builder.gep(selected, [inner.number]))
                row = builder.gep(table, [builder.mul(builder.zext(entry, WORD), index(width))])
                for total, part in zip(inside, parts, strict=True):
                    inner.carry(total, builder.add(total, load(builder, row, short, part)))
            for total, value in zip(totals, inside, strict=True):
                outer.carry(total, value)
        _store_wide(builder, totals, element(builder, sums, at, INT))
        return context.get_dummy_value()

    @intrinsic
    def sum_lookups(
        typing: Any, tables: Any, entries: Any, found: Any, rows: Any, groups: Any, sums: Any,
        at: Any,
    ) -> Any:  # fmt: skip
        """Set ``sums[at:]`` to the sum of the table rows of some entries, in 16 bits.

        There are as many tables as rows are found, each with entries of its own.
        """
        return types.void(tables, entries, found, rows, groups, sums, at), codegen

    return sum_lookups


sum_lookups_32 = _make_sum_lookups(LANES // 2)
sum_lookups_64 = _make_sum_lookups(LANES)
