"""Define the ends of a network, which the host reads as logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from sdt_lava.ir.base import SPIKES, Node, Shape, Signal
from sdt_lava.ir.intervals import Interval, weighted
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.relations import Blocks, Connectivity
from sdt_lava.ir.synapses import Synapse, constant


@dataclass(frozen=True, kw_only=True, eq=False)
class Readout(Synapse):
    """Linear head, ``y[t] = weight @ s[t] + bias``; the logits are the sum of y over time.

    The bias stays in this node even in an integer graph, because the host adds it.

    Parameters
    ----------
    weight : ndarray
        Weights ``(classes, C)``.
    scale : float
        In an integer graph, integer logits per unit of the float model's logits.
    """

    scale: float = 1.0

    kind: ClassVar[str] = "readout"
    emits: ClassVar[Signal] = Signal.LOGITS
    sends_payload: ClassVar[bool] = True

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(classes,)``."""
        if self.weight.ndim != 2 or shapes[0] != (self.weight.shape[1],):
            raise self.mismatch(
                f"weight {self.weight.shape} on input {shapes[0]}", "weight (K, C) on input (C,)"
            )
        self._check_channels(self.weight.shape[0])
        return (self.weight.shape[0],)

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the product with the weight matrix."""
        return inputs[0] @ np.asarray(self.weight, np.int64).T

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Bound the weighted sums including the bias."""
        sums = weighted(np.asarray(self.weight, np.int64), arriving[0].spread(shapes[0]))
        return sums.shifted(self.exponent).plus(constant(self.bias))

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of every input to every output."""
        return Connectivity(Blocks(len(self.weight), shapes[0][0], 1), Blocks(1, 1, 1))

    def completed(self, sent: IntArray) -> IntArray:
        """Add the bias, as the host does."""
        return sent + constant(self.bias)


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupSum(Node):
    """Sums of spikes over groups of consecutive neurons, ``y[k] = sum of s over group k``.

    The logits are the sum of y over time. Divided by the neurons of a group, they are the mean that
    SLAYER's ``Average`` block returns. The host computes the sums; there is no population for them.

    Parameters
    ----------
    groups : int
        Number of groups of consecutive neurons in C order.
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

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the number of spikes of each group."""
        return inputs[0].reshape(*inputs[0].shape[:2], self.groups, -1).sum(axis=3)

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the interval from none to all spikes of a group."""
        size = prod(shapes[0]) // self.groups
        return Interval(np.zeros(self.groups, np.int64), np.full(self.groups, size))

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the relation of groups of consecutive neurons, by flat indices."""
        return Connectivity(Blocks(1, 1, 1), Blocks(self.groups, prod(shapes[0]), self.groups))
