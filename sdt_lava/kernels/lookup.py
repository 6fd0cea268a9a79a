"""Synaptic sums looked up: what a few neighbouring inputs add up to, for each of their patterns.

Where a kernel's row reaches few inputs (one to a few channels, as in the first layer of an event
camera's network), the spikes of a row of the window are cut into groups of bits. Each group
selects one row of a table, which holds the sums of these inputs' weights. There are no lists and no
branches, and the time does not depend on the spikes.
"""

from __future__ import annotations

from typing import Any

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.lists import MOST_LOOKUPS, append_lookups
from sdt_lava.kernels.llvm import SHORT_BYTES
from sdt_lava.kernels.neurons import fire_int
from sdt_lava.kernels.rows import sum_lookups_32, sum_lookups_64
from sdt_lava.kernels.windows import find_rows
from sdt_lava.kernels.words import LANES, clear_words, read, read_bits, write


@jit
def _join_row(
    words: int, source: Any, channels: int, left: int, row: int, step: int, string: int
) -> None:
    """Write the spikes of an input row as one string of bits.

    Columns follow one another without gaps, behind ``left`` columns of padding.
    """
    steps, _, columns, stride, first, room = source
    clear_words(string, room)
    at, filled = left * channels // LANES, left * channels % LANES
    bits = 0
    for column in range(columns):
        spikes = read(words, ((row * steps + step) * columns + column) * stride + first)
        bits |= spikes << filled
        filled += channels
        if filled >= LANES:
            write(string, at, bits)
            at, filled = at + 1, filled - LANES
            bits = spikes >> (channels - filled)
    write(string, at, bits)


@jit
def _look_up_row(string: int, distance: int, columns: int, groups: Any, entries: int) -> None:
    """List the table rows that an input row selects, for each output column.

    Kernel rows have tables of their own, but the same rows of them.
    """
    number, bits, mask = groups
    for x in range(columns):
        append_lookups(read_bits(string, x * distance) & mask, bits, entries, x * number)


@jit
def lookup_rows(
    words: int, source: Any, window: Any, tables: int, tiles: Any, groups: Any, rows: Any,
    neuron: int, targets: Any, sizes: Any, options: Any, scratch: Any,
) -> None:  # fmt: skip
    """Compute some output rows of a layer.

    Parameters
    ----------
    words : address of uint64
        Input spikes ``(images * H, T, W, words)``; all channels are in one word.
    source : tuple of int
        T, H and W of the input, words at a position in the array, the one that is read, and the
        words of a string of bits.
    window : tuple of int
        Kernel, stride, padding and dilation, each for rows and columns; input channels.
    tables : address of int16
        ``(tiles, kernel rows, groups * patterns, width)``.
    tiles : tuple of int
        Number of tiles, output channels of each, output rows of an image.
    groups : tuple of int
        Groups of a kernel row, bits of each, and a mask of all bits of a kernel row.
    rows : tuple of int
        First output row and the one after the last, counted through the images.
    neuron, targets, sizes, options
        As for :func:`~sdt_lava.kernels.neurons.fire`.
    scratch : tuple of addresses
        A string of bits (uint64), table rows of input rows (uint16), the rows that a window
        reaches (int64), sums (int32), and the neurons' extremes (int32).
    """
    string, entries, found, sums, extremes = scratch
    number, width, out_height = tiles
    steps, columns, chunks, _ = sizes
    height, channels = source[1], window[8]
    slots = (window[0] - 1) * window[6] + 1
    line = columns * groups[0] + MOST_LOOKUPS
    table = (groups[0] << groups[1]) * width
    fresh, image_before = 0, -1
    for output in range(rows[0], rows[1]):
        image, y = output // out_height, output % out_height
        if image != image_before:
            fresh, image_before = 0, image
        top = y * window[2] - window[4]
        for row in range(max(fresh, top, 0), min(top + slots, height)):
            for step in range(steps):
                _join_row(words, source, channels, window[5], image * height + row, step, string)
                place = entries + ((row % slots) * steps + step) * line * SHORT_BYTES
                _look_up_row(string, window[3] * channels, columns, groups, place)
        fresh = max(fresh, min(top + slots, height))
        reached = find_rows(window, height, y, table, steps * line, found)
        for x in range(columns):
            for tile in range(min(number, chunks)):
                first = tables + tile * window[0] * table * SHORT_BYTES
                for step in range(steps):
                    here = entries + (step * line + x * groups[0]) * SHORT_BYTES
                    if width == LANES:
                        sum_lookups_64(first, here, found, reached, groups[0], sums, step * width)
                    else:
                        sum_lookups_32(first, here, found, reached, groups[0], sums, step * width)
                fire_int(sums, 0, width, tile, output, x, neuron, targets, sizes, options, extremes)
