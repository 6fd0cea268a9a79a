"""What kernels are written with: vectors of integers, loops and memory, as LLVM instructions.

Numba compiles loops over arrays well, but keeps neither accumulators nor masks in registers. The
functions of `sums`, `lists` and `neurons` do: each is a short sequence of operations on 64 lanes,
which LLVM lowers to whatever vectors the processor has. Some have variants with instructions of
their own for AVX-512; all variants compute the same integers.

Lanes are neighbouring channels, and a *word* holds the spikes of 64 of them, the lowest bit first.

Arrays are passed as the address of their first element and the number of the first one meant.
Numba counts references to arrays wherever one is handed on, which in inner loops takes longer than
the work; and nothing here may allocate. Whoever calls keeps the arrays alive and large enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

# Channels in a word.
LANES = 64

BYTE, SHORT, INT, WORD = (ir.IntType(bits) for bits in (8, 16, 32, 64))
SHORT_BYTES, INT_BYTES, WORD_BYTES = 2, 4, 8
# 32-bit values are handled 16 at a time: one AVX-512 register.
PART = 16
INTS = ir.VectorType(INT, PART)


def _has(feature: str) -> bool:
    """Whether numba compiles for a processor with some instructions: this one, unless told."""
    if config.CPU_FEATURES is not None:
        return f"+{feature}" in config.CPU_FEATURES.split(",")
    return bool(binding.get_host_cpu_features().get(feature))


# Whether there are the instructions that the variants for AVX-512 use.
HAS_BYTE_MULTIPLY = _has("avx512bw")
HAS_COMPRESS = _has("avx512vbmi2")


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


class Loop:
    """A loop that is being written: its counter, and values that go from round to round."""

    def __init__(self, builder: Any, head: Any, start: Any) -> None:
        self._builder, self._head, self._start = builder, head, start
        self.number = self.carried(index(0))

    def carried(self, initial: Any) -> Any:
        """Return a value that is `initial` in the first round, later what `carry` said last."""
        with self._builder.goto_block(self._head):
            self._builder.position_at_start(self._head)
            phi = self._builder.phi(initial.type)
        phi.add_incoming(initial, self._start)
        return phi

    def carry(self, phi: Any, value: Any) -> None:
        """Give a carried value to the next round; the end of the body calls it."""
        phi.add_incoming(value, self._builder.block)


@contextmanager
def counting(builder: Any, count: Any, by: int = 1) -> Iterator[Loop]:
    """Write a loop over 0, ``by``, ... below ``count``; what is written inside is its body."""
    start = builder.block
    head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    loop = Loop(builder, head, start)
    builder.cbranch(builder.icmp_signed("<", loop.number, count), body, end)
    builder.position_at_end(body)
    yield loop
    loop.carry(loop.number, builder.add(loop.number, index(by)))
    builder.branch(head)
    builder.position_at_end(end)


@intrinsic
def read_bits(typing: Any, stream: Any, at: Any) -> Any:
    """Return the bits of a string from bit ``at`` on: 57 or more of them."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = element(builder, arguments[0], builder.lshr(arguments[1], index(3)), BYTE)
        word = builder.load(builder.bitcast(place, WORD.as_pointer()), align=1)
        return builder.lshr(word, builder.and_(arguments[1], index(7)))

    return types.int64(stream, at), codegen


@intrinsic
def clear_words(typing: Any, address: Any, count: Any) -> Any:
    """Set words of 64 bits to 0."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = element(builder, arguments[0], index(0), WORD)
        with counting(builder, arguments[1]) as loop:
            builder.store(index(0), builder.gep(start, [loop.number]))
        return context.get_dummy_value()

    return types.void(address, count), codegen


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


@intrinsic
def write_short(typing: Any, address: Any, at: Any, value: Any) -> Any:
    """Set a 16-bit integer of an array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = element(builder, arguments[0], arguments[1], SHORT)
        builder.store(builder.trunc(arguments[2], SHORT), place)
        return context.get_dummy_value()

    return types.void(address, at, value), codegen
