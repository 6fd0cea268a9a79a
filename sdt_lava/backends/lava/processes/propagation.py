"""Build functions that propagate the events of a step through a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from lava.proc.conv import utils
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from sdt_lava.kernels.convolutions import propagate_convolution, window_table
from sdt_lava.kernels.jit import resolved
from sdt_lava.kernels.matrices import (
    channel_stride,
    channels_last,
    column_table,
    permuted,
    propagate_dense,
    propagate_runs,
    propagate_sparse,
    row_table,
    run_table,
)
from sdt_lava.kernels.signals import shift_sums, transpose_sums, wrap_sums
from sdt_lava.kernels.spike_windows import spike_windows, sum_windows
from sdt_lava.support.allocation import zeros

# Adds the weights of all nonzero values to sums: (values, sums), both flat int32 arrays.
Propagate = Callable[[Any, Any], None]

_SUM_LIMIT = 2**23
_INT32_LIMIT = 2**31


def propagate_matrix(weights: csr_matrix, exponent: int, graded: bool) -> Propagate:
    """Return the function that propagates events through a sparse matrix.

    Parameters
    ----------
    weights : csr_matrix
        Matrix ``(outputs, inputs)``.
    exponent : int
        Weight exponent; :func:`rounded` handles negative ones.
    graded : bool
        Whether to multiply weights by payloads.
    """
    table = column_table(weights, exponent)
    runs = run_table(table)
    if runs.pays_off:
        return _with_table(propagate_runs, 1, graded, runs)
    stride = channel_stride(table, weights.shape[0])
    shape = (weights.shape[0] // stride, stride)
    runs = run_table(permuted(table, channels_last(shape)))
    if not runs.pays_off:
        return _with_table(propagate_sparse, 1, graded, table)
    buffer = zeros(shape[::-1], np.int32)
    flat = buffer.reshape(-1)

    add = _with_table(propagate_runs, 1, graded, runs)

    def propagate(values: Any, sums: Any) -> None:
        add(values, flat)
        transpose_sums(buffer, sums.reshape(shape))

    return propagate


def propagate_weights(weights: NDArray[Any], exponent: int, graded: bool) -> Propagate:
    """Return the function for a dense matrix, with the arguments of :func:`propagate_matrix`."""
    table = row_table(weights, exponent)
    return _with_table(propagate_dense, 1, graded, table)


def rounded(propagate: Propagate, exponent: int, outputs: int, kind: Any = np.int32) -> Propagate:
    """Extend a function to apply a negative weight exponent to sums, rounding down.

    Parameters
    ----------
    propagate : callable
        Function that adds to sums of type `kind`.
    exponent : int
        Weight exponent.
    outputs : int
        Number of sums.
    kind : dtype
        Type of Lava's sums before the shift.
    """
    if exponent >= 0:
        return propagate
    buffer = zeros(outputs, kind)

    def propagate_and_shift(values: Any, sums: Any) -> None:
        propagate(values, buffer)
        shift_sums(buffer, exponent, sums)

    return propagate_and_shift


def propagate_kernels(
    weight: NDArray[Any],
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    window: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    groups: int,
    graded: bool,
) -> Propagate:
    """Return the function for a convolution, with sums of 24 bits as in Lava's Conv.

    Parameters
    ----------
    weight : ndarray
        Weights of a correlation, ``(outputs, rows, columns, channels of a group)``.
    shapes : pair of tuple of int
        Shapes ``(rows, columns, channels)`` of input and output.
    window : triple of pair of int
        Stride, padding and dilation along rows and columns.
    groups : int
        Number of channel groups.
    graded : bool
        Whether to multiply weights by payloads.
    """
    source, target = shapes
    add = _convolution(weight, shapes, window, groups, graded)
    largest = int(np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(axis=1).max())
    buffer = zeros(target, np.int32)
    flat = buffer.reshape(-1)

    def propagate(values: Any, sums: Any) -> None:
        image = values.reshape(source)
        if largest * (_magnitude(values) if graded else 1) >= _INT32_LIMIT:
            # Lava sums in floating point, and values that do not fit an int32 become 0.
            flipped = np.ascontiguousarray(weight[:, ::-1, ::-1], np.int32)
            image = image if graded else image.astype(bool)
            flat[:] = utils.conv(image, flipped, weight.shape[1:3], *window, groups).reshape(-1)
        else:
            add(image, buffer)
        wrap_sums(flat, sums)

    def propagate_small(values: Any, sums: Any) -> None:
        add(values.reshape(source), sums.reshape(target))

    return propagate if graded or largest >= _SUM_LIMIT else propagate_small


def _convolution(
    weight: NDArray[Any], shapes: Any, window: Any, groups: int, graded: bool
) -> Propagate:
    """Return the function that adds to 32-bit sums; its arguments are images."""
    spikes = None if graded else spike_windows(weight, shapes[0], window, groups)
    if spikes is not None:
        return _with_table(sum_windows, 3, spikes)
    table = window_table(weight, shapes, window, groups)
    return _with_table(propagate_convolution, 3, graded, table)


def _with_table(kernel: Any, dimensions: int, *table: Any) -> Propagate:
    """Bind the arguments of a kernel between values and sums.

    Resolving the types of a table in every step would often take longer than the step. The machine
    code is therefore looked up once, for contiguous int32 arrays, which nearly all arrays are.
    """
    example = np.zeros((0,) * dimensions, np.int32)
    kind = example.dtype
    usual = resolved(kernel, example, *table, example)

    def propagate(values: Any, sums: Any) -> None:
        is_plain = values.dtype is kind and sums.dtype is kind
        if is_plain and values.flags.c_contiguous and sums.flags.c_contiguous:
            usual(values, *table, sums)
        else:
            kernel(values, *table, sums)

    return propagate


def _magnitude(values: Any) -> int:
    # Computed in Python, because the magnitude of the smallest int32 is not an int32.
    return max(int(values.max()), -int(values.min()))
