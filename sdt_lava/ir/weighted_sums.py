"""Compute exact weighted sums of events fast in NumPy.

The results equal those of the reference. NumPy multiplies integer matrices without BLAS, so sums
are computed in the narrowest type that represents all partial sums exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir.base import Node
from sdt_lava.ir.numerics import FLOAT32_EXACT, FLOAT64_EXACT, INT32_HIGH, IntArray
from sdt_lava.ir.registers import hold
from sdt_lava.ir.synapses import Conv, Dense, Sparse
from sdt_lava.ir.windows import taps


def magnitude(node: Node) -> int:
    """Return the largest sum of absolute weights over the outputs of a connection."""
    return _KINDS[type(node)][0](node)


def weighted_sums(node: Node, events: NDArray[Any], magnitude: int) -> IntArray:
    """Return the output of a connection as held in its registers.

    Parameters
    ----------
    node : Conv, Dense or Sparse
        Node with the weights.
    events : ndarray of int
        Events ``(steps, lanes, *shape)``.
    magnitude : int
        Largest sum of absolute weights over the outputs.

    Returns
    -------
    ndarray of int64
        Sums ``(steps, lanes, *shape)`` for the reader, equal to those of
        :func:`sdt_lava.ir.reference.evaluate`.
    """
    largest = max(int(events.max()), -int(events.min())) * magnitude
    sums = _KINDS[type(node)][1](node, events, largest)
    return hold(node, sums, events.shape[2:])


def _exact_float(largest: int) -> type | None:
    """Return the floating-point type that represents sums of this magnitude exactly, if any."""
    if largest < FLOAT32_EXACT:
        return np.float32
    return np.float64 if largest < FLOAT64_EXACT else None


def _row_magnitude(node: Any) -> int:
    rows = np.abs(np.asarray(node.weight, np.int64)).reshape(len(node.weight), -1)
    return int(rows.sum(axis=1).max(initial=0))


def _sparse_magnitude(node: Sparse) -> int:
    return int(abs(node.weight).sum(axis=1, dtype=np.int64).max())


def _dense_sums(node: Dense, events: NDArray[Any], largest: int) -> IntArray:
    kind: Any = _exact_float(largest) or np.int64
    rows = events.reshape(events.shape[0] * events.shape[1], -1).astype(kind)
    sums = rows @ np.asarray(node.weight).T.astype(kind)
    return sums.astype(np.int64).reshape(*events.shape[:2], -1)


def _sparse_sums(node: Sparse, events: NDArray[Any], largest: int) -> IntArray:
    # The matrix has 32 bits; the product has the wider of both types.
    kind: Any = np.int32 if largest <= INT32_HIGH else np.int64
    rows = events.reshape(events.shape[0] * events.shape[1], -1)
    sums = node.weight @ np.ascontiguousarray(rows.T, kind)
    return np.ascontiguousarray(sums.T, np.int64).reshape(*events.shape[:2], *node.shape)


def _conv_sums(node: Conv, events: NDArray[Any], largest: int) -> IntArray:
    kind: Any = _exact_float(largest) or np.int64
    steps, lanes = events.shape[:2]
    shape = events.shape[2:]
    out, per_group, kernel_h, kernel_w = node.weight.shape
    _, out_h, out_w = node.output_shape([shape])
    images = events.reshape(steps * lanes, *shape).astype(kind)
    above, beside = node.padding
    padded = np.pad(images, ((0, 0), (0, 0), (above, above), (beside, beside)))
    # (groups, outputs of a group, inputs of a group, kernel)
    weight = np.asarray(node.weight).astype(kind)
    weight = weight.reshape(node.groups, out // node.groups, per_group, kernel_h, kernel_w)
    sums = np.zeros((len(images), node.groups, out // node.groups, out_h * out_w), kind)
    size, kernel = (out_h, out_w), (kernel_h, kernel_w)
    for row, column, window in taps(padded, size, kernel, node.stride, node.dilation):
        by_group = window.reshape(len(images), node.groups, per_group, out_h * out_w)
        sums += np.matmul(weight[..., row, column], by_group)
    return sums.astype(np.int64).reshape(steps, lanes, out, out_h, out_w)


Sums = Callable[[Any, NDArray[Any], int], IntArray]
# Functions for the largest sum of absolute weights and for the sums.
_KINDS: dict[type[Node], tuple[Callable[[Any], int], Sums]] = {
    Conv: (_row_magnitude, _conv_sums),
    Dense: (_row_magnitude, _dense_sums),
    Sparse: (_sparse_magnitude, _sparse_sums),
}
