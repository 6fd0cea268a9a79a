"""Count the multiplications of a graph."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from sdt_lava.ir.graph import Graph
from sdt_lava.ir.synapses import Sparse, Synapse


def multiplications(graph: Graph, names: Iterable[str]) -> int:
    """Return the multiplications of some nodes per step of one sample, if nothing is skipped."""
    total = 0
    for name in names:
        node = graph.nodes[name]
        if isinstance(node, Sparse):
            total += int(node.weight.nnz)
        elif isinstance(node, Synapse):
            total += int(node.weight.size) * prod(graph.shapes[name][1:])
    return total
