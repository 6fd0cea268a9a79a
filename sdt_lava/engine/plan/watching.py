"""Watch currents of a plan that may leave their registers unnoticed by neurons.

A plan computes exact sums, and neither wraps nor saturates. Where values may not fit, it checks
them. If a check fails, the interpreter computes the batch again, and wraps as Lava does or reports
the first overflow. Checks can therefore be cheap and pessimistic.

Neurons without a proof record their largest input sum. This bounds a current that arrives alone; a
current that arrives with others is at most as large as the sum plus the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sdt_lava.engine.plan.buffers import Buffer, Reading, Rows, Task, same_rows
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.ir import Graph, Lif, Node, Shortcut, TokenMean
from sdt_lava.ir.bounds import Bounds
from sdt_lava.ir.numerics import ACTIVATION_LIMIT, PAYLOAD_LIMIT

if TYPE_CHECKING:
    from sdt_lava.engine.plan.workspace import Workspace

# Limit that a token mean applies to its stream. The margin also bounds the branch that was added
# last.
STREAM_LIMIT = PAYLOAD_LIMIT // 2


def to_watch(graph: Graph, bounds: Bounds, limits: Mapping[str, int]) -> dict[str, int]:
    """Return the currents that must be checked.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    bounds : Bounds
        Bounds of the graph.
    limits : mapping of str to int
        Nodes without a proof, with the magnitude up to which each is certain to fit.

    Returns
    -------
    dict of str to int
        The entries of `limits` that no other check covers. Token means check their own values.
    """
    if not limits:
        return {}
    largest = {name: interval.largest for name, interval in bounds.intervals.items()}
    for _ in range(2):  # a bound on a current can tighten those of its siblings
        for node in reversed(list(graph)):
            for name, limit in _given_away(node, largest):
                largest[name] = min(largest[name], limit)
    return {
        name: limit
        for name, limit in limits.items()
        if largest[name] > limit and not isinstance(graph.nodes[name], TokenMean)
    }


def _given_away(node: Node, known: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the bounds on currents that the checks of their reader imply."""
    if isinstance(node, TokenMean):
        return [(node.inputs[0], STREAM_LIMIT)]
    if not isinstance(node, Lif | Shortcut):
        return []
    total = ACTIVATION_LIMIT if isinstance(node, Lif) else known[node.name]
    total_bound = total + sum(known[name] for name in node.inputs)
    return [(name, total_bound - known[name]) for name in node.inputs]


class WatchOperation(Operation):
    """Operation that checks whether stored currents stay within a limit."""

    kind = "watch"

    def __init__(self, name: str, source: Buffer, limit: int) -> None:
        super().__init__((), source.layout)
        self.name, self.source, self.limit = name, source, limit
        self.reads = [Reading(source, same_rows)]

    def bind(self, work: Workspace) -> Task:
        """Return the task."""
        array = work.arrays[self.source.name]

        def run(rows: Rows, worker: int) -> None:
            if exceeds(array[slice(*rows)], self.limit):
                work.is_suspicious = True

        return run

    def describe(self) -> str:
        """Return the name of the checked current."""
        return self.name


def exceeds(values: object, limit: int) -> bool:
    """Return whether any magnitude exceeds a limit."""
    return bool(values.size) and max(int(values.max()), -int(values.min())) > limit  # type: ignore[attr-defined]
