"""Build sparse matrices of auxiliary connections, convolutions and dense layers.

All matrices are int32 with shape ``(outputs, inputs)`` and act on ``(C, H, W)`` signals flattened
in C order. Every synapse is an explicit entry, even if its weight is zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from sdt_lava.ir import Conv, Shape
from sdt_lava.ir.attention import all_tokens
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.relations import Blocks, channelwise
from sdt_lava.ir.windows import padded, taps

IndexArray = NDArray[np.int64]


def _matrix(
    rows: IndexArray, columns: IndexArray, weights: NDArray[np.int32], shape: tuple[int, int]
) -> csr_matrix:
    matrix = coo_matrix((weights, (rows, columns)), shape=shape).tocsr()
    matrix.sort_indices()
    return matrix


def identity(size: int, weight: int) -> csr_matrix:
    """Connect each neuron to its counterpart with the same weight."""
    rows = np.arange(size + 1, dtype=np.int32)
    return csr_matrix((np.full(size, weight, np.int32), rows[:-1], rows), shape=(size, size))


def token_sum(shape: Shape, weight: int) -> csr_matrix:
    """Connect all tokens ``(C, H, W)`` of each channel to the channel's neuron ``(C,)``."""
    return all_tokens(shape).matrix(weight)


def token_broadcast(shape: Shape, weight: int) -> csr_matrix:
    """Connect the neuron ``(C,)`` of each channel to all tokens ``(C, H, W)`` of the channel."""
    return channelwise(shape[0], Blocks(int(np.prod(shape[1:])), 1, 1)).matrix(weight)


def _window_taps(
    size: tuple[int, int],
    output: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[IndexArray, IndexArray, IndexArray]:
    """Return the output, input and kernel position of every tap inside the image."""
    positions = padded(np.arange(size[0] * size[1]).reshape(size), padding, -1)
    # One row for each output position, one column for each tap.
    reached = np.stack(
        [under.ravel() for _, _, under in taps(positions, output, kernel, stride, dilation)], axis=1
    )
    outputs, taps_inside = np.nonzero(reached >= 0)
    return outputs, reached[outputs, taps_inside], taps_inside


def dense_rows(weight: IntArray, rows: IndexArray) -> csr_matrix:
    """Connect all inputs to the selected outputs, with the weights ``(O, I)`` of a dense layer."""
    outputs, inputs = weight.shape
    columns = np.broadcast_to(np.arange(inputs), (rows.size, inputs))
    selected = np.repeat(rows, inputs), columns.ravel(), weight[rows].ravel().astype(np.int32)
    return _matrix(*selected, (outputs, inputs))


def convolution(node: Conv, shape: Shape, output: Shape) -> csr_matrix:
    """Unroll a convolution to a matrix with one entry per kernel element and output position."""
    out, per_group, kernel_h, kernel_w = node.weight.shape
    outputs, inputs, elements = _window_taps(
        (shape[1], shape[2]),
        (output[1], output[2]),
        (kernel_h, kernel_w),
        node.stride,
        node.padding,
        node.dilation,
    )
    kernels = np.asarray(node.weight, np.int32).reshape(out, per_group, -1)
    channel_out = np.arange(out)[:, None, None]
    group = channel_out // (out // node.groups)
    channel_in = group * per_group + np.arange(per_group)[None, :, None]
    full = (out, per_group, elements.size)
    rows = np.broadcast_to(channel_out * (output[1] * output[2]) + outputs, full)
    columns = channel_in * (shape[1] * shape[2]) + inputs
    weights = kernels[:, :, elements]
    return _matrix(
        rows.ravel(), columns.ravel(), weights.ravel(), (int(np.prod(output)), int(np.prod(shape)))
    )
