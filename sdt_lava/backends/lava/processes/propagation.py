"""Functions that add what the events of one step cause in a connection, made from its weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from lava.proc.conv import utils
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from sdt_lava.kernels.matrices import (
    propagate_convolution,
    propagate_dense,
    propagate_runs,
    propagate_sparse,
    shift_sums,
    transpose_sums,
    wrap_sums,
)
from sdt_lava.kernels.spike_windows import spike_windows, sum_windows
from sdt_lava.kernels.tables import (
    channel_stride,
    channels_last,
    column_table,
    permuted,
    row_table,
    run_table,
    window_table,
)
from sdt_lava.support.allocation import zeros

# Adds the weights of all values that are not 0 to sums: (values, sums), both int32 and flat.
Propagate = Callable[[Any, Any], None]

_SUM_LIMIT = 2**23
_INT32_LIMIT = 2**31


def propagate_matrix(weights: csr_matrix, exponent: int, graded: bool) -> Propagate:
    """Return the function of a sparse matrix.

    Parameters
    ----------
    weights : csr_matrix
        ``(outputs, inputs)``.
    exponent : int
        A negative one is left to :func:`rounded`.
    graded : bool
        Multiply weights by payloads.
    """
    table = column_table(weights, exponent)
    runs = run_table(table)
    if runs.pays_off:
        return lambda values, sums: propagate_runs(values, graded, *runs, sums)
    stride = channel_stride(table, weights.shape[0])
    shape = (weights.shape[0] // stride, stride)
    runs = run_table(permuted(table, channels_last(shape)))
    if not runs.pays_off:
        return lambda values, sums: propagate_sparse(values, graded, *table, sums)
    own = zeros(shape[::-1], np.int32)
    flat = own.reshape(-1)

    def propagate(values: Any, sums: Any) -> None:
        propagate_runs(values, graded, *runs, flat)
        transpose_sums(own, sums.reshape(shape))

    return propagate


def propagate_weights(weights: NDArray[Any], exponent: int, graded: bool) -> Propagate:
    """Return the function of a dense matrix; arguments as of :func:`propagate_matrix`."""
    table = row_table(weights, exponent)
    return lambda values, sums: propagate_dense(values, graded, table, sums)


def rounded(propagate: Propagate, exponent: int, outputs: int, kind: Any = np.int32) -> Propagate:
    """Apply a negative weight exponent: to sums, rounding down.

    Parameters
    ----------
    propagate : callable
        Adds to sums of type `kind`.
    exponent : int
        Weight exponent.
    outputs : int
        Number of sums.
    kind : dtype
        Type in which Lava adds before it shifts.
    """
    if exponent >= 0:
        return propagate
    own = zeros(outputs, kind)

    def propagate_and_shift(values: Any, sums: Any) -> None:
        propagate(values, own)
        shift_sums(own, exponent, sums)

    return propagate_and_shift


def propagate_kernels(
    weight: NDArray[Any],
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    window: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    groups: int,
    graded: bool,
) -> Propagate:
    """Return the function of a convolution, with sums of 24 bit as Lava's Conv has.

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
    graded : bool
        Multiply weights by payloads.
    """
    source, target = shapes
    add = _convolution(weight, shapes, window, groups, graded)
    largest = int(np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(axis=1).max())
    own = zeros(target, np.int32)
    flat = own.reshape(-1)

    def propagate(values: Any, sums: Any) -> None:
        image = values.reshape(source)
        if largest * (_magnitude(values) if graded else 1) >= _INT32_LIMIT:
            # Lava adds in floating point, and what does not fit an int32 becomes 0.
            turned = np.ascontiguousarray(weight[:, ::-1, ::-1], np.int32)
            image = image if graded else image.astype(bool)
            flat[:] = utils.conv(image, turned, weight.shape[1:3], *window, groups).reshape(-1)
        else:
            add(image, own)
        wrap_sums(flat, sums)

    def propagate_small(values: Any, sums: Any) -> None:
        add(values.reshape(source), sums.reshape(target))

    return propagate if graded or largest >= _SUM_LIMIT else propagate_small


def _convolution(
    weight: NDArray[Any], shapes: Any, window: Any, groups: int, graded: bool
) -> Propagate:
    """Return the function that adds to sums of 32 bit; arguments as above, images as arguments."""
    spikes = None if graded else spike_windows(weight, shapes[0], window, groups)
    if spikes is not None:
        return lambda values, sums: sum_windows(values, *spikes, sums)
    tables = window_table(weight, shapes, window, groups)
    return lambda values, sums: propagate_convolution(values, graded, *tables, sums)


def _magnitude(values: Any) -> int:
    # In Python, as the magnitude of the smallest int32 is no int32.
    return max(int(values.max()), -int(values.min()))
