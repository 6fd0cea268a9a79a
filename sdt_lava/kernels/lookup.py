"""Look up synaptic sums in tables by the spike patterns of a few adjacent inputs.

If a kernel row reaches few inputs (one to a few channels, as in the first layer of a network for
event cameras), the spikes of each row of the window are split into groups of bits. Each group
selects a row of a table, which holds the sums of these inputs' weights. There are no lists and no
branches, and the time does not depend on the spikes.
"""

from __future__ import annotations

from typing import NamedTuple

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.lists import MOST_LOOKUPS, append_lookups
from sdt_lava.kernels.llvm import SHORT_BYTES
from sdt_lava.kernels.neurons import FireArguments, fire_int
from sdt_lava.kernels.rows import sum_lookups_32, sum_lookups_64
from sdt_lava.kernels.windows import WindowGeometry, find_rows, row_slots
from sdt_lava.kernels.words import LANES, SpikeArray, clear_words, read, read_bits, write


class LookupTables(NamedTuple):
    """Sums of weights for every pattern of inputs.

    Parameters
    ----------
    address : address of int16
        Tables ``(tiles, kernel rows, groups * patterns, width)``.
    tiles, width : int
        Number of groups of output channels, and number of channels of each.
    channels : int
        Number of input channels; all of them are in one word.
    out_height : int
        Number of output rows of an image.
    groups, bits : int
        Number of groups of a kernel row, and number of bits of each.
    mask : int
        Mask of all bits of a kernel row.
    """

    address: int
    tiles: int
    width: int
    channels: int
    out_height: int
    groups: int
    bits: int
    mask: int


class LookupScratch(NamedTuple):
    """Buffers of one worker.

    Parameters
    ----------
    string : address of uint64
        Spikes of an input row as a string of bits.
    room : int
        Number of words of the string.
    entries : address of uint16
        Table rows that input rows select.
    found : address of int64
        Rows that a window reaches, see `find_rows`.
    sums : address of int32
        Sums of one position and tile.
    """

    string: int
    room: int
    entries: int
    found: int
    sums: int


@jit
def _join_row(
    source: SpikeArray, channels: int, left: int, row: int, step: int, scratch: LookupScratch
) -> None:
    """Write the spikes of an input row as a string of bits.

    Columns are contiguous, after ``left`` columns of padding.
    """
    clear_words(scratch.string, scratch.room)
    at, filled = left * channels // LANES, left * channels % LANES
    bits = 0
    for column in range(source.columns):
        position = (row * source.steps + step) * source.columns + column
        spikes = read(source.address, position * source.stride + source.first)
        bits |= spikes << filled
        filled += channels
        if filled >= LANES:
            write(scratch.string, at, bits)
            at, filled = at + 1, filled - LANES
            bits = spikes >> (channels - filled)
    write(scratch.string, at, bits)


@jit
def _look_up_row(
    string: int, distance: int, columns: int, tables: LookupTables, entries: int
) -> None:
    """List the table rows that an input row selects for each output column.

    Each kernel row has its own tables, but the same row numbers.
    """
    for x in range(columns):
        pattern = read_bits(string, x * distance) & tables.mask
        append_lookups(pattern, tables.bits, entries, x * tables.groups)


@jit
def _list_rows(
    source: SpikeArray, window: WindowGeometry, tables: LookupTables, columns: int, image: int,
    y: int, fresh: int, scratch: LookupScratch,
) -> int:  # fmt: skip
    """List the table rows that an output row's inputs select; return the next input row."""
    slots, channels = row_slots(window), tables.channels
    top = y * window.stride_h - window.pad_h
    end = min(top + slots, source.height)
    line = columns * tables.groups + MOST_LOOKUPS
    for row in range(max(fresh, top, 0), end):
        for step in range(source.steps):
            _join_row(source, channels, window.pad_w, image * source.height + row, step, scratch)
            place = scratch.entries + ((row % slots) * source.steps + step) * line * SHORT_BYTES
            _look_up_row(scratch.string, window.stride_w * channels, columns, tables, place)
    return max(fresh, end)


@jit
def _sum_position(
    tables: LookupTables, first: int, entries: int, line: int, steps: int, reached: int,
    scratch: LookupScratch,
) -> None:  # fmt: skip
    """Sum the table rows that one position selects, for one tile and every step."""
    width, groups, found, sums = tables.width, tables.groups, scratch.found, scratch.sums
    for step in range(steps):
        here = entries + step * line * SHORT_BYTES
        if width == LANES:
            sum_lookups_64(first, here, found, reached, groups, sums, step * width)
        else:
            sum_lookups_32(first, here, found, reached, groups, sums, step * width)


@jit
def lookup_rows(
    source: SpikeArray, window: WindowGeometry, tables: LookupTables, rows: tuple[int, int],
    fire: FireArguments, scratch: LookupScratch,
) -> None:  # fmt: skip
    """Compute some output rows of a layer by table look-up.

    Parameters
    ----------
    source : SpikeArray
        Input.
    window : WindowGeometry
        Geometry of the layer; columns are not dilated.
    tables : LookupTables
        Sums of the layer's weights.
    rows : tuple of int
        First and end output row, numbered through all images.
    fire : FireArguments
        Parameters and outputs of the neurons.
    scratch : LookupScratch
        Buffers of the worker.
    """
    columns, width = fire.columns, tables.width
    line = columns * tables.groups + MOST_LOOKUPS
    table = (tables.groups << tables.bits) * width
    fresh, previous_image = 0, -1
    first_row, end_row = rows
    for output in range(first_row, end_row):
        image, y = output // tables.out_height, output % tables.out_height
        if image != previous_image:
            fresh, previous_image = 0, image
        fresh = _list_rows(source, window, tables, columns, image, y, fresh, scratch)
        reached = find_rows(window, source.height, y, table, fire.steps * line, scratch.found)
        for x in range(columns):
            entries = scratch.entries + x * tables.groups * SHORT_BYTES
            for tile in range(min(tables.tiles, fire.chunks)):
                first = tables.address + tile * window.kernel_h * table * SHORT_BYTES
                _sum_position(tables, first, entries, line, fire.steps, reached, scratch)
                fire_int(scratch.sums, width, tile, output, x, fire)
