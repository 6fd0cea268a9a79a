"""Convolve spikes: each output position sums the weights of the events in its window."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.lists import append_nonzero
from sdt_lava.kernels.llvm import INT_BYTES, PART
from sdt_lava.kernels.rows import EVENTS_PER_SUM, STORED_CHANNELS, add_rows_32, add_rows_64
from sdt_lava.kernels.windows import WindowGeometry
from sdt_lava.kernels.words import HALF, LANES
from sdt_lava.support.allocation import aligned_empty, placed_fields

_INT8 = np.iinfo(np.int8)
_LARGEST_SHIFT = 31


class SpikeWindows(NamedTuple):
    """Table of a convolution for :func:`sum_windows`.

    Parameters
    ----------
    weights : ndarray of int8
        Weights of a correlation, ``(blocks, kernel rows * kernel columns * channels + 1, outputs of
        a block)``. Padding outputs and the last row have weights of 0. Blocks of 64 are stored in
        the order that `add_rows_64` expects.
    window : WindowGeometry
        Geometry, without dilation.
    shift : int
        Exponent of the factor ``2 ** shift`` of the sums.
    starts : ndarray of int64
        Buffer for ``(input rows + 1,)`` numbers.
    events : ndarray of int32
        Buffer for all events on which a column of outputs depends, with slack.
    spare : ndarray of int32
        Buffer of zeros for the sums of one position.
    """

    weights: NDArray[np.int8]
    window: WindowGeometry
    shift: int
    starts: NDArray[np.int64]
    events: NDArray[np.int32]
    spare: NDArray[np.int32]


def spike_windows(
    weight: NDArray[Any],
    shape: tuple[int, ...],
    window: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    groups: int,
) -> SpikeWindows | None:
    """Build the table of a convolution, or return None if the convolution is not supported.

    Parameters
    ----------
    weight : ndarray
        Weights of a correlation, ``(outputs, rows, columns, channels of a group)``.
    shape : tuple of int
        Shape ``(rows, columns, channels)`` of the input.
    window : triple of pair of int
        Stride, padding and dilation along rows and columns.
    groups : int
        Number of channel groups.
    """
    outputs, height, width, channels = weight.shape
    stride, padding, dilation = window
    weight = weight.astype(np.int64)
    # Trailing zero bits that all weights share.
    common = int(np.bitwise_or.reduce(weight, axis=None))
    shift = min((common & -common).bit_length() - 1, _LARGEST_SHIFT) if common else 0
    weight >>= shift
    fits = weight.min() >= _INT8.min and weight.max() <= _INT8.max
    if groups != 1 or dilation != (1, 1) or not fits:
        return None
    lanes = HALF if outputs <= HALF else LANES
    blocks = -(-outputs // lanes)
    padded = np.zeros((blocks * lanes, height * width * channels + 1), np.int8)
    padded[:outputs, :-1] = weight.reshape(outputs, -1)
    by_block = padded.reshape(blocks, lanes, -1)
    if lanes == LANES:
        by_block = by_block[:, list(STORED_CHANNELS)]
    # Aligned rows are faster because they do not cross cache lines.
    stored = aligned_empty((blocks, by_block.shape[2], lanes), np.int8)
    stored[...] = by_block.transpose(0, 2, 1)
    return placed_fields(
        SpikeWindows(
            stored,
            WindowGeometry(height, width, *stride, *padding, *dilation),
            shift,
            np.zeros(shape[0] + 1, np.int64),
            np.zeros(shape[0] * width * channels + PART, np.int32),
            np.zeros(blocks * lanes, np.int32),
        )
    )


@jit
def _find_events(values: Any, reach: int, first: int, starts: Any, events: Any) -> None:
    """List the events in some columns of an image by rows.

    Parameters
    ----------
    values : ndarray of int32
        Values ``(rows, columns, channels)``.
    reach : int
        Number of columns; those outside the image are empty.
    first : int
        First column.
    starts : ndarray of int64
        Output: the events of row r are ``events[starts[r]:starts[r + 1]]``.
    events : ndarray of int32
        Output: index of each event in ``(rows, reach, channels)``.
    """
    rows, columns, channels = values.shape
    read, write = values.ctypes.data, events.ctypes.data
    begin, end = max(first, 0), min(first + reach, columns)
    count = 0
    for row in range(rows):
        starts[row] = count
        at, stop = (row * columns + begin) * channels, (row * columns + end) * channels
        offset = (row * reach + begin - first) * channels - at
        while at < stop:
            count = append_nonzero(read, at, min(stop - at, PART), offset + at, write, count)
            at += PART
    starts[rows] = count


class _Rows(NamedTuple):
    """Addresses and sizes of the arrays that `_add_window` reads.

    Passing arrays would take as long as the work itself because of reference counting.
    """

    weights: int
    events: int
    blocks: int
    rows: int
    lanes: int
    shift: int


@jit
def _add_window(table: _Rows, row0: int, first: int, end: int, sums: int) -> None:
    """Add the weight rows of some events to the sums of one position.

    Parameters
    ----------
    table : _Rows
        Weights and events.
    row0 : int
        Number of the weight row of event 0, which may be outside the table.
    first, end : int
        First event and the one after the last.
    sums : address of int32
        Sums of the position.
    """
    lanes = table.lanes
    nothing = table.rows - 1 - row0
    weights = table.weights + row0 * lanes
    while first < end:
        count = min(end - first, EVENTS_PER_SUM)
        events = table.events + first * INT_BYTES
        if lanes == HALF:  # one block
            add_rows_32(weights, events, count, nothing, sums, table.shift)
        else:
            for block in range(table.blocks):
                part = weights + block * table.rows * lanes
                goal = sums + block * lanes * INT_BYTES
                add_rows_64(part, events, count, nothing, goal, table.shift)
        first += count


@jit
def sum_windows(values: Any, table: SpikeWindows, sums: Any) -> None:
    """Add a convolution of spikes to sums.

    Parameters
    ----------
    values : ndarray of int32
        Values ``(rows, columns, channels)``; every nonzero value is one event.
    table : SpikeWindows
        The convolution.
    sums : ndarray of int32
        Sums ``(rows, columns, outputs)``; updated.
    """
    rows, _, channels = values.shape
    window, spare = table.window, table.spare
    blocks, count, lanes = table.weights.shape
    weights, events = table.weights.ctypes.data, table.events.ctypes.data
    weight_rows = _Rows(weights, events, blocks, count, lanes, table.shift)
    total, extra = sums.ctypes.data, spare.ctypes.data
    out_rows, out_columns, outputs = sums.shape
    at_most = sums.size - spare.size
    for column in range(out_columns):
        left = column * window.stride_w - window.pad_w
        _find_events(values, window.kernel_w, left, table.starts, table.events)
        for row in range(out_rows):
            top = row * window.stride_h - window.pad_h
            # With padding, the whole window may be outside.
            begin = table.starts[min(max(top, 0), rows)]
            end = table.starts[min(max(top + window.kernel_h, 0), rows)]
            row0 = -top * window.kernel_w * channels
            at = (row * out_columns + column) * outputs
            if at <= at_most:
                # Padding weights of 0 are added to the sums that follow.
                _add_window(weight_rows, row0, begin, end, total + at * INT_BYTES)
                continue
            _add_window(weight_rows, row0, begin, end, extra)
            for output in range(outputs):
                sums[row, column, output] += spare[output]
                spare[output] = 0
