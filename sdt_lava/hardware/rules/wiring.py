"""Delays, and how many connections a neuron has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sdt_lava.compiler.partition import Connection
from sdt_lava.hardware.rules.base import WARNING, RuleContext, Violation, rule
from sdt_lava.ir import Conv, Dense, Node, Shape, Sparse
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
    reached: dict[str, IntArray] = {}
    for connection in context.connections:
        count = count_fan_out(connection.node, connection.source_shape)
        reached[connection.source] = reached.get(connection.source, 0) + count
    for source, counts in reached.items():
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
        most = largest_fan_in(connection, context.compiled.graph.shapes[connection.node.name])
        total[connection.reader] = total.get(connection.reader, 0) + most
    for reader, count in total.items():
        if count > limit:
            yield Violation(name, reader, f"{count:,} {what}", f"at most {limit:,}", _NARROWER)


def largest_fan_in(connection: Connection, shape: Shape) -> int:
    """Return the largest number of synapses that a connection gives to a neuron.

    Parameters
    ----------
    connection : Connection
        The connection.
    shape : tuple of int
        Shape of the population that reads it.
    """
    return _FAN_IN[type(connection.node)](connection.node, connection.source_shape, shape)


def _conv(node: Conv, source: Shape, shape: Shape) -> int:
    _, per_group, *kernel = node.weight.shape
    taps = [
        _most_taps(*sizes)
        for sizes in zip(
            source[1:], shape[1:], kernel, node.stride, node.padding, node.dilation, strict=True
        )
    ]
    return int(per_group * np.prod(taps))


def _most_taps(
    size: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int
) -> int:
    """Return how many kernel elements lie inside the image, where most do, along one axis."""
    read = np.add.outer(np.arange(outputs) * stride - padding, np.arange(kernel) * dilation)
    return int(((read >= 0) & (read < size)).sum(axis=1).max())


def _dense(node: Dense, source: Shape, shape: Shape) -> int:
    return int(node.weight.shape[1])


def _sparse(node: Sparse, source: Shape, shape: Shape) -> int:
    return int(np.diff(node.weight.indptr).max(initial=0))


_FAN_IN: dict[type[Node], Callable[[Any, Shape, Shape], int]] = {
    Conv: _conv,
    Dense: _dense,
    Sparse: _sparse,
}
