"""Define pooling over square windows: of spikes, of currents and of relays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sdt_lava.ir.base import CURRENTS, SPIKES, Node, Shape, Signal
from sdt_lava.ir.geometry import require_image, window_output
from sdt_lava.ir.intervals import Interval, spikes, total
from sdt_lava.ir.numerics import POOL_WINDOW_LIMIT, IntArray, wrap_int32
from sdt_lava.ir.relations import Connectivity, channelwise, windows
from sdt_lava.ir.windows import padded, taps


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(Node):
    """Base class of pooling over square windows.

    Parameters
    ----------
    kernel, stride, padding : int
        Size and stride of the windows, and padding of the image.
    """

    kernel: int = 3
    stride: int = 2
    padding: int = 1

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C, H', W')``."""
        require_image(self, shapes[0])
        if self.kernel < 1 or self.stride < 1 or not 0 <= self.padding <= self.kernel // 2:
            raise self.mismatch(
                f"kernel {self.kernel}, stride {self.stride}, padding {self.padding}",
                "kernel and stride of at least 1, padding of at most half the kernel",
            )
        channels, height, width = shapes[0]
        out_h = window_output(height, self.kernel, self.stride, self.padding)
        out_w = window_output(width, self.kernel, self.stride, self.padding)
        if min(out_h, out_w) < 1:
            raise self.mismatch(f"output of {out_h} x {out_w}", "at least 1 x 1")
        return channels, out_h, out_w

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of windows within each channel."""
        channels, *output = self.output_shape(shapes)
        sides = ((value, value) for value in (self.kernel, self.stride, self.padding))
        return channelwise(channels, windows(shapes[operand][1:], tuple(output), *sides))

    def _largest(self, values: IntArray, fill: int) -> IntArray:
        """Return the maximum of each window, with `fill` as padding."""
        around = padded(values, (self.padding, self.padding), fill)
        size = tuple(
            window_output(side, self.kernel, self.stride, self.padding)
            for side in values.shape[-2:]
        )
        kernel, stride = (self.kernel, self.kernel), (self.stride, self.stride)
        return np.max([met for _, _, met in taps(around, size, kernel, stride)], axis=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class OrPool(Pool):
    """Max pooling of spikes, with a spike if any input of the window spikes."""

    kind: ClassVar[str] = "or_pool"
    accepts: ClassVar[frozenset[Signal]] = SPIKES
    emits: ClassVar[Signal] = Signal.SPIKE

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C, H', W')``, and check that a gate can sum the spikes of a window."""
        shape = super().output_shape(shapes)
        _, height, width = shapes[0]
        positions = min(self.kernel, height) * min(self.kernel, width)
        if positions > POOL_WINDOW_LIMIT:
            raise self.mismatch(
                f"windows of {positions:,} values", f"at most {POOL_WINDOW_LIMIT:,}"
            )
        return shape

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the maximum of the spikes in each window."""
        return self._largest(inputs[0], 0)

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the interval of spikes."""
        return spikes(shapes[0][0])


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool(Pool):
    """Max pooling of currents, in networks that pool before the neuron (official models)."""

    kind: ClassVar[str] = "max_pool"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS
    carries_bias: ClassVar[bool] = True
    takes_maximum: ClassVar[bool] = True

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the largest current of each window."""
        return self._largest(inputs[0], np.iinfo(np.int64).min)

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the interval of the input."""
        return arriving[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxRelay(Pool):
    """Relay neurons that forward the largest current of each window as graded spikes.

    There is no standard process for this kind; the CPU simulator runs our own.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of the currents before pooling.
    """

    input_shape: Shape

    kind: ClassVar[str] = "max_relay"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS
    emits: ClassVar[Signal] = Signal.GRADED
    max_inputs: ClassVar[int | None] = None
    is_population: ClassVar[bool] = True
    is_mappable: ClassVar[bool] = True
    is_compiled_only: ClassVar[bool] = True
    sends_payload: ClassVar[bool] = True
    takes_maximum: ClassVar[bool] = True

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C, H', W')``."""
        if set(shapes) != {self.input_shape}:
            raise self.mismatch(f"currents of shapes {list(shapes)}", str(self.input_shape))
        return super().output_shape(shapes)

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the largest sum of each window."""
        sums = wrap_int32(np.sum(inputs, axis=0, dtype=np.int64))
        return self._largest(sums, np.iinfo(np.int64).min)

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the sum of the intervals."""
        return total(arriving)
