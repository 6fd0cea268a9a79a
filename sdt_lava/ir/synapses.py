"""Define synapses, which sum weighted events, and the flattening of events before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sdt_lava.ir.base import EVENTS, Array, Node, Shape, Signal
from sdt_lava.ir.geometry import require_image, window_output
from sdt_lava.ir.intervals import Interval, convolved, weighted
from sdt_lava.ir.numerics import (
    MAX_WEIGHT_EXPONENT,
    MIN_WEIGHT_EXPONENT,
    IntArray,
    doublings,
    doublings_of_rows,
)
from sdt_lava.ir.relations import Blocks, Connectivity, Pattern, elementwise, windows
from sdt_lava.ir.windows import padded, taps

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapse(Node):
    """Base class of connections that sum weighted events.

    Parameters
    ----------
    weight : ndarray
        Weights; in an integer graph, even integers within +-254.
    bias : ndarray, optional
        Bias per output channel in a float graph. In an integer graph, biases are in the neurons, as
        in hardware.
    exponent : int or ndarray of int
        In an integer graph, the sums are multiplied by ``2 ** exponent`` (-8 to 7), rounding down,
        with one exponent for the layer or one per output channel, ``(O,)``. Branches of a residual
        stream and channels of a layer with weights of different size can thereby share a scale. The
        compiler makes one connection for each distinct exponent.
    """

    weight: Array
    bias: Array | None = None
    exponent: int | IntArray = 0

    accepts: ClassVar[frozenset[Signal]] = EVENTS
    holds_sums: ClassVar[bool] = True

    @property
    def channel_exponents(self) -> IntArray:
        """Weight exponent of each output channel, ``(O,)``."""
        return np.broadcast_to(np.asarray(self.exponent, np.int64), self.weight.shape[:1])

    def _check_channels(self, channels: int) -> None:
        """Check exponents and biases, which may differ between output channels."""
        exponents = np.asarray(self.exponent)
        if exponents.shape not in ((), (channels,)) or exponents.dtype.kind not in "iu":
            found = f"weight exponents of shape {exponents.shape} and type {exponents.dtype}"
            raise self.mismatch(found, f"an integer, or integers of shape ({channels},)")
        low, high = int(exponents.min(initial=0)), int(exponents.max(initial=0))
        if low < MIN_WEIGHT_EXPONENT or high > MAX_WEIGHT_EXPONENT:
            allowed = f"{MIN_WEIGHT_EXPONENT} to {MAX_WEIGHT_EXPONENT}"
            raise self.mismatch(f"weight exponent {self.exponent}", allowed)
        if self.bias is not None and self.bias.shape != (channels,):
            raise self.mismatch(f"bias of shape {self.bias.shape}", f"({channels},)")

    @property
    def sum_exponent(self) -> int | IntArray:
        """Exponent of the weights."""
        return self.exponent

    def doublings(self, source: Shape) -> IntArray:
        """Return the doublings of the weights."""
        return doublings_of_rows(np.asarray(self.weight, np.int64), self.channel_exponents)


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv(Synapse):
    """Two-dimensional convolution of events, from ``(C, H, W)`` to ``(O, H', W')``.

    Parameters
    ----------
    weight : ndarray
        Weights ``(O, C / groups, kH, kW)``.
    stride, padding, dilation : tuple of int
        Stride, padding and dilation along height and width.
    groups : int
        Number of channel groups.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    kind: ClassVar[str] = "conv"
    is_mappable: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(O, H', W')``."""
        require_image(self, shapes[0])
        channels, height, width = shapes[0]
        if self.weight.ndim != 4:
            raise self.mismatch(
                f"weight of {self.weight.ndim} dimensions", "4: (O, C/groups, kH, kW)"
            )
        out, per_group, kernel_h, kernel_w = self.weight.shape
        if min(self.stride) < 1 or min(self.dilation) < 1 or min(self.padding) < 0:
            raise self.mismatch(
                f"stride {self.stride}, dilation {self.dilation}, padding {self.padding}",
                "stride and dilation of at least 1, padding of at least 0",
            )
        if self.groups < 1 or per_group * self.groups != channels or out % self.groups:
            raise self.mismatch(
                f"weight {self.weight.shape} in {self.groups} groups on {channels} channels",
                "C/groups weights per output and O divisible by groups",
            )
        self._check_channels(out)
        out_h = window_output(height, kernel_h, self.stride[0], self.padding[0], self.dilation[0])
        out_w = window_output(width, kernel_w, self.stride[1], self.padding[1], self.dilation[1])
        if min(out_h, out_w) < 1:
            raise self.mismatch(f"output of {out_h} x {out_w}", "at least 1 x 1")
        return out, out_h, out_w

    @property
    def is_matrix(self) -> bool:
        """Whether the sums are those of a matrix, since Lava's Conv cannot shift to the right."""
        return bool((self.channel_exponents < 0).any())

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the sums, computed by groups and taps."""
        images = padded(inputs[0], self.padding, 0)
        weight = np.asarray(self.weight, np.int64)
        out, per_group, kernel_h, kernel_w = weight.shape
        _, out_h, out_w = self.output_shape([inputs[0].shape[2:]])
        sums = np.zeros((*inputs[0].shape[:2], out, out_h, out_w), np.int64)
        for group in range(self.groups):
            outputs = slice(group * (out // self.groups), (group + 1) * (out // self.groups))
            channels = images[:, :, group * per_group : (group + 1) * per_group]
            for row, column, window in taps(
                channels, (out_h, out_w), (kernel_h, kernel_w), self.stride, self.dilation
            ):
                sums[:, :, outputs] += np.einsum(
                    "oc,tbchw->tbohw", weight[outputs, :, row, column], window
                )
        return sums

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Bound the weighted sums of a window inside the image."""
        weight = np.asarray(self.weight, np.int64)
        return convolved(weight, self.groups, arriving[0]).shifted(self.exponent)

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of channel groups and of taps inside the image."""
        source, output = shapes[0], self.output_shape(shapes)
        kernel = self.weight.shape[2:]
        return Connectivity(
            Blocks(output[0], source[0], self.groups),
            windows(source[1:], output[1:], kernel, self.stride, self.padding, self.dilation),
        )

    def doublings(self, source: Shape) -> IntArray:
        """Return the doublings of the weights in the unrolled matrix, without taps never used."""
        weight = np.asarray(self.weight, np.int64)
        _, *sides = self.output_shape([source])
        for axis in (0, 1):
            offsets = np.arange(weight.shape[2 + axis]) * self.dilation[axis] - self.padding[axis]
            reached = offsets[:, None] + np.arange(sides[axis]) * self.stride[axis]
            used = ((reached >= 0) & (reached < source[1 + axis])).any(axis=1)
            weight = np.compress(used, weight, axis=2 + axis)
        return doublings_of_rows(weight, self.channel_exponents)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense(Synapse):
    """Fully connected synapses to ``(O,)`` with weights ``(O, I)``.

    An image is read in C order, channels first.
    """

    kind: ClassVar[str] = "dense"
    is_mappable: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(O,)``."""
        if self.weight.ndim != 2 or int(np.prod(shapes[0])) != self.weight.shape[1]:
            raise self.mismatch(
                f"weight {self.weight.shape} on input {shapes[0]}",
                "weight (O, I) on an input of I values",
            )
        self._check_channels(self.weight.shape[0])
        return (self.weight.shape[0],)

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the product with the weight matrix."""
        return flat(inputs[0]) @ np.asarray(self.weight, np.int64).T

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Bound the weighted sums."""
        sums = weighted(np.asarray(self.weight, np.int64), arriving[0].spread(shapes[0]))
        return sums.shifted(self.exponent).plus(constant(self.bias))

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of every input to every output."""
        positions = int(np.prod(shapes[0][1:]))
        return Connectivity(Blocks(len(self.weight), shapes[0][0], 1), Blocks(1, positions, 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Node):
    """Reshaping of ``(C, H, W)`` to a vector, channels first (C order)."""

    kind: ClassVar[str] = "flatten"
    accepts: ClassVar[frozenset[Signal]] = EVENTS
    is_linear: ClassVar[bool] = True

    def output_signal(self, signals: Sequence[Signal]) -> Signal:
        """Return the kind of the input signal."""
        return signals[0]

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the flat shape."""
        return (int(np.prod(shapes[0])),)

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the flattened values."""
        return flat(inputs[0])

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the interval of the input, with a channel for each position."""
        return arriving[0].spread(shapes[0])

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of equal places in C order."""
        return elementwise((int(np.prod(shapes[0])),))


@dataclass(frozen=True, kw_only=True, eq=False)
class Sparse(Node):
    """Any linear connection between two populations as a sparse matrix.

    ``current = (weight @ events.flatten()) * 2 ** exponent``, rounded down, with C order on both
    sides.

    Parameters
    ----------
    weight : csr_matrix
        Matrix ``(outputs, inputs)`` of int32; explicit zeros count as synapses.
    shape : tuple of int
        Output shape.
    role : str
        Role for reports: 'synapse', 'mask', 'token_sum', 'pool' or 'shortcut'.
    exponent : int or ndarray of int
        Weight exponent, one for all or one per output channel (first axis of `shape`). A negative
        exponent shifts the sum to the right.
    convolution : Conv, optional
        Convolution that was unrolled to this matrix, or to several matrices with the same value
        here. Lava's CPU model uses the matrix; hardware would share the weights.
    """

    weight: csr_matrix
    shape: Shape
    role: str
    exponent: int | IntArray = 0
    convolution: Conv | None = None

    kind: ClassVar[str] = "sparse"
    accepts: ClassVar[frozenset[Signal]] = EVENTS
    is_mappable: ClassVar[bool] = True
    is_compiled_only: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True
    holds_sums: ClassVar[bool] = True

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the declared output shape."""
        sizes = int(np.prod(self.shape)), int(np.prod(shapes[0]))
        if self.weight.shape != sizes:
            raise self.mismatch(f"weight {self.weight.shape}", f"{sizes} (outputs, inputs)")
        if np.shape(self.exponent) not in ((), self.shape[:1]):
            found = f"weight exponents of shape {np.shape(self.exponent)}"
            raise self.mismatch(found, f"() or {self.shape[:1]}")
        return self.shape

    @property
    def sum_exponent(self) -> int | IntArray:
        """Exponent of the weights."""
        return self.exponent

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the product with the matrix."""
        steps, batch = inputs[0].shape[:2]
        events = inputs[0].reshape(steps * batch, -1)
        sums = np.asarray((self.weight.astype(np.int64) @ events.T).T)
        return sums.reshape(steps, batch, *self.shape)

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Bound the weighted sums."""
        sums = weighted(self.weight.astype(np.int64), arriving[0].spread(shapes[0]))
        return sums.by_channel(self.shape[0]).shifted(self.exponent)

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of the matrix's entries, with explicit zeros, by flat index."""
        return Connectivity(Blocks(1, 1, 1), Pattern(pattern_of(self.weight)))

    def doublings(self, source: Shape) -> IntArray:
        """Return the doublings of the weights."""
        channels = self.shape[0]
        exponents = np.broadcast_to(np.asarray(self.exponent, np.int64), (channels,))
        if len(np.unique(exponents)) == 1:
            return np.full(channels, doublings(self.weight.data))
        positions = self.weight.shape[0] // channels
        ends = self.weight.indptr[::positions]
        result = np.zeros(channels, np.int64)
        for exponent in np.unique(exponents):
            rows = np.flatnonzero(exponents == exponent)
            data = [self.weight.data[ends[row] : ends[row + 1]] for row in rows]
            result[rows] = doublings(np.concatenate(data))
        return result


def flat(events: IntArray) -> IntArray:
    """Return events ``(T, B, *shape)`` as vectors in C order."""
    return events.reshape(*events.shape[:2], -1)


def constant(bias: Array | None) -> IntArray | int:
    """Return a bias as integers, or 0 if there is none."""
    return 0 if bias is None else np.asarray(bias, np.int64)


def pattern_of(matrix: csr_matrix) -> csr_matrix:
    """Return a matrix of ones at the entries of a matrix."""
    from scipy.sparse import csr_matrix

    ones = np.ones(matrix.nnz, np.int64)
    return csr_matrix((ones, matrix.indices, matrix.indptr), shape=matrix.shape)
