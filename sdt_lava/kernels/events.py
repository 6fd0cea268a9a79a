"""Event-driven synaptic sums: time goes with the number of spikes, not with the number of inputs.

For every output position the spikes that reach it are listed, as numbers of weight rows; then the
rows are added up in registers, one tile of output channels after the other. Position after
position of several image rows is done with one tile, so that its weights stay in the cache.
"""

from __future__ import annotations

from typing import Any

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.lists import append_indices, copy_shifted
from sdt_lava.kernels.neurons import fire_int
from sdt_lava.kernels.rows import EVENTS_PER_SUM, sum_rows_64, sum_rows_128
from sdt_lava.kernels.windows import find_rows
from sdt_lava.kernels.words import LANES, read, write, write_short


@jit
def _list_position(words: int, at: int, count: int, base: int, events: int, end: int) -> int:
    """Append ``base`` plus the numbers of the channels that spike there; return the new end."""
    for word in range(count):
        spikes = read(words, at + word)
        if spikes:
            end += append_indices(spikes, base + word * LANES, events, end)
    return end


@jit
def _list_row(
    words: int, source: Any, channels: int, row: int, slot: int, lists: int, starts: int
) -> None:
    """List the spikes of one input row, column after column, for each step.

    Columns count into the numbers, ``column * channels + channel``, so that a window's columns are
    one piece of the list, with one distance from these numbers to those of the weight rows.
    """
    steps, _, columns, stride, first, count, room = source
    for step in range(steps):
        line = slot * steps + step
        end = line * room
        write(starts, line * (columns + 1), end)
        for column in range(columns):
            at = ((row * steps + step) * columns + column) * stride + first
            end = _list_position(words, at, count, column * channels, lists, end)
            write(starts, line * (columns + 1) + column + 1, end)


@jit
def _gather(
    source: Any, window: Any, reached: Any, step: int, x: int, lists: int, starts: int,
    events: int, end: int,
) -> int:  # fmt: skip
    """Append the weight rows of all spikes inside the window of one output position."""
    columns = source[2]
    _, kernel_w, _, stride_w, _, pad_w, _, dilation_w, channels = window
    found, number = reached
    left = x * stride_w - pad_w
    # Neighbouring columns are one piece, columns apart are as many.
    pieces, length = (1, kernel_w) if dilation_w == 1 else (kernel_w, 1)
    for row in range(number):
        kernel_row = read(found, 2 * row)
        line = (read(found, 2 * row + 1) + step) * (columns + 1)
        for piece in range(pieces):
            column = left + piece * dilation_w
            first, last = max(column, 0), min(column + length, columns)
            if first < last:
                begin = read(starts, line + first)
                count = read(starts, line + last) - begin
                shift = (kernel_row + piece - column) * channels
                copy_shifted(lists, begin, count, shift, events, end)
                end += count
    return end


@jit
def _close_list(events: int, starts: int, position: int, end: int, zero_row: int) -> int:
    """End the list of a position; return where the next one begins.

    Rows are added in pairs. A row of zeros makes the number even: no branch depends on it.
    """
    write_short(events, end, zero_row)
    end += end & 1
    write(starts, position + 1, end)
    return end


@jit
def _sum_tile(
    weights: int, tile: int, row_size: int, width: int, events: int, starts: int, positions: int,
    sums: int,
) -> None:  # fmt: skip
    """Sum the weight rows of every position for one tile of output channels."""
    origin = tile * row_size * width
    for position in range(positions):
        begin, end = read(starts, position), read(starts, position + 1)
        at = position * width
        again = False
        while True:
            count = min(end - begin, EVENTS_PER_SUM)
            if width == LANES:
                sum_rows_64(weights, origin, events, begin, count, sums, at, again)
            else:
                sum_rows_128(weights, origin, events, begin, count, sums, at, again)
            begin += count
            again = True
            if begin >= end:
                break


@jit
def _list_inputs(
    words: int, source: Any, window: Any, image: int, y: int, fresh: int, lists: int, starts: int
) -> int:
    """List the input rows that an output row needs and that are not listed yet."""
    height = source[1]
    kernel_h, _, stride_h, _, pad_h, _, dilation_h, _, channels = window
    slots = (kernel_h - 1) * dilation_h + 1
    first = max(fresh, y * stride_h - pad_h, 0)
    end = min(y * stride_h - pad_h + slots, height)
    for row in range(first, end):
        _list_row(words, source, channels, image * height + row, row % slots, lists, starts)
    return max(first, end)


@jit
def _list_pointwise(
    words: int, source: Any, row: int, position: int, events: int, starts: int, zero_row: int
) -> int:  # fmt: skip
    """List the spikes of one row where every position is its own window; return the next one."""
    steps, _, columns, stride, first, count, _ = source
    end = read(starts, position)
    for number in range(steps * columns):
        at = (row * steps * columns + number) * stride + first
        end = _list_position(words, at, count, 0, events, end)
        end = _close_list(events, starts, position, end, zero_row)
        position += 1
    return position


@jit
def _list_window(
    words: int, source: Any, window: Any, sizes: Any, image: int, y: int, fresh: int,
    position: int, lists: int, list_starts: int, found: int, events: int, starts: int,
    zero_row: int,
) -> int:  # fmt: skip
    """List the spikes in the windows of one output row; return the input row to go on with."""
    steps, columns = sizes[0], sizes[1]
    fresh = _list_inputs(words, source, window, image, y, fresh, lists, list_starts)
    reached = found, find_rows(window, source[1], y, window[1], steps, found)
    end = read(starts, position)
    for step in range(steps):
        for x in range(columns):
            end = _gather(source, window, reached, step, x, lists, list_starts, events, end)
            end = _close_list(events, starts, position, end, zero_row)
            position += 1
    return fresh


@jit
def event_rows(
    words: int, source: Any, window: Any, weights: int, tiles: Any, rows: Any, neuron: int,
    targets: Any, sizes: Any, options: Any, scratch: Any,
) -> None:  # fmt: skip
    """Compute some output rows of a layer from the spikes that reach them.

    Parameters
    ----------
    words : address of uint64
        Input spikes ``(images * H, T, W, words)``.
    source : tuple of int
        T, H and W of the input, words at a position in the array, the first and the number of
        those that are read, and the room for the list of a row.
    window : tuple of int
        Kernel, stride, padding and dilation, each for rows and columns; input channels.
    weights : address of int8
        ``(tiles, kernel rows * kernel columns * channels + 1, width)``, see `sum_rows_64`; the
        last row is 0.
    tiles : tuple of int
        Number of tiles, weight rows of each, output channels of each, output rows of an image,
        and image rows that are computed with one tile before the next.
    rows : tuple of int
        First output row and the one after the last, counted through the images.
    neuron, targets, sizes, options
        As for :func:`~sdt_lava.kernels.neurons.fire`.
    scratch : tuple of addresses
        Lists of input rows (uint16), where their columns start (int64), the rows that a window
        reaches (int64), lists of output positions (uint16), their starts (int64), sums (int32), and
        the neurons' extremes (int32).
    """
    lists, list_starts, found, events, starts, sums, extremes = scratch
    number, row_size, width, out_height, together = tiles
    steps, columns, chunks, _ = sizes
    is_pointwise = window[:8] == (1, 1, 1, 1, 0, 0, 1, 1)
    fresh, image_before = 0, -1
    row = rows[0]
    while row < rows[1]:
        last = min(row + together, rows[1])
        position = 0
        write(starts, 0, 0)
        for output in range(row, last):
            if is_pointwise:
                position = _list_pointwise(
                    words, source, output, position, events, starts, row_size - 1
                )
                continue
            image, y = output // out_height, output % out_height
            if image != image_before:
                fresh, image_before = 0, image
            fresh = _list_window(
                words, source, window, sizes, image, y, fresh, position, lists, list_starts,
                found, events, starts, row_size - 1,
            )  # fmt: skip
            position += steps * columns
        for tile in range(number):
            _sum_tile(weights, tile, row_size, width, events, starts, position, sums)
            for part in range(width // LANES):
                chunk = tile * (width // LANES) + part
                if chunk >= chunks:
                    break
                for output in range(row, last):
                    for x in range(columns):
                        at = ((output - row) * steps * columns + x) * width + part * LANES
                        fire_int(
                            sums, at, columns * width, chunk, output, x, neuron, targets,
                            sizes, options, extremes,
                        )  # fmt: skip
        row = last
