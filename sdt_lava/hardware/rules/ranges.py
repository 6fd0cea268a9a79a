"""Check the ranges of sums, states and messages, with proven bounds or with measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any

from sdt_lava.hardware.rules.base import ERROR, WARNING, RuleContext, Violation, rule
from sdt_lava.ir import Signal
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.numerics import GRADED_BITS

_MEASURE = "sdt-lava check NETWORK --data DATA measures it; or export again with --calibration"


@rule("activation_max")
def activation(context: RuleContext) -> Iterator[Violation]:
    """Sums of a neuron's input fit the current that they are added to."""
    limit = context.target.limit("activation_max")
    yield from _too_large(context, "activation", limit, attrgetter("activation"))


@rule("state_max")
def state_width(context: RuleContext) -> Iterator[Violation]:
    """Membranes of neurons fit their bits."""
    limit = context.target.limit("state_max")
    yield from _too_large(context, "state_width", limit, attrgetter("membrane"))


@rule("payload_max")
def payload(context: RuleContext) -> Iterator[Violation]:
    """Payloads of graded spikes fit their bits."""
    limit = context.target.limit("payload_max")
    graph = context.compiled.graph
    for name in graph.order:
        if limit is None or graph.signals[name] is not Signal.GRADED:
            continue
        largest = context.largest_payload(name)
        if largest > limit:
            is_input = name == graph.input.name
            if is_input:
                remedy = "an input of fewer levels"
            elif name in graph.message_names:
                remedy = "sdt-lava check NETWORK --data DATA measures states, which are larger"
            else:
                remedy = "smaller scales: export again"
            yield Violation(
                "payload",
                name,
                f"up to {largest:,}",
                f"at most {limit:,}",
                remedy,
                ERROR if is_input or limit <= 1 else WARNING,
            )


@rule("message_bits_max")
def message_bits(context: RuleContext) -> Iterator[Violation]:
    """Graded connections need no more message bits than the target has."""
    limit = context.target.limit("message_bits_max")
    for connection in context.connections:
        if limit is not None and connection.graded and limit < GRADED_BITS:
            yield Violation(
                "message_bits",
                connection.node.name,
                f"{GRADED_BITS} bits, from {connection.source}",
                f"at most {limit}",
                "binary input and --shortcut unrolled need none",
            )


def _too_large(
    context: RuleContext, rule_name: str, limit: int | None, largest: Callable[[Extremes], int]
) -> Iterator[Violation]:
    """Compare the bounds of neurons with a limit, and look for evidence if they exceed it."""
    for name, extremes in context.bounds.extremes.items():
        if limit is None or largest(extremes) <= limit:
            continue
        measured = context.measured.get(name)
        evidence, severity = _evidence(
            context, name, None if measured is None else largest(measured), limit
        )
        yield Violation(
            rule_name,
            name,
            f"worst case {largest(extremes):,}; {evidence}",
            f"at most {limit:,}",
            "nothing, if the data is typical" if severity == WARNING else _MEASURE,
            severity,
        )


def _evidence(context: RuleContext, name: str, seen: int | None, limit: int) -> tuple[str, str]:
    """Return what is known beyond the worst case, and the severity that follows."""
    if seen is not None:
        return f"data reached {seen:,}", ERROR if seen > limit else WARNING
    metadata = context.compiled.source.metadata
    if str(metadata.get("weights")).startswith("random"):
        return "weights are random", WARNING
    headroom = _reported_headroom(metadata, name)
    if headroom >= 1:
        return f"{headroom:.1f} times less on the calibration data", WARNING
    return "neither proved nor measured", ERROR


def _reported_headroom(metadata: Mapping[str, Any], name: str) -> float:
    """Return the headroom that the exporter measured, or 0 if it did not measure any.

    Only called for bounds that are no longer proven, so that evidence of other kinds is ignored.
    The metadata of a file may have any form.
    """
    report = metadata.get("quantization")
    rows = report.get("neurons") if isinstance(report, Mapping) else None
    for row in rows if isinstance(rows, list | tuple) else ():
        is_same = isinstance(row, Mapping) and row.get("name") == name
        if is_same and row.get("evidence") == "measured":
            headroom = row.get("headroom")
            return float(headroom) if isinstance(headroom, int | float) else 0.0
    return 0.0
