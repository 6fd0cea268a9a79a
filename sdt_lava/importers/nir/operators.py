"""Combine the consecutive linear layers between two populations into one layer.

All NIR layers between two populations are affine: convolutions, matrices, pools, scales and changes
of shape. The integer graph has a single synapse there, so a sequence of layers becomes one
convolution if that is exact, otherwise one matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, prod
from typing import Protocol

import numpy as np

from sdt_lava.errors import NirError
from sdt_lava.io.nir.values import FloatArray
from sdt_lava.ir import Shape

Pair = tuple[int, int]
# Maximum number of entries of a matrix that replaces several layers.
_MOST_ENTRIES = 2**24


class Operator(Protocol):
    """Linear layer without batch and time."""

    @property
    def name(self) -> str:
        """Name of the layer."""

    @property
    def before(self) -> Shape:
        """Shape of the input, in NIR's axes."""

    @property
    def after(self) -> Shape:
        """Shape of the output, in NIR's axes."""

    @property
    def constant(self) -> bool:
        """Whether the layer adds a bias."""

    def forward(self, values: FloatArray) -> FloatArray:
        """Return the output of shape ``after`` for an input of shape ``before``."""

    def back(self, rows: FloatArray) -> FloatArray:
        """Convert weights of the output to weights of the input, ``(R, *before)``."""


@dataclass(frozen=True, eq=False)
class Reshape:
    """Reshaping of values in C order."""

    name: str
    before: Shape
    after: Shape
    constant = False

    def forward(self, values: FloatArray) -> FloatArray:
        """Return the values in the output's shape."""
        return values.reshape(self.after)

    def back(self, rows: FloatArray) -> FloatArray:
        """Return the weights in the input's shape."""
        return rows.reshape(len(rows), *self.before)


@dataclass(frozen=True, eq=False)
class Scaling:
    """Multiplication by ``factor``, which broadcasts over the shape."""

    name: str
    before: Shape
    factor: FloatArray
    constant = False

    @property
    def after(self) -> Shape:
        """Shape of the output, which is that of the input."""
        return self.before

    def forward(self, values: FloatArray) -> FloatArray:
        """Return the input times the factor."""
        return values * self.factor

    def back(self, rows: FloatArray) -> FloatArray:
        """Return the weights times the factor."""
        return rows * self.factor

    @property
    def by_channel(self) -> FloatArray | None:
        """The factors by channel ``(C,)``, or None if they vary within a channel."""
        rows = np.broadcast_to(self.factor, self.before).reshape(self.before[0], -1)
        return rows[:, 0].copy() if not np.ptp(rows, axis=1).any() else None


@dataclass(frozen=True, eq=False)
class Matrix:
    """``weight @ x + bias`` on vectors, or on an image in C order."""

    name: str
    before: Shape
    weight: FloatArray
    bias: FloatArray | None = None

    @property
    def after(self) -> Shape:
        """Shape of the output, a vector."""
        return (len(self.weight),)

    @property
    def constant(self) -> bool:
        """Whether there is a bias."""
        return self.bias is not None and bool(self.bias.any())

    def forward(self, values: FloatArray) -> FloatArray:
        """Return the product of matrix and input, plus the bias."""
        sums = self.weight @ values.ravel()
        return sums if self.bias is None else sums + self.bias

    def back(self, rows: FloatArray) -> FloatArray:
        """Return ``rows @ weight``."""
        return (rows @ self.weight).reshape(len(rows), *self.before)


@dataclass(frozen=True, eq=False)
class Convolution:
    """Convolution of images; ``before`` and ``after`` are ``(C, H, W)`` or ``(C, W)``.

    Parameters
    ----------
    weight : ndarray
        Weights ``(O, C / groups, kH, kW)``; height 1 for a one-dimensional convolution.
    bias : ndarray or None
        Bias ``(O,)``.
    """

    name: str
    before: Shape
    weight: FloatArray
    bias: FloatArray | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width of the input."""
        return as_image(self.before)

    @property
    def sides(self) -> Pair:
        """Height and width of the output."""
        first, second = (
            (side + 2 * padding - step * (width - 1) - 1) // stride + 1
            for side, padding, step, width, stride in zip(
                self.image[1:], self.padding, self.dilation, self.weight.shape[2:], self.stride,
                strict=True,
            )
        )  # fmt: skip
        return first, second

    @property
    def after(self) -> Shape:
        """Shape of the output, with as many axes as the input."""
        out, sides = len(self.weight), self.sides
        return (out, *sides) if len(self.before) == 3 else (out, sides[1])

    @property
    def constant(self) -> bool:
        """Whether there is a bias."""
        return self.bias is not None and bool(self.bias.any())

    def forward(self, values: FloatArray) -> FloatArray:
        """Return the convolution of the input, plus the bias."""
        image = values.reshape(self.groups, -1, *self.image[1:])
        padded = np.pad(image, [(0, 0)] * 2 + [(side, side) for side in self.padding])
        weight = self.weight.reshape(self.groups, -1, *self.weight.shape[1:])
        sums = np.zeros((self.groups, weight.shape[1], *self.sides))
        for row, column, place in self._taps():
            sums += np.einsum("goc,gchw->gohw", weight[..., row, column], padded[(..., *place)])
        out = sums.reshape(-1, *self.sides)
        if self.bias is not None:
            out = out + self.bias[:, None, None]
        return out.reshape(self.after)

    def back(self, rows: FloatArray) -> FloatArray:
        """Return the transposed convolution of each row."""
        split = rows.reshape(len(rows), self.groups, -1, *self.sides)
        weight = self.weight.reshape(self.groups, -1, *self.weight.shape[1:])
        (channels, *image), (top, left) = self.image, self.padding
        padded = np.zeros(
            (
                len(rows),
                self.groups,
                channels // self.groups,
                image[0] + 2 * top,
                image[1] + 2 * left,
            )
        )
        for row, column, place in self._taps():
            padded[(..., *place)] += np.einsum("goc,rgohw->rgchw", weight[..., row, column], split)
        inside = padded[..., top : top + image[0], left : left + image[1]]
        return inside.reshape(len(rows), *self.before)

    def _taps(self) -> list[tuple[int, int, tuple[slice, slice]]]:
        """Return each kernel position with the part of the padded input that it reads."""
        height, width = self.sides

        def part(tap: int, axis: int, count: int) -> slice:
            first, stride = tap * self.dilation[axis], self.stride[axis]
            return slice(first, first + stride * (count - 1) + 1, stride)

        return [
            (row, column, (part(row, 0, height), part(column, 1, width)))
            for row in range(self.weight.shape[2])
            for column in range(self.weight.shape[3])
        ]


def as_image(shape: Shape) -> tuple[int, int, int]:
    """Return the shape of an image; a row of values per channel is an image of height 1."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape  # type: ignore[return-value]


def constant_of(layers: Sequence[Operator], shape: Shape) -> FloatArray | None:
    """Return the output of layers for an input of zeros, or None if no layer adds a constant."""
    if not any(layer.constant for layer in layers):
        return None
    values = np.zeros(shape)
    for layer in layers:
        values = layer.forward(values)
    return values if values.any() else None


def as_convolution(layers: Sequence[Operator], shape: Shape, name: str) -> Convolution | None:
    """Combine layers into one convolution without bias, or return None if that is not exact.

    Parameters
    ----------
    layers : sequence of Operator
        Layers in order; none for a one-to-one connection.
    shape : tuple of int
        Shape of the input of the first layer.
    name : str
        Name of the result.
    """
    if len(shape) not in (2, 3):
        return None
    joined: Convolution | None = None
    for layer in layers:
        if isinstance(layer, Reshape):
            if prod(as_image(layer.before)) != prod(layer.after):
                return None
            continue
        step = _as_step(layer)
        if step is None:
            return None
        joined = step if joined is None else _joined(joined, step)
        if joined is None:
            return None
    if joined is None:
        joined = Convolution(name, shape, np.ones((shape[0], 1, 1, 1)), groups=shape[0])
    return Convolution(
        name, shape, joined.weight, None, joined.stride, joined.padding, joined.dilation,
        joined.groups,
    )  # fmt: skip


def _as_step(layer: Operator) -> Convolution | None:
    if isinstance(layer, Convolution):
        return layer
    if isinstance(layer, Scaling) and len(layer.before) in (2, 3):
        factors = layer.by_channel
        if factors is not None:
            weight = factors.reshape(-1, 1, 1, 1)
            return Convolution(layer.name, layer.before, weight, groups=layer.before[0])
    return None


def _joined(first: Convolution, second: Convolution) -> Convolution | None:
    """Combine two convolutions, or return None if padding between them matters."""
    if first.after != second.before or not _border_is_silent(first, second):
        return None
    first_weight, second_weight, groups = _common_groups(first, second)
    steps = [s * d for s, d in zip(first.stride, second.dilation, strict=True)]
    offsets = [
        np.add.outer(step * np.arange(outer), dilation * np.arange(inner))
        for step, outer, dilation, inner in zip(
            steps, second.weight.shape[2:], first.dilation, first.weight.shape[2:], strict=True
        )
    ]
    spacing = [max(gcd(*map(int, places.ravel())), 1) for places in offsets]
    sides = [int(places.max()) // step + 1 for places, step in zip(offsets, spacing, strict=True)]
    out, inputs = second_weight.shape[1] * groups, first_weight.shape[2]
    weight = np.zeros((groups, out // groups, inputs, *sides))
    for row, column in np.ndindex(*second.weight.shape[2:]):
        for inner_row, inner_column in np.ndindex(*first.weight.shape[2:]):
            place = (
                int(offsets[0][row, inner_row]) // spacing[0],
                int(offsets[1][column, inner_column]) // spacing[1],
            )
            weight[..., place[0], place[1]] += np.einsum(
                "gom,gmc->goc", second_weight[..., row, column],
                first_weight[..., inner_row, inner_column],
            )  # fmt: skip
    padding = [
        inner + outer * stride
        for inner, outer, stride in zip(first.padding, second.padding, first.stride, strict=True)
    ]
    stride = [a * b for a, b in zip(first.stride, second.stride, strict=True)]
    return Convolution(
        second.name, first.before, weight.reshape(out, inputs, *sides), None,
        (stride[0], stride[1]), (padding[0], padding[1]), (spacing[0], spacing[1]), groups,
    )  # fmt: skip


def _border_is_silent(first: Convolution, second: Convolution) -> bool:
    """Return whether the first convolution would emit 0 where the second pads with 0.

    This is so unless its windows there overlap the image.
    """
    for axis in (0, 1):
        if not second.padding[axis]:
            continue
        stride, padding = first.stride[axis], first.padding[axis]
        reach = first.dilation[axis] * (first.weight.shape[2 + axis] - 1)
        sees_start = -stride - padding + reach >= 0
        sees_end = stride * first.sides[axis] - padding < first.image[1 + axis]
        if sees_start or sees_end:
            return False
    return True


def _common_groups(first: Convolution, second: Convolution) -> tuple[FloatArray, FloatArray, int]:
    """Return weights ``(groups, O, M, ...)`` and ``(groups, M, C, ...)`` with common groups."""
    groups = gcd(first.groups, second.groups)
    return _regrouped(first, groups), _regrouped(second, groups), groups


def _regrouped(layer: Convolution, groups: int) -> FloatArray:
    """Return weights with fewer groups, and zeros between channels of different groups."""
    inside = layer.groups // groups
    out, per_group, *kernel = layer.weight.shape
    split = layer.weight.reshape(groups, inside, out // layer.groups, per_group, *kernel)
    wide = np.zeros((groups, inside, out // layer.groups, inside, per_group, *kernel))
    for part in range(inside):
        wide[:, part, :, part] = split[:, part]
    return wide.reshape(groups, out // groups, inside * per_group, *kernel)


def as_matrix(layers: Sequence[Operator], shape: Shape, size: int, where: str) -> FloatArray:
    """Combine layers into one matrix ``(size, I)`` without the constant.

    Parameters
    ----------
    layers : sequence of Operator
        Layers in order.
    shape : tuple of int
        Shape of the input of the first layer.
    size : int
        Number of output values of the last layer.
    where : str
        Name of the neurons, for errors.

    Raises
    ------
    NirError
        If the matrix would be too large.
    """
    last = max((at for at, layer in enumerate(layers) if isinstance(layer, Matrix)), default=-1)
    widest = max([prod(shape), *(prod(layer.before) for layer in layers[: last + 1])])
    if size * widest > _MOST_ENTRIES:
        raise NirError(
            where, f"layers before it that are a matrix of {size} x {widest} weights together",
            f"at most {_MOST_ENTRIES} weights",
            "let parameters be equal within each channel, or put neurons between the layers",
        )  # fmt: skip
    rows = np.eye(size) if last < 0 else np.asarray(layers[last].weight)  # type: ignore[attr-defined]
    if last < 0:
        rows = rows.reshape(size, *(layers[-1].after if layers else shape))
    for layer in layers[last + 1 :] if last >= 0 else ():
        # Signals after the last matrix are vectors, so only factors and changes of shape remain.
        if isinstance(layer, Scaling):
            rows = rows * np.broadcast_to(layer.factor, layer.before).reshape(-1, 1)
    start = last if last >= 0 else len(layers)
    if last >= 0:
        rows = rows.reshape(len(rows), *layers[last].before)
    for layer in reversed(layers[:start]):
        rows = layer.back(rows)
    return rows.reshape(size, prod(shape))
