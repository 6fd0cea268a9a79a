"""What each kind of node can emit, from what arrives: the rules of interval arithmetic.

An interval holds for any input. Events may be absent, so that 0 is always among what a connection
receives: padding, and steps before the first sample. Nothing here looks at the sign of anything;
ends are put in order where a factor may exchange them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdt_lava.ir import (
    And,
    Conv,
    CubaLif,
    Dense,
    Flatten,
    Gate,
    GroupSum,
    Input,
    Lif,
    MaxPool,
    MaxRelay,
    Node,
    OrPool,
    Readout,
    Relay,
    Shortcut,
    Sparse,
    Subsample,
    TokenDilate,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.base import Shape
from sdt_lava.ir.numerics import IntArray, power_shift

# Ends stop here, far beyond every register: sums of them still fit 64 bits.
BEYOND = 1 << 44


@dataclass(frozen=True, eq=False)
class Interval:
    """Lowest and highest values, by channel.

    Parameters
    ----------
    low, high : ndarray of int64
        ``(C,)``; no end may be on the other's side.

    Raises
    ------
    ValueError
        If the ends are not of one shape and in order.
    """

    low: IntArray
    high: IntArray

    def __post_init__(self) -> None:
        """Bring the ends to 64 bits and check their order."""
        low, high = (np.asarray(end, np.int64) for end in (self.low, self.high))
        if low.shape != high.shape or (low > high).any():
            raise ValueError(f"no interval: from {self.low} to {self.high}")
        object.__setattr__(self, "low", np.maximum(low, -BEYOND))
        object.__setattr__(self, "high", np.minimum(high, BEYOND))

    @classmethod
    def between(cls, one: IntArray, other: IntArray) -> Interval:
        """Return the interval between two values, in whatever order they come."""
        return cls(np.minimum(one, other), np.maximum(one, other))

    def __iter__(self) -> Iterator[IntArray]:
        """Yield the lowest and the highest values."""
        return iter((self.low, self.high))

    @property
    def or_nothing(self) -> Interval:
        """With 0, for an event that may be absent."""
        return Interval(np.minimum(self.low, 0), np.maximum(self.high, 0))

    @property
    def largest(self) -> int:
        """Largest magnitude of all channels."""
        return int(max(-self.low.min(initial=0), self.high.max(initial=0)))

    def times(self, factor: int) -> Interval:
        """Multiply by a factor of either sign."""
        return Interval.between(self.low * factor, self.high * factor)

    def shifted(self, exponent: int | IntArray) -> Interval:
        """Multiply by ``2 ** exponent``, rounding down."""
        return Interval(power_shift(self.low, exponent, 0), power_shift(self.high, exponent, 0))

    def plus(self, values: IntArray | int) -> Interval:
        """Add a constant to each channel."""
        return Interval(self.low + values, self.high + values)

    def spread(self, shape: Shape) -> Interval:
        """Repeat what is known of channels for every position, as flattening in C order does."""
        repeats = int(np.prod(shape)) // shape[0]
        return Interval(np.repeat(self.low, repeats), np.repeat(self.high, repeats))

    def by_channel(self, channels: int) -> Interval:
        """Take together the positions of each channel."""
        low, high = (end.reshape(channels, -1) for end in (self.low, self.high))
        return Interval(low.min(axis=1), high.max(axis=1))


def total(intervals: Sequence[Interval]) -> Interval:
    """Add up intervals, of the same channels."""
    return Interval(
        np.sum([interval.low for interval in intervals], axis=0, dtype=np.int64),
        np.sum([interval.high for interval in intervals], axis=0, dtype=np.int64),
    )


def weighted(weight: Any, events: Interval) -> Interval:
    """Bound ``weight @ events`` for a matrix ``(outputs, inputs)``, dense or sparse.

    Parameters
    ----------
    weight : ndarray or csr_matrix of int64
        Weights of either sign.
    events : Interval
        Of each input; an event may be absent.
    """
    low, high = events.or_nothing
    positive, negative = _signs(weight)
    return Interval(positive @ low + negative @ high, positive @ high + negative @ low)


def _signs(weight: Any) -> tuple[Any, Any]:
    if hasattr(weight, "tocsr"):
        return weight.maximum(0), weight.minimum(0)
    return np.maximum(weight, 0), np.minimum(weight, 0)


def feedback(weight_rec: Any, shape: Shape) -> Interval:
    """Bound what a population sends to itself: from none to all of its spikes."""
    weight = np.asarray(weight_rec, np.int64)
    spikes = Interval(np.zeros(len(weight), np.int64), np.ones(len(weight), np.int64))
    return weighted(weight, spikes).by_channel(shape[0])


def convolved(node: Conv, events: Interval) -> Interval:
    """Bound a convolution's sums, before its exponent."""
    matrix = np.asarray(node.weight, np.int64)
    out, per_group = matrix.shape[:2]
    share, ends = out // node.groups, []
    for group in range(node.groups):
        rows = matrix[group * share : (group + 1) * share]
        columns = slice(group * per_group, (group + 1) * per_group)
        taps = int(np.prod(matrix.shape[2:]))
        arriving = Interval(
            np.repeat(events.low[columns], taps), np.repeat(events.high[columns], taps)
        )
        ends.append(weighted(rows.reshape(share, -1), arriving))
    return Interval(
        np.concatenate([part.low for part in ends]), np.concatenate([part.high for part in ends])
    )


def _input(node: Input, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    ones = np.ones(node.shape[0], np.int64)
    return Interval(node.low * ones, node.high * ones)


def _conv(node: Conv, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    return convolved(node, arriving[0]).shifted(node.exponent)


def _dense(node: Dense | Readout, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    sums = weighted(np.asarray(node.weight, np.int64), arriving[0].spread(shapes[0]))
    bias = 0 if node.bias is None else np.asarray(node.bias, np.int64)
    return sums.shifted(node.exponent).plus(bias)


def _flatten(node: Flatten, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    return arriving[0].spread(shapes[0])


def _spikes(node: Node, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    channels = node.output_shape(shapes)[0]
    return Interval(np.zeros(channels, np.int64), np.ones(channels, np.int64))


def _sparse(node: Sparse, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    sums = weighted(node.weight.astype(np.int64), arriving[0].spread(shapes[0]))
    return sums.by_channel(node.shape[0]).shifted(node.exponent)


def _sum(node: Node, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    return total(arriving)


def _same(node: Node, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    return arriving[0]


def _token_sum(node: TokenSum, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    tokens = shapes[0][1] * shapes[0][2]
    return arriving[0].or_nothing.times(tokens).times(node.weight)


def _token_mean(node: TokenMean, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    tokens = shapes[0][1] * shapes[0][2]
    return arriving[0].times(tokens).shifted(-node.shift)


def _group_sum(node: GroupSum, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    size = int(np.prod(shapes[0])) // node.groups
    return Interval(np.zeros(node.groups, np.int64), np.full(node.groups, size))


# What a node emits, from what arrives and the shapes of that.
INTERVALS: dict[type[Node], Callable[[Any, list[Interval], list[Shape]], Interval]] = {
    Input: _input,
    Conv: _conv,
    Dense: _dense,
    Flatten: _flatten,
    Lif: _spikes,
    CubaLif: _spikes,
    And: _spikes,
    OrPool: _spikes,
    TokenDilate: _spikes,
    Shortcut: _sum,
    Relay: _sum,
    MaxRelay: _sum,
    Gate: _spikes,
    Sparse: _sparse,
    Subsample: _same,
    MaxPool: _same,
    TokenSum: _token_sum,
    TokenMean: _token_mean,
    Readout: _dense,
    GroupSum: _group_sum,
}
