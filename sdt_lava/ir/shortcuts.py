"""Define sums and selections of currents in residual streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sdt_lava.ir.base import CURRENTS, Array, Node, Shape, Signal
from sdt_lava.ir.geometry import require_image
from sdt_lava.ir.intervals import Interval, total
from sdt_lava.ir.numerics import IntArray, wrap_int32
from sdt_lava.ir.relations import Connectivity, channelwise, elementwise, windows


@dataclass(frozen=True, kw_only=True, eq=False)
class Sum(Node):
    """Base class of nodes that sum currents of one shape."""

    accepts: ClassVar[frozenset[Signal]] = CURRENTS
    max_inputs: ClassVar[int | None] = None

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the common shape of the input currents."""
        if len(set(shapes)) != 1:
            raise self.mismatch(f"currents of shapes {list(shapes)}", "one shape")
        return shapes[0]

    def _check_bias(self, bias: Array | None, shape: Shape) -> None:
        """Check that a bias, if any, has a value for each channel."""
        if bias is not None and bias.shape != shape[:1]:
            raise self.mismatch(f"bias of shape {bias.shape}", f"{shape[:1]}")

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of each value to the sum at its place."""
        return elementwise(shapes[operand])


@dataclass(frozen=True, kw_only=True, eq=False)
class Shortcut(Sum):
    """Membrane shortcut: sum of currents before the next neurons, ``U' = U + branch``."""

    kind: ClassVar[str] = "shortcut"
    min_inputs: ClassVar[int] = 2
    carries_bias: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the sum in Lava's 32 bits."""
        return wrap_int32(np.sum(inputs, axis=0, dtype=np.int64))

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the sum of the intervals."""
        return total(arriving)


@dataclass(frozen=True, kw_only=True, eq=False)
class Subsample(Node):
    """Selection of every ``stride``-th row and column of a current, starting with the first."""

    stride: int = 2

    kind: ClassVar[str] = "subsample"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS
    carries_bias: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True
    selects: ClassVar[bool] = True

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C, ceil(H / stride), ceil(W / stride))``."""
        require_image(self, shapes[0])
        if self.stride < 1:
            raise self.mismatch(f"stride {self.stride}", "at least 1")
        channels, height, width = shapes[0]
        return channels, -(-height // self.stride), -(-width // self.stride)

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the selected values."""
        return inputs[0][..., :: self.stride, :: self.stride]

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the interval of the input."""
        return arriving[0]

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of windows of one position."""
        output, strides = self.output_shape(shapes), (self.stride, self.stride)
        selected = windows(shapes[0][1:], output[1:], (1, 1), strides, (0, 0))
        return channelwise(output[0], selected)
