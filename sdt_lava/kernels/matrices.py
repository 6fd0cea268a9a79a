"""Propagate events through matrices: each event adds its weights to the sums of its targets.

The time is proportional to the number of events, apart from a test of each input. Sums wrap as in
Lava; they are int64 if Lava's are, otherwise int32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix

from sdt_lava.kernels.jit import jit
from sdt_lava.support.allocation import placed, placed_fields

_INT16 = np.iinfo(np.int16)
# Minimum mean length at which adding runs is faster than adding single entries.
_SHORTEST_RUN = 4
# Number of positions that a 15 x 15 kernel reaches.
_MOST_TAPS = 15 * 15


# A connection of `propagate_network`: first column among those of all connections, first index and
# size of its source among all signals, delay, and whether weights are multiplied by payloads.
LINK = np.dtype(
    [
        ("columns", np.int64),
        ("source", np.int64),
        ("size", np.int64),
        ("delay", np.int64),
        ("graded", np.bool_),
    ],
    align=True,
)


class ColumnTable(NamedTuple):
    """Sparse matrix by columns; column j has the entries ``start[j]`` to ``start[j + 1]``."""

    start: NDArray[np.int64]
    rows: NDArray[np.uint32]
    weights: NDArray[np.int32]


class RunTable(NamedTuple):
    """Sparse matrix by columns and runs of consecutive rows.

    Column j has the runs ``start[j]`` to ``start[j + 1]``, run r begins at row ``first[r]`` and has
    the weights ``offset[r]`` to ``offset[r + 1]``, of int16 or int32.
    """

    start: NDArray[np.int64]
    first: NDArray[np.uint64]
    offset: NDArray[np.uint64]
    weights: NDArray[Any]

    @property
    def pays_off(self) -> bool:
        """Return whether runs are long enough to be faster than single entries."""
        return len(self.weights) > 0 and len(self.weights) >= _SHORTEST_RUN * len(self.first)


def shifted_up(weights: Any, exponent: int) -> Any:
    """Multiply weights by ``2 ** exponent`` if it is positive; a negative one applies to sums."""
    return np.left_shift(weights, exponent) if exponent > 0 else weights


def column_table(weights: csr_matrix, exponent: int = 0) -> ColumnTable:
    """Sort a sparse matrix by columns.

    Parameters
    ----------
    weights : csr_matrix
        Matrix ``(outputs, inputs)``.
    exponent : int
        Weight exponent; only a positive one changes the table.
    """
    columns = weights.tocsc()
    columns.sort_indices()
    return placed_fields(
        ColumnTable(
            columns.indptr.astype(np.int64),
            columns.indices.astype(np.uint32),
            shifted_up(columns.data.astype(np.int32), exponent),
        )
    )


def run_table(table: ColumnTable) -> RunTable:
    """Find runs of consecutive rows."""
    rows = table.rows.astype(np.int64)
    begins = np.ones(rows.size + 1, bool)
    begins[1:-1] = np.diff(rows) != 1
    begins[table.start] = True
    offset = np.flatnonzero(begins)
    start = np.cumsum(begins) - 1
    return placed_fields(
        RunTable(
            start[table.start],
            rows[offset[:-1]].astype(np.uint64),
            offset.astype(np.uint64),
            in_few_bytes(table.weights),
        )
    )


def channels_last(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the index of each value of a flat ``(C, ...)`` signal in the order ``(..., C)``."""
    channels = shape[0]
    index = np.arange(int(np.prod(shape)))
    positions = index.size // channels
    return index % positions * channels + index // positions


def permuted(table: ColumnTable, rows: NDArray[np.int64]) -> ColumnTable:
    """Permute the rows of a sparse matrix: row r becomes ``rows[r]``."""
    # Sorting works in place, so copies are necessary.
    parts = (table.weights.copy(), rows[table.rows], table.start.copy())
    moved = csc_matrix(parts, (rows.size, table.start.size - 1))
    moved.sort_indices()
    return table._replace(rows=moved.indices.astype(np.uint32), weights=moved.data)


def channel_stride(table: ColumnTable, outputs: int) -> int:
    """Estimate the distance of channels in the output, i.e. the number of image positions.

    A convolution has the same positions in every channel. Row numbers in its longest column
    therefore repeat with the period of an image.

    Returns
    -------
    int
        Number of positions, a divisor of `outputs`; 1 without repetition.
    """
    lengths = np.diff(table.start)
    if not table.rows.size:
        return 1
    longest = int(np.argmax(lengths))
    rows = table.rows[table.start[longest] : table.start[longest + 1]].astype(np.int64)
    for period in range(1, min(rows.size, _MOST_TAPS)):
        steps = rows[period:] - rows[:-period]
        if (steps == steps[0]).all():
            return int(steps[0]) if outputs % steps[0] == 0 else 1
    return 1


def row_table(weights: NDArray[Any], exponent: int = 0) -> NDArray[Any]:
    """Transpose a dense matrix to ``(inputs, outputs)``, in int16 or int32."""
    columns = np.ascontiguousarray(shifted_up(weights.astype(np.int32), exponent).T)
    return placed(in_few_bytes(columns))


def in_few_bytes(weights: NDArray[Any]) -> NDArray[Any]:
    """Convert weights to int16 if they fit, which saves memory bandwidth."""
    fit = not weights.size or (weights.min() >= _INT16.min and weights.max() <= _INT16.max)
    return weights.astype(np.int16) if fit else weights


@jit
def propagate_sparse(values: Any, graded: bool, table: ColumnTable, sums: Any) -> None:
    """Add the columns of a sparse matrix for all events.

    Parameters
    ----------
    values : ndarray of int32
        Values of the inputs, ``(inputs,)``; 0 is no event.
    graded : bool
        Whether to multiply weights by payloads; otherwise, each event counts once.
    table : ColumnTable
        The matrix.
    sums : ndarray of int32 or int64
        Sums ``(outputs,)``; updated.
    """
    for column in range(values.size):
        if values[column] == 0:
            continue
        payload = values[column] if graded else np.int32(1)
        for k in range(table.start[column], table.start[column + 1]):
            sums[table.rows[k]] += np.int32(table.weights[k] * payload)


@jit
def propagate_runs(values: Any, graded: bool, table: RunTable, sums: Any) -> None:
    """Add the columns of a sparse matrix in runs of consecutive entries.

    Parameters
    ----------
    values, graded, sums
        As for :func:`propagate_sparse`.
    table : RunTable
        The matrix.
    """
    for column in range(values.size):
        if values[column] == 0:
            continue
        payload = values[column]
        for run in range(table.start[column], table.start[column + 1]):
            begin, row = table.offset[run], table.first[run]
            length = table.offset[run + 1] - begin
            if graded:
                for k in range(length):
                    sums[row + k] += np.int32(table.weights[begin + k] * payload)
            else:
                for k in range(length):
                    sums[row + k] += table.weights[begin + k]


@jit
def propagate_network(values: Any, links: Any, table: RunTable, arriving: Any, step: int) -> None:
    """Propagate events through many connections, with delays, as :func:`propagate_runs` does.

    Parameters
    ----------
    values : ndarray of int32
        Values of all signals in this step.
    links : ndarray of LINK
        Connections of the network.
    table : RunTable
        Concatenated matrices of the connections, with rows numbered over all sums.
    arriving : ndarray of int32
        Sums of future steps, ``(steps, sums)``; row ``s % steps`` belongs to step s.
    step : int
        Step in which events without delay arrive.
    """
    for link in links:
        start = table.start[link.columns : link.columns + link.size + 1]
        propagate_runs(
            values[link.source : link.source + link.size],
            link.graded,
            RunTable(start, table.first, table.offset, table.weights),
            arriving[(step + link.delay) % arriving.shape[0]],
        )


@jit
def propagate_dense(values: Any, graded: bool, weights: Any, sums: Any) -> None:
    """Add the rows of a transposed dense matrix for all events.

    Parameters
    ----------
    values, graded, sums
        As for :func:`propagate_sparse`.
    weights : ndarray of int16 or int32
        Weights ``(inputs, outputs)`` in C order.
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
