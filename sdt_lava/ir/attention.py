"""Define the kinds of spike-driven self-attention: masks, token sums, means and dilations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sdt_lava.ir.base import CURRENTS, SPIKES, Node, Shape, Signal
from sdt_lava.ir.geometry import require_image
from sdt_lava.ir.intervals import Interval, spikes
from sdt_lava.ir.numerics import IntArray, doublings
from sdt_lava.ir.relations import (
    Blocks,
    Connectivity,
    channelwise,
    elementwise,
    one_to_one,
    pairs,
    window,
)
from sdt_lava.ir.windows import padded, taps


@dataclass(frozen=True, kw_only=True, eq=False)
class And(Node):
    """Mask of SDSA, with a spike where both inputs spike.

    The second input may have one value per channel, ``(C,)``, which then masks all tokens.
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

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the product of the spikes."""
        left, right = inputs
        return left & right.reshape(right.shape + (1,) * (left.ndim - right.ndim))

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the interval of spikes."""
        return spikes(shapes[0][0])

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of equal positions, or of a channel to all of its tokens."""
        if shapes[operand] == shapes[0]:
            return elementwise(shapes[0])
        tokens = int(np.prod(shapes[0][1:]))
        return channelwise(shapes[0][0], Blocks(tokens, 1, 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenSum(Node):
    """Column sum of SDSA, ``current[c] = weight * (number of tokens that spike in c)``."""

    weight: int = 1

    kind: ClassVar[str] = "token_sum"
    accepts: ClassVar[frozenset[Signal]] = SPIKES
    holds_sums: ClassVar[bool] = True

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C,)``."""
        require_image(self, shapes[0])
        return shapes[0][:1]

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the weighted sums."""
        return inputs[0].sum(axis=(-2, -1)) * self.weight

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Bound the sum of the spikes of all tokens."""
        tokens = shapes[0][1] * shapes[0][2]
        return arriving[0].or_nothing.times(tokens).times(self.weight)

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of all tokens of a channel to its sum."""
        return all_tokens(shapes[0])

    def doublings(self, source: Shape) -> IntArray:
        """Return the doublings of the weight."""
        return np.array(doublings(np.array([self.weight])))


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenMean(Node):
    """Mean of a residual stream over tokens.

    In a float graph, this is the mean. In an integer graph, it is ``sum >> shift``, rounding down,
    and the threshold of the reading neuron compensates for the rest of the division.
    """

    shift: int = 0

    kind: ClassVar[str] = "token_mean"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS
    carries_bias: ClassVar[bool] = True
    holds_sums: ClassVar[bool] = True
    selects: ClassVar[bool] = True

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C,)``."""
        require_image(self, shapes[0])
        return shapes[0][:1]

    @property
    def sum_exponent(self) -> int | IntArray:
        """Negative shift."""
        return -self.shift

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the sums over tokens."""
        return inputs[0].sum(axis=(-2, -1))

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Bound the shifted sum over tokens."""
        tokens = shapes[0][1] * shapes[0][2]
        return arriving[0].times(tokens).shifted(-self.shift)

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of all tokens of a channel to its mean."""
        return all_tokens(shapes[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenDilate(Node):
    """OR over neighbouring token indices and neighbouring channels within a head.

    The official network applies its 3x3 image pooling to an array ``(heads, N, C / heads)``. The
    window therefore extends over the ends of image rows, but never from one head to another.

    Parameters
    ----------
    heads : int
        Number of groups of channels.
    """

    heads: int = 1

    kind: ClassVar[str] = "token_dilate"
    accepts: ClassVar[frozenset[Signal]] = SPIKES
    emits: ClassVar[Signal] = Signal.SPIKE

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape of the input."""
        if len(shapes[0]) != 3:
            raise self.mismatch(f"input of shape {shapes[0]}", "an image-like input (C, H, W)")
        if self.heads < 1 or shapes[0][0] % self.heads:
            raise self.mismatch(f"{self.heads} heads", f"a divisor of {shapes[0][0]} channels")
        return shapes[0]

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the maximum of each 3x3 window over tokens and channels."""
        steps, batch, channels, height, width = inputs[0].shape
        # (T, B, heads, N, C / heads), as in the official code.
        grid = inputs[0].reshape(steps, batch, self.heads, channels // self.heads, height * width)
        grid = np.swapaxes(grid, -1, -2)
        tokens, per_head = grid.shape[-2:]
        around = padded(grid, (1, 1), 0)
        near = [values for _, _, values in taps(around, (tokens, per_head), (3, 3))]
        return np.swapaxes(np.max(near, axis=0), -1, -2).reshape(inputs[0].shape)

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the interval of spikes."""
        return spikes(shapes[0][0])

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of neighbouring channels within a head and neighbouring tokens."""
        channels, tokens = shapes[0][0], shapes[0][1] * shapes[0][2]
        index = np.arange(channels)
        near = np.abs(np.subtract.outer(index, index)) <= 1
        share = channels // self.heads
        rows, columns = np.nonzero(near & np.equal.outer(index // share, index // share))
        return Connectivity(
            pairs(rows, columns, (channels, channels)), window(tokens, tokens, 3, 1, 1, 1)
        )


def all_tokens(shape: Shape) -> Connectivity:
    """Return the relation of all tokens ``(C, H, W)`` of a channel to its value, ``(C,)``."""
    return Connectivity(one_to_one(shape[0]), Blocks(1, shape[1] * shape[2], 1))
