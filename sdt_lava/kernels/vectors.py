"""Events packed, weight rows added up and tiles transposed in registers.

All elements are int32, except for weights, which are int8.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sdt_lava.kernels.llvm import (
    BYTE,
    INT,
    INTS,
    PART,
    SHORT,
    WORD,
    constant,
    counting,
    element,
    everywhere,
    external,
    index,
    load,
    load_first,
    shuffle,
    store,
)

# Outputs that `add_rows_32` adds up; `add_rows_64` takes twice as many.
LANES = 32
# So many weights of eight bits fit a 16-bit sum.
EVENTS_PER_SUM = 255
# The end of a loop over few events is hard to predict: fewer, longer turns with events that are
# none cost less.
_EVENTS_AT_ONCE = 4
# Rows and columns of what `transpose_tile` transposes.
TILE = 8


def _call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = external(builder, name, result, [argument.type for argument in arguments])
    return builder.call(function, arguments)


@intrinsic
def append_events(
    typing: Any, values: Any, at: Any, count: Any, number: Any, events: Any, end: Any
) -> Any:
    """Append the numbers of values that are not 0; they are counted from ``number`` on.

    Looks at ``values[at:at + count]``, at most PART of them, and returns the new end; up to PART
    elements of ``events[end:]`` are written.
    """
    nothing, lanes = constant(0), ir.Constant(INTS, list(range(PART)))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, at, count, number, events, end = arguments
        read = load_first(builder, element(builder, values, at, INT), count)
        is_event = builder.icmp_signed("!=", read, nothing)
        found = builder.add(lanes, everywhere(builder, builder.trunc(number, INT), INTS))
        pack = "llvm.experimental.vector.compress.v16i32"
        packed = _call(builder, pack, INTS, found, is_event, nothing)
        store(builder, packed, element(builder, events, end, INT))
        added = builder.ctpop(builder.bitcast(is_event, ir.IntType(PART)))
        return builder.add(end, builder.zext(added, WORD))

    return types.int64(values, at, count, number, events, end), codegen


def _make_add_rows(vectors: int) -> Any:
    """Build the function for rows of ``vectors * LANES`` weights."""
    width = vectors * LANES
    byte, short, wide = (ir.VectorType(kind, LANES) for kind in (BYTE, SHORT, INT))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights, row0, events, first, last, nothing, sums, at, shift = arguments
        rows = element(builder, weights, builder.mul(row0, index(width)), BYTE)
        numbers = element(builder, events, index(0), INT)
        with counting(builder, builder.sub(last, first), by=_EVENTS_AT_ONCE) as loop:
            totals = [loop.carried(ir.Constant(short, None)) for _ in range(vectors)]
            position, following = builder.add(first, loop.number), totals
            for number in range(_EVENTS_AT_ONCE):
                place = builder.add(position, index(number))
                event = builder.zext(builder.load(builder.gep(numbers, [place])), WORD)
                event = builder.select(builder.icmp_signed("<", place, last), event, nothing)
                row = builder.gep(rows, [builder.mul(event, index(width))])
                parts = [load(builder, row, byte, part * LANES) for part in range(vectors)]
                added = [builder.sext(part, short) for part in parts]
                following = [builder.add(*pair) for pair in zip(following, added, strict=True)]
            for total, next_ in zip(totals, following, strict=True):
                loop.carry(total, next_)
        target = element(builder, sums, at, INT)
        shifts = everywhere(builder, builder.trunc(shift, INT), wide)
        for part, total in enumerate(totals):
            shifted = builder.shl(builder.sext(total, wide), shifts)
            before = load(builder, target, wide, part * LANES)
            store(builder, builder.add(before, shifted), target, part * LANES)
        return context.get_dummy_value()

    @intrinsic
    def add_rows(
        typing: Any, weights: Any, row0: Any, events: Any, first: Any, last: Any, nothing: Any,
        sums: Any, at: Any, shift: Any,
    ) -> Any:  # fmt: skip
        """Add the weight rows of ``events[first:last]`` to ``sums[at:]``, times ``2 ** shift``.

        At most EVENTS_PER_SUM events; event e has the weights ``weights[(row0 + e) * width:]``,
        and those of ``nothing`` are 0.
        """
        signature = types.void(
            weights, row0, events, first, last, nothing, sums, at, shift
        )  # fmt: skip
        return signature, codegen

    return add_rows


add_rows_32 = _make_add_rows(1)
add_rows_64 = _make_add_rows(2)


@intrinsic
def transpose_tile(
    typing: Any, source: Any, at: Any, stride: Any, target: Any, goal: Any, step: Any
) -> Any:
    """Transpose TILE rows of TILE values: row r is ``source[at + r * stride:]``.

    Its values go to ``target[goal + r]``, and from there on ``step`` apart.
    """
    row = ir.VectorType(INT, TILE)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, at, stride, target, goal, step = arguments

        def place(array: Any, first: Any, distance: Any, number: int) -> Any:
            offset = builder.add(first, builder.mul(distance, index(number)))
            return element(builder, array, offset, INT)

        rows = [load(builder, place(source, at, stride, r), row) for r in range(TILE)]
        # Exchange blocks off the diagonal: of four by four, of two by two, of one value.
        for block in (4, 2, 1):
            lanes = range(TILE)
            upper = [lane if not lane & block else TILE + lane - block for lane in lanes]
            lower = [lane + block if not lane & block else TILE + lane for lane in lanes]
            for first in (r for r in range(TILE) if not r & block):
                pair = rows[first], rows[first + block]
                rows[first] = shuffle(builder, *pair, upper)
                rows[first + block] = shuffle(builder, *pair, lower)
        for number, column in enumerate(rows):
            store(builder, column, place(target, goal, step, number))
        return context.get_dummy_value()

    return types.void(source, at, stride, target, goal, step), codegen
