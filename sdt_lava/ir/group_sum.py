"""The sum over groups of neurons at the end of a network, which lava-dl calls an average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from sdt_lava.ir.base import SPIKES, Node, Shape, Signal


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupSum(Node):
    """Spikes of each group of consecutive neurons: ``y[k] = sum of s over group k``.

    The logits are the sum of y over time; divided by the neurons of a group they are the mean that
    SLAYER's ``Average`` block returns. The host adds up: no population has these sums.

    Parameters
    ----------
    groups : int
        How many there are; neurons follow one another in C order.
    """

    groups: int

    kind: ClassVar[str] = "group_sum"
    accepts: ClassVar[frozenset[Signal]] = SPIKES
    emits: ClassVar[Signal] = Signal.LOGITS

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(groups,)``."""
        neurons = prod(shapes[0])
        if self.groups < 1 or neurons % self.groups:
            raise self.mismatch(f"{self.groups} groups of {neurons} neurons", "groups of one size")
        return (self.groups,)
