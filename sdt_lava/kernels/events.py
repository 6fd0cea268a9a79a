"""Compute event-driven synaptic sums, in time proportional to the number of spikes.

For every output position, the spikes that reach it are listed as numbers of weight rows. The rows
are then summed in registers, for one tile of output channels after another. All positions of
several image rows are computed with one tile, so that its weights stay in the cache.
"""

from __future__ import annotations

from typing import NamedTuple

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.lists import append_indices, copy_shifted
from sdt_lava.kernels.llvm import INT_BYTES, SHORT_BYTES
from sdt_lava.kernels.neurons import FireArguments, fire_int
from sdt_lava.kernels.rows import EVENTS_PER_SUM, sum_rows_64, sum_rows_128
from sdt_lava.kernels.windows import WindowGeometry, find_rows, row_slots
from sdt_lava.kernels.words import LANES, SpikeArray, read, write, write_short


class EventWeights(NamedTuple):
    """Weights of the event-driven kernel and the order of its loops.

    Parameters
    ----------
    address : address of int8
        Weights ``(tiles, kernel rows * kernel columns * channels + 1, width)``, see `sum_rows_64`;
        the last row is 0.
    tiles, rows, width : int
        Shape of that array; a tile is a group of ``width`` output channels.
    channels : int
        Input channels.
    out_height : int
        Number of output rows of an image.
    together : int
        Number of output rows computed with one tile before the next tile.
    """

    address: int
    tiles: int
    rows: int
    width: int
    channels: int
    out_height: int
    together: int


class EventScratch(NamedTuple):
    """Buffers of one worker.

    Parameters
    ----------
    lists : address of uint16
        Lists of input rows.
    list_room : int
        Maximum number of elements of the list of one row and step.
    list_starts : address of int64
        Start of each column in these lists.
    found : address of int64
        Rows that a window reaches, see `find_rows`.
    events : address of uint16
        Lists of output positions.
    starts : address of int64
        Starts of these lists.
    sums : address of int32
        Sums of one tile.
    """

    lists: int
    list_room: int
    list_starts: int
    found: int
    events: int
    starts: int
    sums: int


@jit
def _list_position(words: int, at: int, count: int, base: int, events: int, end: int) -> int:
    """Append ``base`` plus the numbers of the spiking channels, and return the new end."""
    for word in range(count):
        spikes = read(words, at + word)
        if spikes:
            end += append_indices(spikes, base + word * LANES, events, end)
    return end


@jit
def _list_row(
    source: SpikeArray, channels: int, row: int, slot: int, scratch: EventScratch
) -> None:
    """List the spikes of one input row by columns, for each step.

    The numbers are ``column * channels + channel``. The columns of a window are therefore one
    contiguous piece of the list, with a constant distance to the numbers of weight rows.
    """
    columns = source.columns
    for step in range(source.steps):
        line = slot * source.steps + step
        end = line * scratch.list_room
        write(scratch.list_starts, line * (columns + 1), end)
        for column in range(columns):
            position = (row * source.steps + step) * columns + column
            at = position * source.stride + source.first
            base = column * channels
            end = _list_position(source.address, at, source.used, base, scratch.lists, end)
            write(scratch.list_starts, line * (columns + 1) + column + 1, end)


@jit
def _gather(
    source: SpikeArray, window: WindowGeometry, channels: int, reached: int, step: int, x: int,
    scratch: EventScratch, end: int,
) -> int:  # fmt: skip
    """Append the weight rows of all spikes inside the window of one output position."""
    columns = source.columns
    left = x * window.stride_w - window.pad_w
    # Adjacent columns form one piece; dilated columns form one piece each.
    is_dense = window.dilation_w == 1
    pieces, length = (1, window.kernel_w) if is_dense else (window.kernel_w, 1)
    for row in range(reached):
        kernel_row = read(scratch.found, 2 * row)
        line = (read(scratch.found, 2 * row + 1) + step) * (columns + 1)
        for piece in range(pieces):
            column = left + piece * window.dilation_w
            first, last = max(column, 0), min(column + length, columns)
            if first < last:
                begin = read(scratch.list_starts, line + first)
                count = read(scratch.list_starts, line + last) - begin
                shift = (kernel_row + piece - column) * channels
                copy_shifted(scratch.lists, begin, count, shift, scratch.events, end)
                end += count
    return end


@jit
def _close_list(scratch: EventScratch, position: int, end: int, zero_row: int) -> int:
    """Terminate the list of a position and return the start of the next one.

    Rows are added in pairs. A row of zeros makes the number even without a branch.
    """
    write_short(scratch.events, end, zero_row)
    end += end & 1
    write(scratch.starts, position + 1, end)
    return end


@jit
def _sum_tile(weights: EventWeights, tile: int, scratch: EventScratch, positions: int) -> None:
    """Sum the weight rows of every position for one tile of output channels."""
    width = weights.width
    table = weights.address + tile * weights.rows * width
    for position in range(positions):
        begin, end = read(scratch.starts, position), read(scratch.starts, position + 1)
        sums = scratch.sums + position * width * INT_BYTES
        again = False
        while True:
            count = min(end - begin, EVENTS_PER_SUM)
            events = scratch.events + begin * SHORT_BYTES
            if width == LANES:
                sum_rows_64(table, events, count, sums, again)
            else:
                sum_rows_128(table, events, count, sums, again)
            begin += count
            again = True
            if begin >= end:
                break


@jit
def _list_inputs(
    source: SpikeArray, window: WindowGeometry, channels: int, image: int, y: int, fresh: int,
    scratch: EventScratch,
) -> int:  # fmt: skip
    """List the input rows that an output row needs and that are not yet listed."""
    slots = row_slots(window)
    top = y * window.stride_h - window.pad_h
    first, end = max(fresh, top, 0), min(top + slots, source.height)
    for row in range(first, end):
        _list_row(source, channels, image * source.height + row, row % slots, scratch)
    return max(first, end)


@jit
def _list_pointwise(
    source: SpikeArray, row: int, position: int, scratch: EventScratch, zero_row: int
) -> int:
    """List the spikes of one row of a pointwise layer and return the next position."""
    end = read(scratch.starts, position)
    for number in range(source.steps * source.columns):
        at = (row * source.steps * source.columns + number) * source.stride + source.first
        end = _list_position(source.address, at, source.used, 0, scratch.events, end)
        end = _close_list(scratch, position, end, zero_row)
        position += 1
    return position


@jit
def _list_window(
    source: SpikeArray, window: WindowGeometry, weights: EventWeights, columns: int, image: int,
    y: int, fresh: int, position: int, scratch: EventScratch,
) -> int:  # fmt: skip
    """List the spikes in the windows of one output row and return the next input row."""
    channels = weights.channels
    fresh = _list_inputs(source, window, channels, image, y, fresh, scratch)
    reached = find_rows(window, source.height, y, window.kernel_w, source.steps, scratch.found)
    end = read(scratch.starts, position)
    for step in range(source.steps):
        for x in range(columns):
            end = _gather(source, window, channels, reached, step, x, scratch, end)
            end = _close_list(scratch, position, end, weights.rows - 1)
            position += 1
    return fresh


@jit
def _fire_tile(
    weights: EventWeights, tile: int, first: int, end: int, sums: int, fire: FireArguments
) -> None:
    """Compute the neurons of one tile of output channels in some rows."""
    width, columns = weights.width, fire.columns
    for part in range(width // LANES):
        chunk = tile * (width // LANES) + part
        if chunk >= fire.chunks:
            break
        for output in range(first, end):
            for x in range(columns):
                at = ((output - first) * fire.steps * columns + x) * width + part * LANES
                fire_int(sums + at * INT_BYTES, columns * width, chunk, output, x, fire)


@jit
def event_rows(
    source: SpikeArray, window: WindowGeometry, weights: EventWeights, rows: tuple[int, int],
    fire: FireArguments, scratch: EventScratch,
) -> None:  # fmt: skip
    """Compute some output rows of a layer from the spikes in their windows.

    Parameters
    ----------
    source : SpikeArray
        Input.
    window : WindowGeometry
        Geometry of the layer.
    weights : EventWeights
        Weights of the layer.
    rows : tuple of int
        First and end output row, numbered through all images.
    fire : FireArguments
        Parameters and outputs of the neurons.
    scratch : EventScratch
        Buffers of the worker.
    """
    is_pointwise = window == (1, 1, 1, 1, 0, 0, 1, 1)
    fresh, previous_image = 0, -1
    row, end = rows
    while row < end:
        last = min(row + weights.together, end)
        position = 0
        write(scratch.starts, 0, 0)
        for output in range(row, last):
            if is_pointwise:
                position = _list_pointwise(source, output, position, scratch, weights.rows - 1)
                continue
            image, y = output // weights.out_height, output % weights.out_height
            if image != previous_image:
                fresh, previous_image = 0, image
            fresh = _list_window(
                source, window, weights, fire.columns, image, y, fresh, position, scratch
            )
            position += fire.steps * fire.columns
        for tile in range(weights.tiles):
            _sum_tile(weights, tile, scratch, position)
            _fire_tile(weights, tile, row, last, scratch.sums, fire)
        row = last
