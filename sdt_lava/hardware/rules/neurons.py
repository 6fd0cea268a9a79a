"""Check the parameters of neurons."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sdt_lava.hardware.rules.base import RuleContext, Violation, rule, span
from sdt_lava.ir.numerics import DECAY_UNITY

_PER_POPULATION = ("threshold", "voltage_decay", "current_decay")


@rule("threshold_max")
def threshold(context: RuleContext) -> Iterator[Violation]:
    """Threshold mantissas fit their bits."""
    limit = context.target.limit("threshold_max")
    for node in context.populations:
        if limit is None or not hasattr(node, "threshold"):
            continue
        values = np.asarray(node.threshold, np.int64)
        least, largest = int(values.min()), int(values.max())
        if least < 0 or largest > limit:
            yield Violation(
                "threshold",
                node.name,
                span(least, largest),
                span(0, limit),
                "export with a smaller scale, or train with a smaller threshold",
            )


@rule("bias_min", "bias_max")
def bias(context: RuleContext) -> Iterator[Violation]:
    """Bias mantissas fit their bits."""
    low, high = context.target.limit("bias_min"), context.target.limit("bias_max")
    for node in context.neurons_with_memory:
        if low is None or high is None or node.bias is None:
            continue
        values = np.asarray(node.bias, np.int64)
        least, largest = int(values.min()), int(values.max())
        if least < low or largest > high:
            yield Violation(
                "bias",
                node.name,
                span(least, largest),
                span(low, high),
                "a bias exponent one higher for every factor of two, up to its own limit",
            )


@rule("bias_exponent_max")
def bias_exponent(context: RuleContext) -> Iterator[Violation]:
    """Bias exponents fit their bits."""
    limit = context.target.limit("bias_exponent_max")
    for node in context.neurons_with_memory:
        if limit is None or 0 <= node.bias_exponent <= limit:
            continue
        yield Violation(
            "bias_exponent",
            node.name,
            str(node.bias_exponent),
            span(0, limit),
            "larger mantissas with a smaller exponent, or a smaller bias",
        )


@rule("decay_max")
def voltage_decay(context: RuleContext) -> Iterator[Violation]:
    """Decays of v fit their bits."""
    limit = context.target.limit("decay_max")
    for node in context.neurons_with_memory:
        if limit is None:
            continue
        least, largest = int(np.min(node.voltage_decay)), int(np.max(node.voltage_decay))
        if least < 0 or largest > limit:
            yield Violation(
                "voltage_decay",
                node.name,
                span(least, largest),
                span(0, limit),
                "4095 leaves 1/4096 of v: the same for non-negative sums and thresholds below 64, "
                "and below 4096 if no sum equals the threshold",
            )


@rule("decay_max")
def current_decay(context: RuleContext) -> Iterator[Violation]:
    """Decays of u fit their bits; Lava's du is one less than the share that is lost."""
    limit = context.target.limit("decay_max")
    for node in context.neurons_with_memory:
        if limit is None:
            continue
        least, largest = int(np.min(node.current_decay)), int(np.max(node.current_decay))
        highest = min(limit + 1, DECAY_UNITY)
        if least < 1 or largest > highest:
            yield Violation(
                "current_decay",
                node.name,
                span(least, largest),
                f"{span(1, highest)} (du = {span(0, highest - 1)})",
                "train with a current decay in this range",
            )


@rule()
def shared_parameters(context: RuleContext) -> Iterator[Violation]:
    """Populations of neurons have one threshold and one decay of each kind."""
    if not context.target.is_hardware:
        return
    for node in context.populations:
        for name in _PER_POPULATION:
            values = getattr(node, name, 0)
            if np.ndim(values) and np.ptp(values):
                yield Violation(
                    "shared_parameters",
                    node.name,
                    f"{len(np.unique(values))} values of {name}",
                    "one value for the whole population",
                    "train with shared parameters, or split the layer",
                )
