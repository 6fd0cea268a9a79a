"""Weights in the form in which the kernels read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix

from sdt_lava.support.allocation import placed, placed_fields

_INT16 = np.iinfo(np.int16)
# Mean length from which adding runs is faster than adding single entries.
_SHORTEST_RUN = 4
# Positions that a kernel of 15 x 15 reaches.
_MOST_TAPS = 15 * 15


class ColumnTable(NamedTuple):
    """A sparse matrix by columns: column j has the entries ``start[j]`` to ``start[j + 1]``."""

    start: NDArray[np.int64]
    rows: NDArray[np.uint32]
    weights: NDArray[np.int32]


class RunTable(NamedTuple):
    """A sparse matrix by columns and runs of consecutive rows.

    Column j has the runs ``start[j]`` to ``start[j + 1]``, run r begins at row ``first[r]`` and has
    the weights ``offset[r]`` to ``offset[r + 1]``, of int16 or int32.
    """

    start: NDArray[np.int64]
    first: NDArray[np.uint64]
    offset: NDArray[np.uint64]
    weights: NDArray[Any]

    @property
    def pays_off(self) -> bool:
        """Whether runs are long enough to be faster than single entries."""
        return len(self.weights) > 0 and len(self.weights) >= _SHORTEST_RUN * len(self.first)


def shifted_up(weights: Any, exponent: int) -> Any:
    """Multiply weights by ``2 ** exponent`` if it is positive; a negative one acts on sums."""
    return np.left_shift(weights, exponent) if exponent > 0 else weights


def column_table(weights: csr_matrix, exponent: int = 0) -> ColumnTable:
    """Sort a sparse matrix by columns.

    Parameters
    ----------
    weights : csr_matrix
        ``(outputs, inputs)``.
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
    """Return where each value of a flat ``(C, ...)`` signal goes in the order ``(..., C)``."""
    channels = shape[0]
    index = np.arange(int(np.prod(shape)))
    positions = index.size // channels
    return index % positions * channels + index // positions


def permuted(table: ColumnTable, rows: NDArray[np.int64]) -> ColumnTable:
    """Move the rows of a sparse matrix: row r goes to ``rows[r]``."""
    # Copies, as sorting works in place.
    parts = (table.weights.copy(), rows[table.rows], table.start.copy())
    moved = csc_matrix(parts, (rows.size, table.start.size - 1))
    moved.sort_indices()
    return table._replace(rows=moved.indices.astype(np.uint32), weights=moved.data)


def channel_stride(table: ColumnTable, outputs: int) -> int:
    """Guess how far apart in the output channels are: the positions of an image.

    A convolution has the same positions in every channel. So in its longest column the row
    numbers repeat themselves, one image further.

    Returns
    -------
    int
        Number of positions, a divisor of `outputs`; 1 where nothing repeats.
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
    """Return weights as int16 if they fit: less memory to read."""
    fit = not weights.size or (weights.min() >= _INT16.min and weights.max() <= _INT16.max)
    return weights.astype(np.int16) if fit else weights


def taps(
    size: int, output: int, kernel: int, stride: int, padding: int, dilation: int
) -> list[list[tuple[int, int]]]:
    """List the kernel and output positions that each input position reaches, along one axis.

    Parameters
    ----------
    size, output, kernel : int
        Positions of the input, the output and the kernel.
    stride, padding, dilation : int
        Of the convolution.

    Returns
    -------
    list of list of tuple of int
        For each input position pairs of kernel and output position, in the order of outputs.
    """
    found = []
    for position in range(size):
        reached = [divmod(position + padding - tap * dilation, stride) for tap in range(kernel)]
        found.append(
            [(tap, at) for tap, (at, rest) in enumerate(reached) if not rest and 0 <= at < output]
        )
        found[-1].reverse()
    return found


class WindowTable(NamedTuple):
    """A convolution's kernels and where they go.

    Parameters
    ----------
    kernel : ndarray of int32
        ``(kernel rows, channels, kernel columns, outputs of a group)``, of a correlation. Columns
        are sorted such that those that one input reaches side by side lie side by side.
    rows : ndarray of int64
        ``(input rows, n, 2)``: pairs of kernel and output row, up to a first -1.
    columns : ndarray of int64
        ``(input columns, n, 3)``: place in `kernel`, first output column and number of columns,
        up to a first -1.
    """

    kernel: NDArray[np.int32]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


def window_table(
    weight: NDArray[Any],
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    window: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    groups: int,
) -> WindowTable:
    """Make the table of a convolution.

    Parameters
    ----------
    weight : ndarray
        ``(outputs, rows, columns, channels of a group)``, of a correlation.
    shapes : pair of tuple of int
        ``(rows, columns, channels)`` of input and output.
    window : triple of pair of int
        Stride, padding and dilation, each along rows and columns.
    groups : int
        Channel groups.
    """
    outputs, height, width, in_group = weight.shape
    by_axis = [
        taps(shapes[0][axis], shapes[1][axis], (height, width)[axis], *(w[axis] for w in window))
        for axis in (0, 1)
    ]
    stride = window[0][1]
    # Neighbouring outputs take every stride-th column, from the last to the first.
    order = sorted(range(width), key=lambda column: (column % stride, -column))
    place = {column: index for index, column in enumerate(order)}
    # In groups, the outputs of one input do not lie side by side.
    runs = [_runs([(place[tap], at) for tap, at in pairs], groups == 1) for pairs in by_axis[1]]
    by_group = weight[:, :, order].reshape(groups, outputs // groups, height, width, in_group)
    kernel = by_group.transpose(2, 0, 4, 3, 1).reshape(height, groups * in_group, width, -1)
    kernel = np.ascontiguousarray(kernel, dtype=np.int32)
    return placed_fields(WindowTable(kernel, _filled(by_axis[0], 2), _filled(runs, 3)))


def _runs(pairs: list[tuple[int, int]], joined: bool) -> list[tuple[int, int, int]]:
    """Join pairs that both count on to ``(first, first, length)``."""
    runs: list[tuple[int, int, int]] = []
    for tap, at in pairs:
        if joined and runs and (tap, at) == (runs[-1][0] + runs[-1][2], runs[-1][1] + runs[-1][2]):
            runs[-1] = (*runs[-1][:2], runs[-1][2] + 1)
        else:
            runs.append((tap, at, 1))
    return runs


def _filled(lists: Sequence[Sequence[tuple[int, ...]]], width: int) -> NDArray[np.int64]:
    """Put lists of tuples in one array, and -1 behind each."""
    table = np.full((len(lists), max(map(len, lists), default=0) + 1, width), -1)
    for row, entries in zip(table, lists, strict=True):
        row[: len(entries)] = np.reshape(entries, (-1, width))
    return table
