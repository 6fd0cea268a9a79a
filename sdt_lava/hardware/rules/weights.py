"""Check weights and their exponents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sdt_lava.hardware.rules.base import WARNING, RuleContext, Violation, rule, span
from sdt_lava.ir import Conv, Dense, Sparse
from sdt_lava.ir.numerics import IntArray

_EXPORT_AGAIN = "export the network again with sdt-export"


def _weights(node: Sparse | Dense | Conv) -> IntArray:
    """Return the weights of a connection, in any shape."""
    return np.asarray(node.weight.data if isinstance(node, Sparse) else node.weight)


@dataclass(frozen=True)
class _Storage:
    """How a target stores weights: a matrix with both signs uses the lowest bit for the sign.

    Parameters
    ----------
    low, high : int
        Range of weights in a matrix with both signs, and largest magnitude in one with a single
        sign.
    step : int
        Weights of a matrix with mixed signs are multiples of this step.
    """

    low: int
    high: int
    step: int

    @classmethod
    def of(cls, context: RuleContext) -> _Storage | None:
        """Return the storage of the target, or None if the target states no range."""
        low, high = context.target.limit("weight_min"), context.target.limit("weight_max")
        step = context.target.limit("mixed_weight_step")
        return None if low is None or high is None else cls(low, high, step or 1)

    def in_range(self, weight: IntArray) -> bool:
        """Return whether the magnitudes fit."""
        low, high = weight.min(initial=0), weight.max(initial=0)
        return bool(high <= self.high and low >= (self.low if high > 0 else -self.high))

    def in_steps(self, weight: IntArray) -> bool:
        """Return whether the weights are exact after the sign takes a bit."""
        mixed = weight.min(initial=0) < 0 < weight.max(initial=0)
        return not (mixed and (weight % self.step).any())

    def shift(self, node: Sparse | Dense | Conv) -> int | None:
        """Return the weight exponent with which the weights fit, or None if there is none.

        Doubled weights with an exponent of -1 are equivalent, and so are halved weights with an
        exponent of 1. Only matrices have exponents, and only a lone sign bit needs halving.
        """
        weight = _weights(node)
        shifts = {0: weight}
        if not isinstance(node, Conv):
            shifts[-1] = 2 * weight
            lone_sign_bit = weight.max(initial=0) <= 0 and weight.min(initial=0) == self.low
            if lone_sign_bit and not (weight % 2).any():
                shifts[1] = weight // 2
        fitting = (k for k, w in shifts.items() if self.in_range(w) and self.in_steps(w))
        return next(fitting, None)


@rule("weight_min", "weight_max")
def weight_range(context: RuleContext) -> Iterator[Violation]:
    """Weights fit the bits of a synapse."""
    storage = _Storage.of(context)
    for connection in context.connections if storage else ():
        assert storage is not None
        weight = _weights(connection.node)
        if storage.shift(connection.node) is None and not storage.in_range(weight):
            low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
            allowed = span(storage.low if high > 0 else -storage.high, storage.high)
            yield Violation(
                "weight_range",
                connection.node.name,
                span(low, high),
                allowed if high > 0 else f"{allowed} (no positive weights)",
                _EXPORT_AGAIN,
            )


@rule("mixed_weight_step")
def mixed_weight_step(context: RuleContext) -> Iterator[Violation]:
    """Weights of mixed signs are multiples of the step, or small: the sign takes a bit."""
    storage = _Storage.of(context)
    for connection in context.connections if storage else ():
        assert storage is not None
        weight = _weights(connection.node)
        if storage.shift(connection.node) is None and storage.in_range(weight):
            odd = weight[weight % storage.step != 0]
            yield Violation(
                "mixed_weight_step",
                connection.node.name,
                f"{odd.size:,} weights such as {odd[0]}",
                f"multiples of {storage.step} where signs are mixed"
                + ("" if isinstance(connection.node, Conv) else ", or half of the range"),
                _EXPORT_AGAIN,
            )


@rule()
def zero_weights(context: RuleContext) -> Iterator[Violation]:
    """Connections have a weight other than 0: all-zero ones take memory and do nothing."""
    for connection in context.connections:
        if not _weights(connection.node).any():
            yield Violation(
                "zero_weights",
                connection.node.name,
                "only weights of 0",
                "any other weight",
                "remove the layer; Lava before 0.6 cannot even build it (lava-nc/lava#501)",
                WARNING,
            )


@rule("weight_exponent_min", "weight_exponent_max")
def weight_exponent(context: RuleContext) -> Iterator[Violation]:
    """Weight exponents fit their bits."""
    low = context.target.limit("weight_exponent_min")
    high = context.target.limit("weight_exponent_max")
    if low is None or high is None:
        return
    storage = _Storage.of(context)
    for connection in context.connections:
        shift = storage.shift(connection.node) if storage else 0
        exponents = np.asarray(connection.node.exponent) + (shift or 0)
        least, largest = int(exponents.min()), int(exponents.max())
        if least < low or largest > high:
            yield Violation(
                "weight_exponent",
                connection.node.name,
                span(least, largest),
                span(low, high),
                "smaller scales: train with weight decay and export again",
            )


@rule("conv_exponent_max")
def conv_exponent(context: RuleContext) -> Iterator[Violation]:
    """Convolutions have no weight exponents if the target's convolutions ignore them."""
    limit = context.target.limit("conv_exponent_max")
    if limit is None:
        return
    for connection in context.connections:
        if not isinstance(connection.node, Conv):
            continue
        largest = int(np.max(connection.node.exponent))
        if largest > limit:
            yield Violation(
                "conv_exponent",
                connection.node.name,
                f"exponent {largest}",
                f"at most {limit}",
                "compile the network for this target, which splits such convolutions",
            )
