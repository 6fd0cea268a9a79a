"""List events, and the table rows that patterns of neighbouring inputs select."""

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
    store,
)
from sdt_lava.kernels.words import HAS_COMPRESS, LANES

# Elements that append_indices and copy_shifted may write after the last valid one.
SLACK = 64
# Number of entries that append_lookups writes.
MOST_LOOKUPS = 8


@intrinsic
def append_indices(typing: Any, word: Any, base: Any, indices: Any, at: Any) -> Any:
    """Write ``base`` plus the position of each spike of a word to ``indices[at:]``; count them."""
    signature = types.int64(word, base, indices, at)

    def compressed(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, base = arguments[0], builder.trunc(arguments[1], SHORT)
        target = element(builder, arguments[2], arguments[3], SHORT)
        byte, flags = ir.VectorType(BYTE, LANES), ir.VectorType(ir.IntType(1), LANES)
        compress = external(
            builder, "llvm.x86.avx512.mask.compress.v64i8", byte, [byte, byte, flags]
        )
        positions = ir.Constant(byte, list(range(LANES)))
        mask = builder.bitcast(word, flags)
        packed = builder.call(compress, [positions, ir.Constant(byte, None), mask])
        wide = builder.zext(packed, ir.VectorType(SHORT, LANES))
        spread = ir.VectorType(SHORT, LANES)
        store(builder, builder.add(wide, everywhere(builder, base, spread)), target)
        return builder.ctpop(word)

    def one_by_one(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, base = arguments[0], arguments[1]
        target = element(builder, arguments[2], arguments[3], SHORT)
        start = builder.block
        head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
        builder.branch(head)
        builder.position_at_end(head)
        rest, count = builder.phi(WORD), builder.phi(WORD)
        builder.cbranch(builder.icmp_signed("!=", rest, index(0)), body, end)
        builder.position_at_end(body)
        lowest = builder.cttz(rest, ir.Constant(ir.IntType(1), 1))
        value = builder.trunc(builder.add(base, lowest), SHORT)
        builder.store(value, builder.gep(target, [count]))
        for phi, first, following in (
            (rest, word, builder.and_(rest, builder.sub(rest, index(1)))),
            (count, index(0), builder.add(count, index(1))),
        ):
            phi.add_incoming(first, start)
            phi.add_incoming(following, body)
        builder.branch(head)
        builder.position_at_end(end)
        return count

    return signature, compressed if HAS_COMPRESS else one_by_one


@intrinsic
def append_nonzero(
    typing: Any, values: Any, at: Any, count: Any, number: Any, events: Any, end: Any
) -> Any:
    """Append the numbers of nonzero values, where the first value has number ``number``.

    Reads ``values[at:at + count]``, at most PART values, and returns the new end; up to PART
    elements of ``events[end:]`` are written.
    """
    nothing, lanes = constant(0), ir.Constant(INTS, list(range(PART)))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, at, count, number, events, end = arguments
        read = load_first(builder, element(builder, values, at, INT), count)
        is_event = builder.icmp_signed("!=", read, nothing)
        numbers = builder.add(lanes, everywhere(builder, builder.trunc(number, INT), INTS))
        operands = numbers, is_event, nothing
        compress = external(
            builder,
            "llvm.experimental.vector.compress.v16i32",
            INTS,
            [operand.type for operand in operands],
        )
        packed = builder.call(compress, operands)
        store(builder, packed, element(builder, events, end, INT))
        added = builder.ctpop(builder.bitcast(is_event, ir.IntType(PART)))
        return builder.add(end, builder.zext(added, WORD))

    return types.int64(values, at, count, number, events, end), codegen


@intrinsic
def copy_shifted(
    typing: Any, source: Any, first: Any, count: Any, shift: Any, target: Any, at: Any
) -> Any:
    """Copy ``count`` event numbers and add ``shift`` to each."""
    signature = types.void(source, first, count, shift, target, at)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = LANES // 2
        short = ir.VectorType(SHORT, lanes)
        read = element(builder, arguments[0], arguments[1], SHORT)
        write = element(builder, arguments[4], arguments[5], SHORT)
        shifts = everywhere(builder, builder.trunc(arguments[3], SHORT), short)

        def copy(at: Any) -> None:
            values = load(builder, builder.gep(read, [at]), short)
            store(builder, builder.add(values, shifts), builder.gep(write, [at]))

        # Nearly all pieces are short, so branches on their length are predicted well.
        copy(index(0))
        rest = builder.sub(arguments[2], index(lanes))
        with counting(builder, rest, by=lanes) as loop:
            copy(builder.add(loop.number, index(lanes)))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def append_lookups(typing: Any, pattern: Any, bits: Any, entries: Any, at: Any) -> Any:
    """Write the table rows for the groups of bits of a pattern to ``entries[at:]``.

    The rows of a group follow those of the previous group.
    """
    signature = types.void(pattern, bits, entries, at)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        longs = ir.VectorType(WORD, MOST_LOOKUPS)
        pattern, bits = (everywhere(builder, argument, longs) for argument in arguments[:2])
        number, one = ir.Constant(longs, list(range(MOST_LOOKUPS))), constant(1, longs)
        group = builder.lshr(pattern, builder.mul(number, bits))
        inside = builder.and_(group, builder.sub(builder.shl(one, bits), one))
        rows = builder.trunc(
            builder.add(inside, builder.shl(number, bits)), ir.VectorType(SHORT, MOST_LOOKUPS)
        )
        store(builder, rows, element(builder, arguments[2], arguments[3], SHORT))
        return context.get_dummy_value()

    return signature, codegen
