"""Generate LLVM instructions for words of spikes.

Lanes are adjacent channels, and a *word* holds the spikes of 64 lanes, the lowest bit first. Some
functions of `sums`, `lists` and `products` have variants with AVX-512 instructions; all variants
compute the same integers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import binding, ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

from sdt_lava.kernels.llvm import BYTE, SHORT, WORD, counting, element, index, store

# Channels in a word, and in half of one.
LANES = 64
HALF = LANES // 2


class SpikeArray(NamedTuple):
    """Packed spikes ``(images * H, T, W, words)``, of which some words are read.

    Parameters
    ----------
    address : address of uint64
        The array.
    height, steps, columns : int
        H, T and W.
    stride : int
        Number of words at a position.
    first, used : int
        First word to read, and number of words to read.
    """

    address: int
    height: int
    steps: int
    columns: int
    stride: int
    first: int
    used: int


def _has(feature: str) -> bool:
    """Return whether the processor for which numba compiles has a feature."""
    if config.CPU_FEATURES is not None:
        return f"+{feature}" in config.CPU_FEATURES.split(",")
    return bool(binding.get_host_cpu_features().get(feature))


# Whether the instructions of the AVX-512 variants are available.
HAS_BYTE_MULTIPLY = _has("avx512bw")
HAS_COMPRESS = _has("avx512vbmi2")


@intrinsic
def read_bits(typing: Any, stream: Any, at: Any) -> Any:
    """Return at least 57 bits of a string from bit ``at`` on."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = element(builder, arguments[0], builder.lshr(arguments[1], index(3)), BYTE)
        word = builder.load(builder.bitcast(place, WORD.as_pointer()), align=1)
        return builder.lshr(word, builder.and_(arguments[1], index(7)))

    return types.int64(stream, at), codegen


@intrinsic
def clear_words(typing: Any, address: Any, count: Any) -> Any:
    """Set 64-bit words to 0."""

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
    """Read a 64-bit integer of an array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(element(builder, arguments[0], arguments[1], WORD))

    return types.int64(address, at), codegen


@intrinsic
def write(typing: Any, address: Any, at: Any, value: Any) -> Any:
    """Write a 64-bit integer of an array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], element(builder, arguments[0], arguments[1], WORD))
        return context.get_dummy_value()

    return types.void(address, at, value), codegen


@intrinsic
def write_short(typing: Any, address: Any, at: Any, value: Any) -> Any:
    """Write a 16-bit integer of an array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = element(builder, arguments[0], arguments[1], SHORT)
        builder.store(builder.trunc(arguments[2], SHORT), place)
        return context.get_dummy_value()

    return types.void(address, at, value), codegen
