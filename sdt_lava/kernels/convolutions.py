"""Compute convolutions with loops, either over events or directly from the definition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sdt_lava.kernels.jit import jit
from sdt_lava.support.allocation import placed_fields


def taps(
    size: int, output: int, kernel: int, stride: int, padding: int, dilation: int
) -> list[list[tuple[int, int]]]:
    """List the kernel and output positions that each input position reaches along one axis.

    Parameters
    ----------
    size, output, kernel : int
        Positions of the input, the output and the kernel.
    stride, padding, dilation : int
        Geometry of the convolution.

    Returns
    -------
    list of list of tuple of int
        Pairs of kernel and output position for each input position, sorted by output.
    """
    pairs_by_position = []
    for position in range(size):
        candidates = [divmod(position + padding - tap * dilation, stride) for tap in range(kernel)]
        pairs_by_position.append(
            [
                (tap, at)
                for tap, (at, rest) in enumerate(candidates)
                if not rest and 0 <= at < output
            ]
        )
        pairs_by_position[-1].reverse()
    return pairs_by_position


TAP = np.dtype([("kernel", np.int64), ("output", np.int64)])
RUN = np.dtype([("place", np.int64), ("output", np.int64), ("length", np.int64)])


class WindowTable(NamedTuple):
    """Kernels of a convolution and the outputs that they reach.

    Parameters
    ----------
    kernel : ndarray of int32
        Correlation weights ``(kernel rows, channels, kernel columns, outputs of a group)``. Columns
        are sorted so that those for adjacent outputs of an input are adjacent.
    rows : ndarray of TAP
        Kernel and output rows ``(input rows, n)``; the list ends at the first -1.
    columns : ndarray of RUN
        Positions in `kernel`, first output columns and numbers of columns ``(input columns, n)``;
        the list ends at the first -1.
    """

    kernel: NDArray[np.int32]
    rows: NDArray[Any]
    columns: NDArray[Any]


def window_table(
    weight: NDArray[Any],
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    window: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    groups: int,
) -> WindowTable:
    """Build the table of a convolution.

    Parameters
    ----------
    weight : ndarray
        Correlation weights ``(outputs, rows, columns, channels of a group)``.
    shapes : pair of tuple of int
        Shapes ``(rows, columns, channels)`` of input and output.
    window : triple of pair of int
        Stride, padding and dilation along rows and columns.
    groups : int
        Number of channel groups.
    """
    outputs, height, width, in_group = weight.shape
    by_axis = [
        taps(shapes[0][axis], shapes[1][axis], (height, width)[axis], *(w[axis] for w in window))
        for axis in (0, 1)
    ]
    stride = window[0][1]
    # Adjacent outputs use every stride-th column, from the last to the first.
    order = sorted(range(width), key=lambda column: (column % stride, -column))
    place = {column: index for index, column in enumerate(order)}
    # With groups, the outputs of an input are not adjacent.
    runs = [_runs([(place[tap], at) for tap, at in pairs], groups == 1) for pairs in by_axis[1]]
    by_group = weight[:, :, order].reshape(groups, outputs // groups, height, width, in_group)
    kernel = by_group.transpose(2, 0, 4, 3, 1).reshape(height, groups * in_group, width, -1)
    kernel = np.ascontiguousarray(kernel, dtype=np.int32)
    return placed_fields(WindowTable(kernel, _filled(by_axis[0], TAP), _filled(runs, RUN)))


def _runs(pairs: list[tuple[int, int]], joined: bool) -> list[tuple[int, int, int]]:
    """Join consecutive pairs to ``(first, first, length)``."""
    runs: list[tuple[int, int, int]] = []
    for tap, at in pairs:
        if joined and runs and (tap, at) == (runs[-1][0] + runs[-1][2], runs[-1][1] + runs[-1][2]):
            runs[-1] = (*runs[-1][:2], runs[-1][2] + 1)
        else:
            runs.append((tap, at, 1))
    return runs


def _filled(lists: Sequence[Sequence[tuple[int, ...]]], kind: Any) -> NDArray[Any]:
    """Convert lists of tuples to one array of records, with -1 after the end of each list."""
    table = np.full((len(lists), max(map(len, lists), default=0) + 1), -1, kind)
    for row, entries in zip(table, lists, strict=True):
        row[: len(entries)] = entries
    return table


@jit
def propagate_convolution(values: Any, graded: bool, table: WindowTable, sums: Any) -> None:
    """Add the kernels of all events to the sums at the positions that they reach.

    Parameters
    ----------
    values : ndarray of int32
        Values sent by the inputs, ``(rows, columns, channels)``; 0 is no event.
    graded : bool
        Whether to multiply weights by payloads; otherwise, each event counts once.
    table : WindowTable
        Kernels of the convolution.
    sums : ndarray of int32
        Sums ``(rows, columns, outputs)``; updated.
    """
    _, channels, width, out_group = table.kernel.shape
    in_group = channels * out_group // sums.shape[2]
    flat_sums, flat_kernel = sums.reshape(-1), table.kernel.reshape(-1)
    events = np.empty(channels, np.int64)
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            count = 0
            for channel in range(channels):
                events[count] = channel
                count += values[row, column, channel] != 0
            for a in range(table.rows.shape[1] if count else 0):
                tap = table.rows[row, a]
                if tap.kernel < 0:
                    break
                for b in range(table.columns.shape[1]):
                    run = table.columns[column, b]
                    if run.place < 0:
                        break
                    # With unsigned indices, numba need not test for negative ones.
                    length = np.uint64(run.length * out_group)
                    first = (tap.output * sums.shape[1] + run.output) * sums.shape[2]
                    for e in range(count):
                        channel = events[e]
                        start = (tap.kernel * channels + channel) * width + run.place
                        source, target = np.uint64(start * out_group), np.uint64(first)
                        if in_group < channels:
                            target += np.uint64(channel // in_group * out_group)
                        if graded:
                            payload = values[row, column, channel]
                            for k in range(length):
                                product = np.int32(flat_kernel[source + k] * payload)
                                flat_sums[target + k] += product
                        else:
                            for k in range(length):
                                flat_sums[target + k] += flat_kernel[source + k]


class Strides(NamedTuple):
    """Stride and dilation for rows and columns, and number of channel groups."""

    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    groups: int


@jit
def add_up(events: Any, weights: Any, geometry: Strides, sums: Any) -> None:
    """Add the weights of all events to sums, which must be 0 before.

    Parameters
    ----------
    events : ndarray
        Input ``(N, H, W, C)`` including the border, of the type of the sums.
    weights : ndarray
        Weights ``(kH, kW, C / groups, O)`` of the same type.
    geometry : Strides
        Geometry.
    sums : ndarray
        Sums ``(N, H', W', O)``.
    """
    groups = geometry.groups
    images, rows, columns, outputs = sums.shape
    kernel_h, kernel_w, per_group, _ = weights.shape
    share = outputs // groups
    for image in range(images):
        for row in range(rows):
            for column in range(columns):
                output_sums = sums[image, row, column]
                for i in range(kernel_h):
                    for j in range(kernel_w):
                        inputs = events[
                            image,
                            row * geometry.stride_h + i * geometry.dilation_h,
                            column * geometry.stride_w + j * geometry.dilation_w,
                        ]
                        for channel in range(groups * per_group):
                            event = inputs[channel]
                            if event != 0:
                                first = channel // per_group * share
                                line = weights[i, j, channel % per_group]
                                for output in range(first, first + share):
                                    output_sums[output] += event * line[output]
