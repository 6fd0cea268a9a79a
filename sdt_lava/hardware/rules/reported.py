"""Warn of problems that users of the hardware have reported, each with its source."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from sdt_lava.hardware.rules.base import WARNING, WHOLE_NETWORK, RuleContext, Violation, rule
from sdt_lava.ir import Conv


@rule("conv_input_reported")
def conv_input_size(context: RuleContext) -> Iterator[Violation]:
    """Inputs of convolutions are no larger than the largest reported to run."""
    limit = context.target.limit("conv_input_reported")
    for connection in context.connections:
        size = prod(connection.source_shape)
        if limit is not None and isinstance(connection.node, Conv) and size > limit:
            yield Violation(
                "conv_input_size",
                connection.node.name,
                f"{size:,} inputs",
                f"{limit:,} are reported to run",
                "use --timeout: larger ones are reported to run forever",
                WARNING,
            )


@rule("conv_width_reported")
def conv_width(context: RuleContext) -> Iterator[Violation]:
    """Convolutions end before the column at which they are reported to be inexact."""
    step = context.target.limit("conv_width_reported")
    for connection in context.connections:
        if step is None or not isinstance(connection.node, Conv):
            continue
        width = connection.source_shape[2]
        if width > step:
            yield Violation(
                "conv_width",
                connection.node.name,
                f"{width} columns",
                f"{step} are reported to be exact",
                "compare the hardware's spikes with the simulator's",
                WARNING,
            )


@rule("lif_scaling_reported")
def lif_scaling(context: RuleContext) -> Iterator[Violation]:
    """Neurons compute the same on the chip as in Lava's simulator."""
    lifs = list(context.neurons_with_memory)
    if context.target.limit("lif_scaling_reported") and lifs:
        yield Violation(
            "lif_scaling",
            WHOLE_NETWORK,
            f"{len(lifs)} populations of LIF neurons",
            "the same parameters on chip and CPU",
            "compare the hardware's spikes with the simulator's on a few samples first",
            WARNING,
        )
