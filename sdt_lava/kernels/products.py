"""Compute synaptic sums of graded input over small windows, with 16-bit products in 32-bit sums.

The first layer of a network for images reads few channels, for which general operators are slow.
Here, the sums of a position are passed from registers to the neurons.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
from sdt_lava.kernels.neurons import FireArguments, fire_int
from sdt_lava.kernels.windows import WindowGeometry, row_slots
from sdt_lava.kernels.words import HAS_BYTE_MULTIPLY, LANES, clear_words, write

# Zeros that narrow_copy may write after the last payload.
OVERRUN = PART
_PAIRS = ir.VectorType(SHORT, 2 * PART)


@intrinsic
def _narrow_copy(typing: Any, source: Any, count: Any, target: Any) -> Any:
    """Copy 32-bit integers to 16 bits, padded with zeros to a multiple of PART."""

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
            # Memory after the last value is not read, since it may not belong to the array.
            number = builder.sub(arguments[1], whole)
            narrow(load_first(builder, builder.gep(read, [whole]), number), whole)
        return context.get_dummy_value()

    return types.void(source, count, target), codegen


def _add_products(builder: Any, total: Any, left: Any, right: Any) -> Any:
    """Multiply pairs of 16-bit integers and add both products to 32-bit sums."""
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
        """Set ``sums[at:]`` to the sums of products of payload pairs and weight pairs.

        The payloads of a pair are ``offsets[pair]`` bytes after the address.
        """
        return types.void(payloads, offsets, weights, pairs, sums, at), codegen

    return sum_products


_sum_products_32 = _make_sum_products(LANES // 2)
_sum_products_64 = _make_sum_products(LANES)


class FrameArray(NamedTuple):
    """Payloads of 16 bits in frames ``(images * H, frame steps, W, C)``.

    Parameters
    ----------
    address : address of int32
        The array.
    height, steps, columns, channels : int
        H, number of different frames (1 if all are the same, otherwise T), W and C.
    """

    address: int
    height: int
    steps: int
    columns: int
    channels: int


class ProductWeights(NamedTuple):
    """Weights of pairs of inputs.

    Parameters
    ----------
    address : address of int16
        Weights ``(tiles, kernel rows, pairs, width, 2)``.
    tiles, pairs, width : int
        Numbers of groups of output channels, of pairs in a kernel row and of channels in a tile.
    out_height : int
        Number of output rows of an image.
    """

    address: int
    tiles: int
    pairs: int
    width: int
    out_height: int


class ProductScratch(NamedTuple):
    """Buffers of one worker.

    Parameters
    ----------
    payloads : address of int16
        Input rows, followed by a row of zeros.
    room : int
        Size of a row with its padding in bytes.
    offsets : address of int64
        Offsets of pairs in bytes.
    sums : address of int32
        Sums of one position and tile.
    """

    payloads: int
    room: int
    offsets: int
    sums: int


@jit
def _read_rows(
    frames: FrameArray, window: WindowGeometry, image: int, y: int, fresh: int,
    scratch: ProductScratch,
) -> int:  # fmt: skip
    """Copy the input rows that an output row still needs, and return the next row."""
    slots, room = row_slots(window), scratch.room
    top = y * window.stride_h - window.pad_h
    end = min(top + slots, frames.height)
    count = frames.columns * frames.channels
    for row in range(max(fresh, top, 0), end):
        for step in range(frames.steps):
            line = scratch.payloads + ((row % slots) * frames.steps + step) * room
            clear_words(line, room // WORD_BYTES)
            number = (image * frames.height + row) * frames.steps + step
            origin = frames.address + number * count * INT_BYTES
            _narrow_copy(origin, count, line + window.pad_w * frames.channels * SHORT_BYTES)
    return max(fresh, end)


@jit
def _find_pairs(
    frames: FrameArray, window: WindowGeometry, pairs: int, y: int, scratch: ProductScratch
) -> None:
    """Set the offsets of the pairs in an output row's windows; rows outside the image are empty."""
    slots = row_slots(window)
    for ky in range(window.kernel_h):
        row = y * window.stride_h - window.pad_h + ky * window.dilation_h
        slot = row % slots if 0 <= row < frames.height else slots
        for pair in range(pairs):
            place = slot * frames.steps * scratch.room + 2 * pair * SHORT_BYTES
            write(scratch.offsets, ky * pairs + pair, place)


@jit
def product_rows(
    frames: FrameArray, window: WindowGeometry, weights: ProductWeights, rows: tuple[int, int],
    fire: FireArguments, scratch: ProductScratch,
) -> None:  # fmt: skip
    """Compute some output rows of a layer that reads input frames.

    Parameters
    ----------
    frames : FrameArray
        Input.
    window : WindowGeometry
        Geometry of the layer; columns are not dilated.
    weights : ProductWeights
        Weights of the layer.
    rows : tuple of int
        First and end output row, numbered through all images.
    fire : FireArguments
        Parameters and outputs of the neurons.
    scratch : ProductScratch
        Buffers of the worker.
    """
    width, room, sums = weights.width, scratch.room, scratch.sums
    all_pairs = window.kernel_h * weights.pairs
    frame_room = frames.steps * room
    clear_words(scratch.payloads + row_slots(window) * frame_room, frame_room // WORD_BYTES)
    fresh, previous_image = 0, -1
    first, end = rows
    for output in range(first, end):
        image, y = output // weights.out_height, output % weights.out_height
        if image != previous_image:
            fresh, previous_image = 0, image
        fresh = _read_rows(frames, window, image, y, fresh, scratch)
        _find_pairs(frames, window, weights.pairs, y, scratch)
        for x in range(fire.columns):
            place = scratch.payloads + x * window.stride_w * frames.channels * SHORT_BYTES
            for tile in range(min(weights.tiles, fire.chunks)):
                table = weights.address + tile * all_pairs * 2 * width * SHORT_BYTES
                for step in range(frames.steps):
                    here, at = place + step * room, step * width
                    if width == LANES:
                        _sum_products_64(here, scratch.offsets, table, all_pairs, sums, at)
                    else:
                        _sum_products_32(here, scratch.offsets, table, all_pairs, sums, at)
                # A constant frame has one sum, which is used T times.
                fire_int(sums, width * (frames.steps > 1), tile, output, x, fire)
