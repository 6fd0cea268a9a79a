"""The kinds of node in a spiking graph: what each computes, accepts and emits.

Every signal is an array ``(T, B, *shape)``; shapes here leave out time and batch. The same
classes hold a float graph (as traced from a model) and an integer graph (as exported): only the
arrays differ. No node knows Lava, torch or HDF5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sdt_lava.ir.base import (
    CURRENTS,
    EVENTS,
    SPIKES,
    Array,
    Node,
    Shape,
    Signal,
)
from sdt_lava.ir.numerics import (
    MAX_WEIGHT_EXPONENT,
    MIN_WEIGHT_EXPONENT,
    POOL_WINDOW_LIMIT,
    IntArray,
)


def _require_image(node: Node, shape: Shape) -> None:
    if len(shape) != 3:
        raise node.mismatch(f"input of shape {shape}", "an image-like input (C, H, W)")


def _window_output(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapse(Node):
    """Base of the connections that multiply events by weights and sum them up.

    Parameters
    ----------
    weight : ndarray
        Weights; even integers within +-254 in an integer graph.
    bias : ndarray, optional
        Per output channel, only in a float graph: an integer graph keeps biases in the
        neurons, where the hardware has them.
    exponent : int or ndarray of int
        Integer graph: the sums are multiplied by ``2 ** exponent`` (-8 to 7), rounding down; one
        exponent for the whole layer or one for each output channel, ``(O,)``. It lets branches of
        one residual stream, and channels of one layer, with weights of different size share one
        scale. The compiler makes one connection of each distinct exponent.
    """

    weight: Array
    bias: Array | None = None
    exponent: int | IntArray = 0

    accepts: ClassVar[frozenset[Signal]] = EVENTS

    @property
    def channel_exponents(self) -> IntArray:
        """Weight exponent of each output channel, ``(O,)``."""
        return np.broadcast_to(np.asarray(self.exponent, np.int64), self.weight.shape[:1])

    def _check_channels(self, channels: int) -> None:
        """Check what there may be one of for each output channel."""
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv(Synapse):
    """Two-dimensional convolution of events, ``(C, H, W)`` to ``(O, H', W')``.

    Parameters
    ----------
    weight : ndarray
        ``(O, C / groups, kH, kW)``.
    stride, padding, dilation : tuple of int
        Along height and width.
    groups : int
        Channel groups.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    kind: ClassVar[str] = "conv"

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(O, H', W')``."""
        _require_image(self, shapes[0])
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
        out_h = _window_output(height, kernel_h, self.stride[0], self.padding[0], self.dilation[0])
        out_w = _window_output(width, kernel_w, self.stride[1], self.padding[1], self.dilation[1])
        if min(out_h, out_w) < 1:
            raise self.mismatch(f"output of {out_h} x {out_w}", "at least 1 x 1")
        return out, out_h, out_w


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense(Synapse):
    """Fully connected synapses to ``(O,)``; weight ``(O, I)``.

    An image-like input is read in C order, channel first.
    """

    kind: ClassVar[str] = "dense"

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(O,)``."""
        if self.weight.ndim != 2 or int(np.prod(shapes[0])) != self.weight.shape[1]:
            raise self.mismatch(
                f"weight {self.weight.shape} on input {shapes[0]}",
                "weight (O, I) on an input of I values",
            )
        self._check_channels(self.weight.shape[0])
        return (self.weight.shape[0],)


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Node):
    """Reorder ``(C, H, W)`` into a vector, channel first (C order)."""

    kind: ClassVar[str] = "flatten"
    accepts: ClassVar[frozenset[Signal]] = EVENTS

    def output_signal(self, signals: Sequence[Signal]) -> Signal:
        """Pass on the kind received."""
        return signals[0]

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the flat shape."""
        return (int(np.prod(shapes[0])),)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sum(Node):
    """Base of the nodes that add up currents of one shape."""

    accepts: ClassVar[frozenset[Signal]] = CURRENTS
    max_inputs: ClassVar[int | None] = None

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the common shape of the input currents."""
        if len(set(shapes)) != 1:
            raise self.mismatch(f"currents of shapes {list(shapes)}", "one shape")
        return shapes[0]

    def _check_bias(self, bias: Array | None, shape: Shape) -> None:
        """Check that there is a bias for each channel, if there is one."""
        if bias is not None and bias.shape != shape[:1]:
            raise self.mismatch(f"bias of shape {bias.shape}", f"{shape[:1]}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Lif(Sum):
    """Leaky integrate-and-fire neurons; several input currents add up.

    Float graph: ``v <- v (1 - dv/4096) + x + bias``, spike at ``v > threshold``, hard reset to 0
    (the doubled variable of a tau = 2 neuron with decaying input, so that ``threshold`` is twice
    the model's). Integer graph: :func:`sdt_lava.ir.numerics.lif_step`.

    Parameters
    ----------
    threshold : float or int
        Firing threshold; the mantissa in an integer graph.
    voltage_decay, current_decay : int
        Lost share of v and u per step in 1/4096.
    bias : ndarray, optional
        A value per channel, the first axis of the shape: the sum of the biases of everything
        that feeds the neuron.
    bias_exponent : int
        Integer graph: the bias added to v is ``bias << bias_exponent``.
    """

    threshold: float
    voltage_decay: int = 2048
    current_decay: int = 4096
    bias: Array | None = None
    bias_exponent: int = 6

    kind: ClassVar[str] = "lif"
    emits: ClassVar[Signal] = Signal.SPIKE

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the common shape of the input currents."""
        shape = super().output_shape(shapes)
        self._check_bias(self.bias, shape)
        return shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Shortcut(Sum):
    """The membrane shortcut: the sum of currents before the next neurons, ``U' = U + branch``."""

    kind: ClassVar[str] = "shortcut"
    min_inputs: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Subsample(Node):
    """Keep every ``stride``-th row and column of a current, starting with the first."""

    stride: int = 2

    kind: ClassVar[str] = "subsample"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C, ceil(H / stride), ceil(W / stride))``."""
        _require_image(self, shapes[0])
        if self.stride < 1:
            raise self.mismatch(f"stride {self.stride}", "at least 1")
        channels, height, width = shapes[0]
        return channels, -(-height // self.stride), -(-width // self.stride)


@dataclass(frozen=True, kw_only=True, eq=False)
class And(Node):
    """The mask of SDSA: a spike where both inputs spike.

    The second input may have one value a channel, ``(C,)``; it then masks all tokens.
    """

    kind: ClassVar[str] = "and"
    accepts: ClassVar[frozenset[Signal]] = SPIKES
    emits: ClassVar[Signal] = Signal.SPIKE
    min_inputs: ClassVar[int] = 2
    max_inputs: ClassVar[int | None] = 2

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape of the first input."""
        if shapes[1] not in (shapes[0], shapes[0][:1]):
            raise self.mismatch(
                f"inputs {shapes[0]} and {shapes[1]}", "equal shapes, or (C,) second"
            )
        return shapes[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenSum(Node):
    """Column sum of SDSA: ``current[c] = weight * (number of tokens that spike in c)``."""

    weight: int = 1

    kind: ClassVar[str] = "token_sum"
    accepts: ClassVar[frozenset[Signal]] = SPIKES

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C,)``."""
        _require_image(self, shapes[0])
        return shapes[0][:1]


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenMean(Node):
    """Sum of a residual stream over tokens, divided.

    Float graph: the mean. Integer graph: ``sum >> shift``, rounding down; the reading
    neuron's threshold makes up for the rest of the division.
    """

    shift: int = 0

    kind: ClassVar[str] = "token_mean"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C,)``."""
        _require_image(self, shapes[0])
        return shapes[0][:1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(Node):
    """Base of the poolings over square windows.

    Parameters
    ----------
    kernel, stride, padding : int
        Side of the window, distance between windows, and border around the image.
    """

    kernel: int = 3
    stride: int = 2
    padding: int = 1

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C, H', W')``."""
        _require_image(self, shapes[0])
        if self.kernel < 1 or self.stride < 1 or not 0 <= self.padding <= self.kernel // 2:
            raise self.mismatch(
                f"kernel {self.kernel}, stride {self.stride}, padding {self.padding}",
                "kernel and stride of at least 1, padding of at most half the kernel",
            )
        channels, height, width = shapes[0]
        out_h = _window_output(height, self.kernel, self.stride, self.padding)
        out_w = _window_output(width, self.kernel, self.stride, self.padding)
        if min(out_h, out_w) < 1:
            raise self.mismatch(f"output of {out_h} x {out_w}", "at least 1 x 1")
        return channels, out_h, out_w


@dataclass(frozen=True, kw_only=True, eq=False)
class OrPool(Pool):
    """Max-pool of spikes: a spike where any input of the window spikes."""

    kind: ClassVar[str] = "or_pool"
    accepts: ClassVar[frozenset[Signal]] = SPIKES
    emits: ClassVar[Signal] = Signal.SPIKE

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C, H', W')``; the gate of a window has to hold the sum of its spikes."""
        shape = super().output_shape(shapes)
        _, height, width = shapes[0]
        positions = min(self.kernel, height) * min(self.kernel, width)
        if positions > POOL_WINDOW_LIMIT:
            raise self.mismatch(
                f"windows of {positions:,} values", f"at most {POOL_WINDOW_LIMIT:,}"
            )
        return shape


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool(Pool):
    """Max-pool of currents, only in networks that pool before the neuron (official models)."""

    kind: ClassVar[str] = "max_pool"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS


@dataclass(frozen=True, kw_only=True, eq=False)
class Readout(Synapse):
    """Linear head: ``y[t] = weight @ s[t] + bias``; the logits are the sum of y over time.

    The bias stays here in an integer graph too, because it is added on the host.

    Parameters
    ----------
    weight : ndarray
        ``(classes, C)``.
    scale : float
        Integer graph: logits per unit of the float model's.
    """

    scale: float = 1.0

    kind: ClassVar[str] = "readout"
    emits: ClassVar[Signal] = Signal.LOGITS

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(classes,)``."""
        if self.weight.ndim != 2 or shapes[0] != (self.weight.shape[1],):
            raise self.mismatch(
                f"weight {self.weight.shape} on input {shapes[0]}", "weight (K, C) on input (C,)"
            )
        self._check_channels(self.weight.shape[0])
        return (self.weight.shape[0],)
