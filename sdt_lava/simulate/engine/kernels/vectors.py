"""The vector operations that the kernels are made of, written down as LLVM instructions.

Numba compiles loops over arrays well, but keeps neither accumulators nor masks in registers. The
five functions here do: each is a short sequence of operations on 64 lanes, which LLVM lowers to
whatever vectors the processor has. ``sum_rows`` and ``append_indices`` have variants with
instructions of their own for AVX-512; all variants compute the same integers.

Lanes are neighbouring channels, and a *word* holds the spikes of 64 of them, the lowest bit first.

Arrays are passed as the address of their first element and the number of the first one meant.
Numba counts references to arrays wherever one is handed on, which in inner loops takes longer than
the work; and nothing here may allocate. Whoever calls keeps the arrays alive and large enough.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

# Channels in a word.
LANES = 64
# So many events fit a 16-bit sum: 256 * -128 and 256 * 127 are inside its range.
EVENTS_PER_SUM = 256
# Elements that append_indices and copy_shifted may write beyond the last valid one.
SLACK = 64

BYTE, SHORT, INT, WORD = (ir.IntType(bits) for bits in (8, 16, 32, 64))
# 32-bit values are handled 16 at a time: one AVX-512 register.
PART = 16
PARTS = LANES // PART
INTS = ir.VectorType(INT, PART)

_features = dict(binding.get_host_cpu_features().items())
HAS_BYTE_MULTIPLY = bool(_features.get("avx512bw"))
HAS_COMPRESS = bool(_features.get("avx512vbmi2"))


def constant(value: int, type_: ir.VectorType = INTS) -> ir.Constant:
    """Return a vector of equal constants."""
    return ir.Constant(type_, [value] * type_.count)


def index(value: int) -> ir.Constant:
    """Return a 64-bit constant."""
    return ir.Constant(WORD, value)


def element(builder: Any, address: Any, at: Any, type_: Any) -> Any:
    """Return a pointer to an element of an array of 64-bit address."""
    return builder.gep(builder.inttoptr(address, type_.as_pointer()), [at])


def load(builder: Any, pointer: Any, type_: Any, offset: int = 0) -> Any:
    """Load a vector; nothing is assumed about its alignment."""
    place = builder.gep(pointer, [index(offset)])
    return builder.load(builder.bitcast(place, type_.as_pointer()), align=1)


def store(builder: Any, vector: Any, pointer: Any, offset: int = 0) -> None:
    """Store a vector."""
    place = builder.gep(pointer, [index(offset)])
    builder.store(vector, builder.bitcast(place, vector.type.as_pointer()), align=1)


def external(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Return a function of LLVM or of the processor, by name."""
    module = builder.module
    known = module.globals.get(name)
    return known or ir.Function(module, ir.FunctionType(result, arguments), name)


def shuffle(builder: Any, left: Any, right: Any, order: list[int]) -> Any:
    """Pick elements of two vectors."""
    mask = ir.Constant(ir.VectorType(INT, len(order)), order)
    return builder.shuffle_vector(left, right, mask)


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

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights = element(builder, arguments[0], arguments[1], BYTE)
        events = element(builder, arguments[2], arguments[3], SHORT)
        sums = element(builder, arguments[5], arguments[6], INT)
        count, again = arguments[4], arguments[7]
        byte, short = ir.VectorType(BYTE, LANES), ir.VectorType(SHORT, LANES // 2)
        zero = ir.Constant(short, None)

        def row(position: Any) -> Any:
            event = builder.zext(builder.load(builder.gep(events, [position])), WORD)
            return builder.gep(weights, [builder.mul(event, index(width))])

        def add_rows(totals: list[Any], first: Any, second: Any | None) -> list[Any]:
            result = []
            for word in range(words):
                left = load(builder, first, byte, LANES * word)
                right = (
                    ir.Constant(byte, None)
                    if second is None
                    else load(builder, second, byte, LANES * word)
                )
                result += _add_pair(builder, totals[2 * word : 2 * word + 2], left, right)
            return result

        start = builder.block
        head, pair, tail, single, end = (
            builder.append_basic_block(name) for name in ("head", "pair", "tail", "single", "end")
        )
        even = builder.and_(count, index(-2))
        builder.branch(head)
        builder.position_at_end(head)
        position = builder.phi(WORD)
        totals = [builder.phi(short) for _ in range(2 * words)]
        builder.cbranch(builder.icmp_signed("<", position, even), pair, tail)
        builder.position_at_end(pair)
        second = row(builder.add(position, index(1)))
        following = add_rows(totals, row(position), second)
        position.add_incoming(index(0), start)
        position.add_incoming(builder.add(position, index(2)), pair)
        for total, value in zip(totals, following, strict=True):
            total.add_incoming(zero, start)
            total.add_incoming(value, pair)
        builder.branch(head)
        builder.position_at_end(tail)
        builder.cbranch(builder.icmp_signed("<", position, count), single, end)
        builder.position_at_end(single)
        last = add_rows(totals, row(position), None)
        builder.branch(end)
        builder.position_at_end(end)
        results = [builder.phi(short) for _ in totals]
        for result, total, value in zip(results, totals, last, strict=True):
            result.add_incoming(total, tail)
            result.add_incoming(value, single)
        wide = ir.VectorType(INT, LANES // 2)
        for part, result in enumerate(results):
            value = builder.sext(result, wide)
            before = load(builder, sums, wide, part * LANES // 2)
            kept = builder.select(again, before, ir.Constant(wide, None))
            store(builder, builder.add(kept, value), sums, part * LANES // 2)
        return context.get_dummy_value()

    @intrinsic
    def sum_rows(
        typing: Any, weights: Any, row0: Any, events: Any, first: Any, count: Any, sums: Any,
        at: Any, again: Any,
    ) -> Any:  # fmt: skip
        """Set ``sums[at:]`` to the sum of the weight rows of events, or add it if ``again``.

        At most EVENTS_PER_SUM events; ``weights[row0 + event * width:]`` is the row of an event.
        """
        signature = types.void(weights, row0, events, first, count, sums, at, again)
        return signature, codegen

    return sum_rows


sum_rows_64 = _make_sum_rows(1)
sum_rows_128 = _make_sum_rows(2)


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
        bases = builder.insert_element(ir.Constant(spread, None), base, ir.Constant(INT, 0))
        bases = shuffle(builder, bases, bases, [0] * LANES)
        store(builder, builder.add(wide, bases), target)
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
def spread_word(typing: Any, word: Any, values: Any, at: Any) -> Any:
    """Write the 64 spikes of a word as bytes 0 or 1 to ``values[at:]``."""
    signature = types.void(word, values, at)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target = element(builder, arguments[1], arguments[2], BYTE)
        flags = builder.bitcast(arguments[0], ir.VectorType(ir.IntType(1), LANES))
        store(builder, builder.zext(flags, ir.VectorType(BYTE, LANES)), target)
        return context.get_dummy_value()

    return signature, codegen


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
        number = builder.trunc(arguments[3], SHORT)
        shifts = builder.insert_element(ir.Constant(short, None), number, ir.Constant(INT, 0))
        shifts = shuffle(builder, shifts, shifts, [0] * lanes)
        start = builder.block
        head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
        builder.branch(head)
        builder.position_at_end(head)
        done = builder.phi(WORD)
        builder.cbranch(builder.icmp_signed("<", done, arguments[2]), body, end)
        builder.position_at_end(body)
        values = load(builder, builder.gep(read, [done]), short)
        store(builder, builder.add(values, shifts), builder.gep(write, [done]))
        done.add_incoming(index(0), start)
        done.add_incoming(builder.add(done, index(lanes)), body)
        builder.branch(head)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def count_bits(typing: Any, word: Any) -> Any:
    """Return the number of spikes of a word."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(word), codegen


@intrinsic
def read(typing: Any, address: Any, at: Any) -> Any:
    """Return a 64-bit integer of an array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(element(builder, arguments[0], arguments[1], WORD))

    return types.int64(address, at), codegen


@intrinsic
def write(typing: Any, address: Any, at: Any, value: Any) -> Any:
    """Set a 64-bit integer of an array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], element(builder, arguments[0], arguments[1], WORD))
        return context.get_dummy_value()

    return types.void(address, at, value), codegen
