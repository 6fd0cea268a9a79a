"""Exact fan-out of every source neuron of a connection, borders of convolutions included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sdt_lava.ir import Conv, Dense, Node, Shape, Sparse
from sdt_lava.ir.numerics import IntArray


def fan_out(node: Node, source_shape: Shape) -> IntArray:
    """Count the synapses that each source neuron drives.

    A synapse is a connection, whatever its weight: one that was rounded to 0 counts too.

    Parameters
    ----------
    node : Conv, Dense or Sparse
        The connection.
    source_shape : tuple of int
        Shape of the population it reads.

    Returns
    -------
    ndarray of int64
        ``(*source_shape)``.
    """
    return _FAN_OUT[type(node)](node, source_shape)


def _dense(node: Dense, shape: Shape) -> IntArray:
    return np.full(shape, node.weight.shape[0], np.int64)


def _sparse(node: Sparse, shape: Shape) -> IntArray:
    return np.bincount(node.weight.indices, minlength=node.weight.shape[1]).reshape(shape)


def _conv(node: Conv, shape: Shape) -> IntArray:
    out, _, kernel_h, kernel_w = node.weight.shape
    _, out_h, out_w = node.output_shape([shape])
    rows = _taps(shape[1], out_h, kernel_h, node.stride[0], node.padding[0], node.dilation[0])
    columns = _taps(shape[2], out_w, kernel_w, node.stride[1], node.padding[1], node.dilation[1])
    per_position = rows[:, None] * columns[None, :] * (out // node.groups)
    return np.broadcast_to(per_position, shape).copy()


def _taps(
    size: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int
) -> IntArray:
    """Count, along one axis, the (output, kernel element) pairs that read each input position."""
    read = np.add.outer(np.arange(outputs) * stride - padding, np.arange(kernel) * dilation)
    inside = read[(read >= 0) & (read < size)]
    return np.bincount(inside, minlength=size).astype(np.int64)


_FAN_OUT: dict[type[Node], Callable[[Any, Shape], IntArray]] = {
    Conv: _conv,
    Dense: _dense,
    Sparse: _sparse,
}
