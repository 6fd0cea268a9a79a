"""Connections: each event adds its weights to the sums of its targets.

Time grows with the number of events, except for a glance at every input. Sums are int32 (or, where
Lava's are, int64) and wrap, as Lava's do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.kernels.jit import jit


@jit
def propagate_sparse(
    values: Any, graded: bool, start: Any, rows: Any, weights: Any, sums: Any
) -> None:
    """Add the columns of a sparse matrix.

    Parameters
    ----------
    values : ndarray of int32
        What each input sent, ``(inputs,)``; 0 is nothing.
    graded : bool
        Multiply weights by payloads; otherwise an event counts once.
    start, rows, weights : ndarray of int64, uint32 and int32
        The matrix by columns: column j has the entries ``start[j]`` to ``start[j + 1]``.
    sums : ndarray of int32 or int64
        ``(outputs,)``; added to.
    """
    for column in range(values.size):
        if values[column] == 0:
            continue
        payload = values[column] if graded else np.int32(1)
        for k in range(start[column], start[column + 1]):
            sums[rows[k]] += np.int32(weights[k] * payload)


@jit
def propagate_runs(
    values: Any, graded: bool, start: Any, first: Any, offset: Any, weights: Any, sums: Any
) -> None:
    """Add the columns of a sparse matrix whose entries lie side by side.

    Parameters
    ----------
    values, graded, sums
        As in :func:`propagate_sparse`.
    start : ndarray of int64
        Column j has the runs ``start[j]`` to ``start[j + 1]``.
    first : ndarray of uint64
        First row of each run.
    offset : ndarray of uint64
        Run r has the weights ``offset[r]`` to ``offset[r + 1]``.
    weights : ndarray of int32
        All weights.
    """
    for column in range(values.size):
        if values[column] == 0:
            continue
        payload = values[column]
        for run in range(start[column], start[column + 1]):
            begin, row = offset[run], first[run]
            if graded:
                for k in range(offset[run + 1] - begin):
                    sums[row + k] += np.int32(weights[begin + k] * payload)
            else:
                for k in range(offset[run + 1] - begin):
                    sums[row + k] += weights[begin + k]


@jit
def propagate_network(
    values: Any,
    links: Any,
    start: Any,
    first: Any,
    offset: Any,
    weights: Any,
    arriving: Any,
    step: int,
) -> None:
    """Do what :func:`propagate_runs` does for many connections, which may have delays.

    Parameters
    ----------
    values : ndarray of int32
        All signals of this step.
    links : ndarray of int64
        ``(n, 5)``: where the columns of each connection begin in `start`, first index and size of
        its source in `values`, delay, and whether payloads count.
    start, first, offset, weights
        As in :func:`propagate_runs`, with rows counted over all sums.
    arriving : ndarray of int32
        ``(steps, sums)``: the sums of step s are in row ``s % steps``.
    step : int
        The step that events without a delay reach.
    """
    for link in range(links.shape[0]):
        columns, source, size = links[link, 0], links[link, 1], links[link, 2]
        sums = arriving[(step + links[link, 3]) % arriving.shape[0]]
        graded = links[link, 4] != 0
        propagate_runs(
            values[source : source + size],
            graded,
            start[columns : columns + size + 1],
            first,
            offset,
            weights,
            sums,
        )


@jit
def propagate_dense(values: Any, graded: bool, weights: Any, sums: Any) -> None:
    """Add the rows of a transposed dense matrix.

    Parameters
    ----------
    values, graded, sums
        As in :func:`propagate_sparse`.
    weights : ndarray of int16 or int32
        ``(inputs, outputs)``, in C order.
    """
    for index in range(values.size):
        if values[index] == 0:
            continue
        payload = values[index]
        row = weights[index]
        if graded:
            for k in range(row.size):
                sums[k] += np.int32(row[k] * payload)
        else:
            for k in range(row.size):
                sums[k] += row[k]


@jit
def propagate_convolution(
    values: Any, graded: bool, kernel: Any, row_taps: Any, column_runs: Any, sums: Any
) -> None:
    """Add kernels at the positions that each event reaches.

    Parameters
    ----------
    values : ndarray of int32
        What each input sent, ``(rows, columns, channels)``; 0 is nothing.
    graded : bool
        Multiply weights by payloads; otherwise an event counts once.
    kernel, row_taps, column_runs
        Of a :class:`~sdt_lava.kernels.tables.WindowTable`.
    sums : ndarray of int32
        ``(rows, columns, outputs)``; added to.
    """
    channels, width, out_group = kernel.shape[1:]
    in_group = channels * out_group // sums.shape[2]
    flat_sums, flat_kernel = sums.reshape(-1), kernel.reshape(-1)
    events = np.empty(channels, np.int64)
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            count = 0
            for channel in range(channels):
                events[count] = channel
                count += values[row, column, channel] != 0
            for a in range(row_taps.shape[1] if count else 0):
                kernel_row, out_row = row_taps[row, a, 0], row_taps[row, a, 1]
                if kernel_row < 0:
                    break
                for b in range(column_runs.shape[1]):
                    place, out_column = column_runs[column, b, 0], column_runs[column, b, 1]
                    if place < 0:
                        break
                    # Unsigned: an index that might count from the end costs a test.
                    length = np.uint64(column_runs[column, b, 2] * out_group)
                    first = (out_row * sums.shape[1] + out_column) * sums.shape[2]
                    for e in range(count):
                        channel = events[e]
                        start = (kernel_row * channels + channel) * width + place
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


@jit
def shift_sums(sums: Any, exponent: int, activation: Any) -> None:
    """Add sums times ``2 ** exponent``, rounded down, and clear them.

    Parameters
    ----------
    sums : ndarray of int32 or int64
        ``(n,)``; 0 afterwards.
    exponent : int
        -31 to 31.
    activation : ndarray of int32
        ``(n,)``; added to.
    """
    for i in range(sums.size):
        total = np.int64(sums[i])
        total = total << exponent if exponent >= 0 else total >> -exponent
        activation[i] = np.int32(activation[i] + np.int32(total))
        sums[i] = 0


@jit
def wrap_sums(sums: Any, activation: Any) -> None:
    """Add a convolution's sums, wrapped to 24 bit, and clear them.

    Parameters
    ----------
    sums, activation : ndarray of int32
        ``(n,)``; `sums` is 0 afterwards, `activation` is added to.
    """
    for i in range(sums.size):
        # Bits above the 24th are shifted out, and the sign is that of the 24th.
        wrapped = np.int32(np.int32(np.int64(sums[i]) << 8) >> 8)
        activation[i] = np.int32(activation[i] + wrapped)
        sums[i] = 0


@jit
def transpose_sums(sums: Any, activation: Any) -> None:
    """Add sums to an array of the transposed shape, and clear them.

    Parameters
    ----------
    sums : ndarray of int32
        ``(positions, channels)``; 0 afterwards.
    activation : ndarray of int32
        ``(channels, positions)``; added to.
    """
    for channel in range(sums.shape[1]):
        for position in range(sums.shape[0]):
            total = activation[channel, position] + sums[position, channel]
            activation[channel, position] = np.int32(total)
            sums[position, channel] = 0
