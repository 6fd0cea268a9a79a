"""Convolutions of spikes: each output position adds up the weights of the events in its window."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.llvm import PART
from sdt_lava.kernels.vectors import (
    EVENTS_PER_SUM,
    LANES,
    add_rows_32,
    add_rows_64,
    append_events,
)
from sdt_lava.support.allocation import placed_fields

_INT8 = np.iinfo(np.int8)
_LARGEST_SHIFT = 31


class SpikeWindows(NamedTuple):
    """What :func:`sum_windows` needs of a convolution.

    Parameters
    ----------
    weights : ndarray of int8
        ``(blocks, kernel rows * kernel columns * channels + 1, outputs of a block)``, of a
        correlation; outputs that do not exist have weights of 0, and so does the last row.
    window : ndarray of int64
        ``(3, 2)``: kernel, stride and padding, each along rows and columns.
    shift : int
        Sums are multiplied by ``2 ** shift``.
    starts : ndarray of int64
        Space for ``(input rows + 1,)`` numbers.
    events : ndarray of int32
        Space for all events that one column of outputs depends on, and some more.
    spare : ndarray of int32
        Space for the sums of one position; 0.
    """

    weights: NDArray[np.int8]
    window: NDArray[np.int64]
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
    """Make the table of a convolution, or return None if there is none of it.

    Parameters
    ----------
    weight : ndarray
        ``(outputs, rows, columns, channels of a group)``, of a correlation.
    shape : tuple of int
        ``(rows, columns, channels)`` of the input.
    window : triple of pair of int
        Stride, padding and dilation, each along rows and columns.
    groups : int
        Channel groups.
    """
    outputs, height, width, channels = weight.shape
    stride, padding, dilation = window
    weight = weight.astype(np.int64)
    # Zeros at the end that all weights have in common.
    common = int(np.bitwise_or.reduce(weight, axis=None))
    shift = min((common & -common).bit_length() - 1, _LARGEST_SHIFT) if common else 0
    weight >>= shift
    fits = weight.min() >= _INT8.min and weight.max() <= _INT8.max
    if groups != 1 or dilation != (1, 1) or not fits:
        return None
    lanes = LANES if outputs <= LANES else 2 * LANES
    blocks = -(-outputs // lanes)
    filled = np.zeros((blocks * lanes, height * width * channels + 1), np.int8)
    filled[:outputs, :-1] = weight.reshape(outputs, -1)
    return placed_fields(
        SpikeWindows(
            np.ascontiguousarray(filled.reshape(blocks, lanes, -1).transpose(0, 2, 1)),
            np.array([(height, width), stride, padding]),
            shift,
            np.zeros(shape[0] + 1, np.int64),
            np.zeros(shape[0] * width * channels + PART, np.int32),
            np.zeros(blocks * lanes, np.int32),
        )
    )


@jit
def _find_events(values: Any, reach: int, first: int, starts: Any, events: Any) -> None:
    """List the events in some columns of an image, row by row.

    Parameters
    ----------
    values : ndarray of int32
        ``(rows, columns, channels)``.
    reach : int
        Number of columns; those outside of the image are empty.
    first : int
        The first one.
    starts : ndarray of int64
        Output: those of row r are ``events[starts[r]:starts[r + 1]]``.
    events : ndarray of int32
        Output: number of each event in ``(rows, reach, channels)``.
    """
    rows, columns, channels = values.shape
    read, write = values.ctypes.data, events.ctypes.data
    begin, end = max(first, 0), min(first + reach, columns)
    found = 0
    for row in range(rows):
        starts[row] = found
        at, stop = (row * columns + begin) * channels, (row * columns + end) * channels
        offset = (row * reach + begin - first) * channels - at
        while at < stop:
            found = append_events(read, at, min(stop - at, PART), offset + at, write, found)
            at += PART
    starts[rows] = found


@jit
def _add_rows(weights: int, layout: Any, events: int, part: Any, sums: int, at: int) -> None:
    """Add the weight rows of the events from ``part[0]`` to ``part[1]`` to ``sums[at:]``.

    Arrays are addresses: counting references to them would take as long as the work.
    """
    blocks, rows, lanes, row0, shift = layout
    first, last = part
    nothing = rows - 1 - row0
    while first < last:
        end = min(first + EVENTS_PER_SUM, last)
        if lanes == LANES:  # one block
            add_rows_32(weights, row0, events, first, end, nothing, sums, at, shift)
        else:
            for block in range(blocks):
                row, goal = row0 + block * rows, at + block * lanes
                add_rows_64(weights, row, events, first, end, nothing, sums, goal, shift)
        first = end


@jit
def sum_windows(
    values: Any, weights: Any, window: Any, shift: int, starts: Any, events: Any, spare: Any,
    sums: Any,
) -> None:  # fmt: skip
    """Add a convolution of spikes.

    Parameters
    ----------
    values : ndarray of int32
        ``(rows, columns, channels)``; 0 is no event, anything else one.
    weights, window, shift, starts, events, spare
        A :class:`SpikeWindows`.
    sums : ndarray of int32
        ``(rows, columns, outputs)``; added to.
    """
    rows, columns, channels = values.shape
    (height, width), strides, padding = window[0], window[1], window[2]
    outputs, at_most = sums.shape[2], sums.size - spare.size
    weight, event = weights.ctypes.data, events.ctypes.data
    total, extra = sums.ctypes.data, spare.ctypes.data
    for column in range(sums.shape[1]):
        _find_events(values, width, column * strides[1] - padding[1], starts, events)
        for row in range(sums.shape[0]):
            top = row * strides[0] - padding[0]
            # With padding, all of a window may be outside.
            begin, end = min(max(top, 0), rows), min(max(top + height, 0), rows)
            part = starts[begin], starts[end]
            layout = (*weights.shape, -top * width * channels, shift)
            at = (row * sums.shape[1] + column) * outputs
            if at <= at_most:
                # Weights of 0 are added to the sums that follow.
                _add_rows(weight, layout, event, part, total, at)
                continue
            _add_rows(weight, layout, event, part, extra, 0)
            for output in range(outputs):
                sums[row, column, output] += spare[output]
                spare[output] = 0
