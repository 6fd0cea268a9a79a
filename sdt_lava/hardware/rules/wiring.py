"""Check delays, and the numbers of connections of neurons."""

from __future__ import annotations

from collections.abc import Iterator

from sdt_lava.compiler.partition import Connection
from sdt_lava.hardware.rules.base import WARNING, RuleContext, Violation, rule
from sdt_lava.ir import Conv
from sdt_lava.ir.fan_out import fan_out as count_fan_out
from sdt_lava.ir.numerics import IntArray

_NARROWER = "a narrower layer before it, smaller kernels, or more groups"


@rule("delay_max")
def delay(context: RuleContext) -> Iterator[Violation]:
    """Delays fit their bits."""
    limit = context.target.limit("delay_max")
    for connection in context.connections:
        if limit is not None and connection.delay > limit:
            yield Violation(
                "delay",
                connection.node.name,
                f"{connection.delay} steps",
                f"at most {limit}",
                "shorten the path that it is balanced with",
            )


@rule("delay_max")
def split_delay(context: RuleContext) -> Iterator[Violation]:
    """Delays that do not fit are split over populations that forward events."""
    limit = context.target.limit("delay_max")
    for split in context.compiled.splits:
        yield Violation(
            "split_delay",
            split.connection,
            f"{split.delay} steps",
            f"at most {limit}",
            f"nothing: it is split over {split.kind}s {', '.join(split.through)}",
            WARNING,
        )


@rule()
def conv_delay(context: RuleContext) -> Iterator[Violation]:
    """Convolutions have no delays: Lava's Conv has none."""
    for connection in context.connections:
        if isinstance(connection.node, Conv) and connection.delay:
            yield Violation(
                "conv_delay",
                connection.node.name,
                f"{connection.delay} steps",
                "0",
                "--shortcut relay, or --convolutions sparse if the matrix fits",
            )


@rule("fan_in_max")
def fan_in(context: RuleContext) -> Iterator[Violation]:
    """Neurons have no more synapses than the target allows."""
    yield from _most_synapses(context, "fan_in", context.target.limit("fan_in_max"), "synapses")


@rule("axons_in_per_core")
def axons(context: RuleContext) -> Iterator[Violation]:
    """The sources of each single neuron fit the input axons of a core, whatever the mapping."""
    limit = context.target.limit("axons_in_per_core")
    yield from _most_synapses(context, "axons", limit, "sources of one neuron")


@rule("fan_out_max")
def fan_out(context: RuleContext) -> Iterator[Violation]:
    """Spikes reach no more synapses than the target allows."""
    limit = context.target.limit("fan_out_max")
    if limit is None:
        return
    fan_outs: dict[str, IntArray] = {}
    for connection in context.connections:
        count = count_fan_out(connection.node, connection.source_shape)
        fan_outs[connection.source] = fan_outs.get(connection.source, 0) + count
    for source, counts in fan_outs.items():
        if counts.max() > limit:
            yield Violation(
                "fan_out",
                source,
                f"{counts.max():,} synapses",
                f"at most {limit:,}",
                "narrower layers behind it, smaller kernels, or more groups",
            )


def _most_synapses(
    context: RuleContext, name: str, limit: int | None, what: str
) -> Iterator[Violation]:
    if limit is None:
        return
    total: dict[str, int] = {}
    for connection in context.connections:
        most = largest_fan_in(connection)
        total[connection.reader] = total.get(connection.reader, 0) + most
    for reader, count in total.items():
        if count > limit:
            yield Violation(name, reader, f"{count:,} {what}", f"at most {limit:,}", _NARROWER)


def largest_fan_in(connection: Connection) -> int:
    """Return the largest number of synapses that a connection has on one neuron.

    Parameters
    ----------
    connection : Connection
        The connection.
    """
    return int(connection.node.relation([connection.source_shape]).fan_in.max(initial=0))
