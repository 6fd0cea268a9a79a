"""Vector operations that numba does not find by itself, written down as LLVM instructions.

Numba compiles loops over arrays well, but neither keeps sums of many values in registers, nor
packs the positions of events, nor transposes in registers. Each function here is a short sequence
of operations on vectors, which LLVM lowers to whatever vectors the processor has.

Arrays are passed as the address of their first element and the number of the first one meant. All
elements are int32, except for weights, which are int8.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# Values that `append_events` looks at, and so many it may write beyond the last event.
PART = 16
# Outputs that `sum_rows_32` adds up; `sum_rows_64` takes twice as many.
LANES = 32
# So many weights of eight bits fit a 16-bit sum.
EVENTS_PER_SUM = 255
# The end of a loop over few events is hard to predict: fewer, longer turns with events that are
# none cost less.
_EVENTS_AT_ONCE = 4
# Rows and columns of what `transpose_tile` transposes.
TILE = 8

_BYTE, _SHORT, _INT, _WORD = (ir.IntType(bits) for bits in (8, 16, 32, 64))


def _index(value: int) -> ir.Constant:
    return ir.Constant(_WORD, value)


def _element(builder: Any, address: Any, at: Any, type_: Any) -> Any:
    return builder.gep(builder.inttoptr(address, type_.as_pointer()), [at])


def _load(builder: Any, pointer: Any, type_: Any, offset: int = 0) -> Any:
    """Load a vector; nothing is assumed about its alignment."""
    place = builder.gep(pointer, [_index(offset)])
    return builder.load(builder.bitcast(place, type_.as_pointer()), align=1)


def _store(builder: Any, vector: Any, pointer: Any, offset: int = 0) -> None:
    place = builder.gep(pointer, [_index(offset)])
    builder.store(vector, builder.bitcast(place, vector.type.as_pointer()), align=1)


def _shuffle(builder: Any, left: Any, right: Any, order: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(_INT, len(order)), order)
    return builder.shuffle_vector(left, right, mask)


def _spread(builder: Any, number: Any, lanes: int) -> Any:
    """Return a vector of equal 32-bit numbers, from a 64-bit one."""
    empty = ir.Constant(ir.VectorType(_INT, lanes), None)
    first = builder.insert_element(empty, builder.trunc(number, _INT), ir.Constant(_INT, 0))
    return _shuffle(builder, first, first, [0] * lanes)


def _call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Call a function of LLVM."""
    known = builder.module.globals.get(name)
    if known is None:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        known = ir.Function(builder.module, kind, name)
    return builder.call(known, arguments)


@intrinsic
def append_events(
    typing: Any, values: Any, at: Any, count: Any, number: Any, events: Any, end: Any
) -> Any:
    """Append the numbers of values that are not 0; they are counted from ``number`` on.

    Looks at ``values[at:at + count]``, at most PART of them, writes to ``events[end:]`` and returns
    the new end.
    """
    numbers = ir.VectorType(_INT, PART)
    nothing, lanes = ir.Constant(numbers, None), ir.Constant(numbers, list(range(PART)))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, at, count, number, events, end = arguments
        place = builder.bitcast(_element(builder, values, at, _INT), numbers.as_pointer())
        # Values beyond the last one are not read.
        valid = builder.icmp_signed("<", lanes, _spread(builder, count, PART))
        read = _call(builder, "llvm.masked.load.v16i32.p0", numbers, place, valid, nothing)
        is_event = builder.icmp_signed("!=", read, nothing)
        found = builder.add(lanes, _spread(builder, number, PART))
        pack = "llvm.experimental.vector.compress.v16i32"
        packed = _call(builder, pack, numbers, found, is_event, nothing)
        _store(builder, packed, _element(builder, events, end, _INT))
        added = builder.ctpop(builder.bitcast(is_event, ir.IntType(PART)))
        return builder.add(end, builder.zext(added, _WORD))

    return types.int64(values, at, count, number, events, end), codegen


def _make_sum_rows(vectors: int) -> Any:
    """Build the function for rows of ``vectors * LANES`` weights."""
    width = vectors * LANES
    byte, short, wide = (ir.VectorType(kind, LANES) for kind in (_BYTE, _SHORT, _INT))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights, row0, events, first, last, nothing, sums, at, shift = arguments
        rows = _element(builder, weights, builder.mul(row0, _index(width)), _BYTE)
        numbers = _element(builder, events, _index(0), _INT)
        start = builder.block
        head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
        builder.branch(head)
        builder.position_at_end(head)
        position, totals = builder.phi(_WORD), [builder.phi(short) for _ in range(vectors)]
        builder.cbranch(builder.icmp_signed("<", position, last), body, end)
        builder.position_at_end(body)
        following = totals
        for number in range(_EVENTS_AT_ONCE):
            place = builder.add(position, _index(number))
            event = builder.zext(builder.load(builder.gep(numbers, [place])), _WORD)
            event = builder.select(builder.icmp_signed("<", place, last), event, nothing)
            row = builder.gep(rows, [builder.mul(event, _index(width))])
            parts = [_load(builder, row, byte, part * LANES) for part in range(vectors)]
            added = [builder.sext(part, short) for part in parts]
            following = [builder.add(*pair) for pair in zip(following, added, strict=True)]
        position.add_incoming(first, start)
        position.add_incoming(builder.add(position, _index(_EVENTS_AT_ONCE)), body)
        for total, next_ in zip(totals, following, strict=True):
            total.add_incoming(ir.Constant(short, None), start)
            total.add_incoming(next_, body)
        builder.branch(head)
        builder.position_at_end(end)
        target, shifts = _element(builder, sums, at, _INT), _spread(builder, shift, LANES)
        for part, total in enumerate(totals):
            shifted = builder.shl(builder.sext(total, wide), shifts)
            before = _load(builder, target, wide, part * LANES)
            _store(builder, builder.add(before, shifted), target, part * LANES)
        return context.get_dummy_value()

    @intrinsic
    def sum_rows(
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

    return sum_rows


sum_rows_32 = _make_sum_rows(1)
sum_rows_64 = _make_sum_rows(2)


@intrinsic
def transpose_tile(
    typing: Any, source: Any, at: Any, stride: Any, target: Any, goal: Any, step: Any
) -> Any:
    """Transpose TILE rows of TILE values: row r is ``source[at + r * stride:]``.

    Its values go to ``target[goal + r]``, and from there on ``step`` apart.
    """
    row = ir.VectorType(_INT, TILE)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, at, stride, target, goal, step = arguments

        def place(array: Any, first: Any, distance: Any, number: int) -> Any:
            offset = builder.add(first, builder.mul(distance, _index(number)))
            return _element(builder, array, offset, _INT)

        rows = [_load(builder, place(source, at, stride, r), row) for r in range(TILE)]
        # Exchange blocks off the diagonal: of four by four, of two by two, of one value.
        for block in (4, 2, 1):
            lanes = range(TILE)
            upper = [lane if not lane & block else TILE + lane - block for lane in lanes]
            lower = [lane + block if not lane & block else TILE + lane for lane in lanes]
            for first in (r for r in range(TILE) if not r & block):
                pair = rows[first], rows[first + block]
                rows[first] = _shuffle(builder, *pair, upper)
                rows[first + block] = _shuffle(builder, *pair, lower)
        for number, column in enumerate(rows):
            _store(builder, column, place(target, goal, step, number))
        return context.get_dummy_value()

    return types.void(source, at, stride, target, goal, step), codegen
