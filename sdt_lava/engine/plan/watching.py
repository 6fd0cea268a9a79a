"""What a plan watches: values that may leave their registers, and that no neuron gives away.

A plan computes exact sums; it neither wraps nor saturates. Where something may not fit, it looks,
and a batch in which it finds anything is computed again by the interpreter, which does as Lava
does, or says where it happened. So looking may be cheap and pessimistic.

Neurons that are not proved note the largest sum that arrives. What arrives alone is thereby known
to be small; what arrives with others is as large as the sum and the others at most.
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

# A token mean looks at its stream with this much room, so that the branch that was added last is
# known to be small, too.
STREAM_LIMIT = PAYLOAD_LIMIT // 2


def to_watch(graph: Graph, bounds: Bounds, limits: Mapping[str, int]) -> dict[str, int]:
    """Return the currents that have to be looked at.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    bounds : Bounds
        Of the graph.
    limits : mapping of str to int
        Nodes that are not proved, and the magnitude up to which each surely fits.

    Returns
    -------
    dict of str to int
        Those of `limits` that nothing else gives away. A token mean looks for itself.
    """
    if not limits:
        return {}
    known = {name: interval.largest for name, interval in bounds.intervals.items()}
    for _ in range(2):  # what is learned about a current helps with those beside it
        for node in reversed(list(graph)):
            for name, limit in _given_away(node, known):
                known[name] = min(known[name], limit)
    return {
        name: limit
        for name, limit in limits.items()
        if known[name] > limit and not isinstance(graph.nodes[name], TokenMean)
    }


def _given_away(node: Node, known: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return what a node that reads currents tells of them."""
    if isinstance(node, TokenMean):
        return [(node.inputs[0], STREAM_LIMIT)]
    if not isinstance(node, Lif | Shortcut):
        return []
    total = ACTIVATION_LIMIT if isinstance(node, Lif) else known[node.name]
    everything = total + sum(known[name] for name in node.inputs)
    return [(name, everything - known[name]) for name in node.inputs]


class WatchOperation(Operation):
    """Looks whether stored currents are as small as they have to be."""

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
        """Return what it looks at."""
        return self.name


def exceeds(values: object, limit: int) -> bool:
    """Whether a magnitude is larger than a limit."""
    return bool(values.size) and max(int(values.max()), -int(values.min())) > limit  # type: ignore[attr-defined]
