"""Synaptic sums of graded input through small windows: 16-bit products, added up in 32 bits.

The first layer of a network for images reads few channels, for which general operators are far
from their speed. Here the sums of a position go from registers to its neurons.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.llvm import (
    INT,
    INT_BYTES,
    INTS,
    PART,
    SHORT,
    SHORT_BYTES,
    WORD,
    WORD_BYTES,
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
from sdt_lava.kernels.neurons import fire_int
from sdt_lava.kernels.words import HAS_BYTE_MULTIPLY, LANES, clear_words, write

# Zeros that narrow_copy may write beyond the last payload.
OVERRUN = PART
_PAIRS = ir.VectorType(SHORT, 2 * PART)


@intrinsic
def _narrow_copy(typing: Any, source: Any, count: Any, target: Any) -> Any:
    """Copy 32-bit integers to 16 bits; zeros fill up the last PART of them."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        read = element(builder, arguments[0], index(0), INT)
        write = element(builder, arguments[2], index(0), SHORT)

        def narrow(values: Any, at: Any) -> None:
            store(
                builder,
                builder.trunc(values, ir.VectorType(SHORT, PART)),
                builder.gep(write, [at]),
            )

        whole = builder.and_(arguments[1], index(-PART))
        with counting(builder, whole, by=PART) as loop:
            narrow(load(builder, builder.gep(read, [loop.number]), INTS), loop.number)
        with builder.if_then(builder.icmp_signed("<", whole, arguments[1])):
            # Nothing behind the last one is read: it may be another's memory, or nobody's.
            number = builder.sub(arguments[1], whole)
            narrow(load_first(builder, builder.gep(read, [whole]), number), whole)
        return context.get_dummy_value()

    return types.void(source, count, target), codegen


def _add_products(builder: Any, total: Any, left: Any, right: Any) -> Any:
    """Multiply pairs of 16-bit integers and add both products to a 32-bit sum."""
    if HAS_BYTE_MULTIPLY:
        multiply = external(builder, "llvm.x86.avx512.pmaddw.d.512", INTS, [_PAIRS, _PAIRS])
        return builder.add(total, builder.call(multiply, [left, right]))
    for half in (0, 1):
        order = list(range(half, 2 * PART, 2))
        factors = [builder.sext(shuffle(builder, x, x, order), INTS) for x in (left, right)]
        total = builder.add(total, builder.mul(*factors))
    return total


def _make_sum_products(width: int) -> Any:
    """Build the function for ``width`` output channels."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        payloads, offsets, weights, pairs, sums, at = arguments
        distances = element(builder, offsets, index(0), WORD)
        columns = element(builder, weights, index(0), SHORT)
        parts = range(width // PART)
        with counting(builder, pairs) as loop:
            totals = [loop.carried(ir.Constant(INTS, None)) for _ in parts]
            distance = builder.load(builder.gep(distances, [loop.number]))
            place = element(builder, builder.add(payloads, distance), index(0), INT)
            pair = everywhere(builder, builder.load(place, align=1), INTS)
            both = builder.bitcast(pair, _PAIRS)
            row = builder.gep(columns, [builder.mul(loop.number, index(2 * width))])
            for part, total in zip(parts, totals, strict=True):
                factors = load(builder, row, _PAIRS, 2 * PART * part)
                loop.carry(total, _add_products(builder, total, both, factors))
        target = element(builder, sums, at, INT)
        for part, total in zip(parts, totals, strict=True):
            store(builder, total, target, PART * part)
        return context.get_dummy_value()

    @intrinsic
    def sum_products(
        typing: Any, payloads: Any, offsets: Any, weights: Any, pairs: Any, sums: Any, at: Any
    ) -> Any:
        """Set ``sums[at:]`` to the products of pairs of payloads and weights, added up.

        The payloads of a pair lie ``offsets[pair]`` bytes behind the address.
        """
        return types.void(payloads, offsets, weights, pairs, sums, at), codegen

    return sum_products


_sum_products_32 = _make_sum_products(LANES // 2)
_sum_products_64 = _make_sum_products(LANES)


@jit
def _read_rows(
    frames: int, source: Any, window: Any, image: int, y: int, fresh: int, payloads: int
) -> int:
    """Copy the input rows that an output row needs and that are not there yet; return the next."""
    steps, height, columns, channels, room = source
    kernel_h, _, stride_h, _, pad_h, pad_w, dilation_h, _ = window
    slots = (kernel_h - 1) * dilation_h + 1
    top = y * stride_h - pad_h
    end = min(top + slots, height)
    count = columns * channels
    for row in range(max(fresh, top, 0), end):
        for step in range(steps):
            line = payloads + ((row % slots) * steps + step) * room
            clear_words(line, room // WORD_BYTES)
            origin = frames + ((image * height + row) * steps + step) * count * INT_BYTES
            _narrow_copy(origin, count, line + pad_w * channels * SHORT_BYTES)
    return max(fresh, end)


@jit
def _find_pairs(source: Any, window: Any, pairs: int, y: int, offsets: int) -> None:
    """Set where the pairs of an output row's windows are: rows outside the image are empty."""
    steps, height, _, _, room = source
    kernel_h, _, stride_h, _, pad_h, _, dilation_h, _ = window
    slots = (kernel_h - 1) * dilation_h + 1
    for ky in range(kernel_h):
        row = y * stride_h - pad_h + ky * dilation_h
        slot = row % slots if 0 <= row < height else slots
        for pair in range(pairs):
            place = slot * steps * room + 2 * pair * SHORT_BYTES
            write(offsets, ky * pairs + pair, place)


@jit
def product_rows(
    frames: int, source: Any, window: Any, weights: int, tiles: Any, rows: Any, neuron: int,
    targets: Any, sizes: Any, options: Any, scratch: Any,
) -> None:  # fmt: skip
    """Compute some output rows of a layer that reads the input's frames.

    Parameters
    ----------
    frames : address of int32
        ``(images * H, steps, W, C)``, of 16-bit payloads.
    source : tuple of int
        Different frames (1 if all are the same, otherwise T), H, W and C, and the bytes of a row
        with its padding.
    window : tuple of int
        Kernel, stride, padding and dilation, each for rows and columns.
    weights : address of int16
        ``(tiles, kernel rows, pairs of a kernel row, width, 2)``.
    tiles : tuple of int
        Number of tiles, pairs of a kernel row, output channels of a tile, output rows of an image.
    rows : tuple of int
        First output row and the one after the last, counted through the images.
    neuron, targets, sizes, options
        As for :func:`~sdt_lava.kernels.neurons.fire`.
    scratch : tuple of addresses
        Input rows (int16) and one of zeros behind them, places of pairs (int64), sums (int32), and
        the neurons' extremes (int32).
    """
    payloads, offsets, sums, extremes = scratch
    number, pairs, width, out_height = tiles
    frame_steps, channels, room = source[0], source[3], source[4]
    columns, chunks = sizes[1], sizes[2]
    all_pairs = window[0] * pairs
    slots = (window[0] - 1) * window[6] + 1
    clear_words(payloads + slots * frame_steps * room, frame_steps * room // WORD_BYTES)
    fresh, image_before = 0, -1
    for output in range(rows[0], rows[1]):
        image, y = output // out_height, output % out_height
        if image != image_before:
            fresh, image_before = 0, image
        fresh = _read_rows(frames, source, window, image, y, fresh, payloads)
        _find_pairs(source, window, pairs, y, offsets)
        for x in range(columns):
            place = payloads + x * window[3] * channels * SHORT_BYTES
            for tile in range(min(number, chunks)):
                columns_of = weights + tile * all_pairs * 2 * width * SHORT_BYTES
                for step in range(frame_steps):
                    here, at = place + step * room, step * width
                    if width == LANES:
                        _sum_products_64(here, offsets, columns_of, all_pairs, sums, at)
                    else:
                        _sum_products_32(here, offsets, columns_of, all_pairs, sums, at)
                # A frame that does not change has one sum, seen T times.
                fire_int(
                    sums, 0, width * (frame_steps > 1), tile, output, x, neuron, targets, sizes,
                    options, extremes,
                )  # fmt: skip
