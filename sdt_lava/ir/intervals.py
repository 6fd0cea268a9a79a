"""Compute with intervals per channel, which bound the output of nodes.

An interval holds for any input. Events may be absent, as in padding or before the first sample, so
the input of a connection always includes 0. No code here depends on signs; ends are sorted where a
factor may exchange them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdt_lava.ir.numerics import IntArray, Shape, power_shift

# Limit of ends, far beyond every register, so that sums of ends fit 64 bits.
BEYOND = 1 << 44


@dataclass(frozen=True, eq=False)
class Interval:
    """Lowest and highest value per channel.

    Parameters
    ----------
    low, high : ndarray of int64
        Ends ``(C,)`` with ``low <= high``.

    Raises
    ------
    ValueError
        If the ends have different shapes or are not in order.
    """

    low: IntArray
    high: IntArray

    def __post_init__(self) -> None:
        """Convert the ends to 64 bits and check their order."""
        low, high = (np.asarray(end, np.int64) for end in (self.low, self.high))
        if low.shape != high.shape or (low > high).any():
            raise ValueError(f"no interval: from {self.low} to {self.high}")
        object.__setattr__(self, "low", np.maximum(low, -BEYOND))
        object.__setattr__(self, "high", np.minimum(high, BEYOND))

    @classmethod
    def between(cls, one: IntArray, other: IntArray) -> Interval:
        """Return the interval between two values in any order."""
        return cls(np.minimum(one, other), np.maximum(one, other))

    def __iter__(self) -> Iterator[IntArray]:
        """Yield the lowest and highest values."""
        return iter((self.low, self.high))

    @property
    def or_nothing(self) -> Interval:
        """The interval extended by 0, for an event that may be absent."""
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
        """Repeat the values of channels for every position, as flattening in C order does."""
        repeats = int(np.prod(shape)) // shape[0]
        return Interval(np.repeat(self.low, repeats), np.repeat(self.high, repeats))

    def by_channel(self, channels: int) -> Interval:
        """Combine the positions of each channel."""
        low, high = (end.reshape(channels, -1) for end in (self.low, self.high))
        return Interval(low.min(axis=1), high.max(axis=1))


def total(intervals: Sequence[Interval]) -> Interval:
    """Return the sum of intervals of the same channels."""
    return Interval(
        np.sum([interval.low for interval in intervals], axis=0, dtype=np.int64),
        np.sum([interval.high for interval in intervals], axis=0, dtype=np.int64),
    )


def weighted(weight: Any, events: Interval) -> Interval:
    """Bound ``weight @ events`` for a dense or sparse matrix ``(outputs, inputs)``.

    Parameters
    ----------
    weight : ndarray or csr_matrix of int64
        Weights of either sign.
    events : Interval
        Interval of each input, whose events may be absent.
    """
    low, high = events.or_nothing
    positive, negative = _signs(weight)
    return Interval(positive @ low + negative @ high, positive @ high + negative @ low)


def _signs(weight: Any) -> tuple[Any, Any]:
    if hasattr(weight, "tocsr"):
        return weight.maximum(0), weight.minimum(0)
    return np.maximum(weight, 0), np.minimum(weight, 0)


def feedback(weight_rec: Any, shape: Shape) -> Interval:
    """Bound the recurrent input of a population, from none to all of its spikes."""
    weight = np.asarray(weight_rec, np.int64)
    spikes = Interval(np.zeros(len(weight), np.int64), np.ones(len(weight), np.int64))
    return weighted(weight, spikes).by_channel(shape[0])


def convolved(matrix: IntArray, groups: int, events: Interval) -> Interval:
    """Bound the sums of a convolution with weights ``(O, C / groups, kH, kW)``."""
    out, per_group = matrix.shape[:2]
    share, ends = out // groups, []
    for group in range(groups):
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


def spikes(channels: int) -> Interval:
    """Return the interval of spikes, 0 to 1."""
    return Interval(np.zeros(channels, np.int64), np.ones(channels, np.int64))
