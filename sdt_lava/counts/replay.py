"""Recompute the output of nodes from recorded nodes, with the NumPy reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir import Conv, Dense, Graph, Input, Lif, MessageNeurons, Sparse, SpikingNeurons
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.reference import evaluate, run_neurons
from sdt_lava.ir.weighted_sums import magnitude, weighted_sums


def needed_nodes(graph: Graph, wanted: Iterable[str], recorded: frozenset[str]) -> tuple[str, ...]:
    """Return the nodes that must be evaluated, in the order of the graph.

    Parameters
    ----------
    graph : Graph
        Integer graph, traced or compiled.
    wanted : iterable of str
        Nodes whose output is requested.
    recorded : frozenset of str
        Nodes whose output was recorded.
    """
    needed: set[str] = set()
    queue = list(wanted)
    while queue:
        name = queue.pop()
        if name not in needed and name not in recorded:
            needed.add(name)
            queue += graph.nodes[name].inputs
    return tuple(name for name in graph.order if name in needed)


def have_memory(graph: Graph, names: Iterable[str]) -> bool:
    """Return whether any of the nodes are neurons, whose states this module cannot replay."""
    return any(isinstance(graph.nodes[name], (SpikingNeurons, MessageNeurons)) for name in names)


def evaluate_nodes(
    graph: Graph,
    names: Iterable[str],
    frames: IntArray,
    recorded: Mapping[str, NDArray[Any]],
) -> dict[str, IntArray]:
    """Evaluate nodes in topological order; the only neurons allowed are those of a readout.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    names : iterable of str
        Nodes to evaluate, from `needed_nodes`.
    frames : ndarray of int
        Input ``(T, B, *shape)``.
    recorded : mapping of str to ndarray
        Recorded output of other nodes, ``(T, B, *shape)``.

    Returns
    -------
    dict of str to ndarray of int64
        Output of each evaluated node, ``(T, B, *shape)``.
    """
    values: dict[str, IntArray] = {}
    for name in names:
        node = graph.nodes[name]
        inputs = [
            values[source] if source in values else np.asarray(recorded[source])
            for source in node.inputs
        ]
        if isinstance(node, Input):
            values[name] = frames
        elif isinstance(node, (Conv, Dense, Sparse)):
            values[name] = weighted_sums(node, inputs[0], magnitude(node))
        elif isinstance(node, Lif):  # holds a readout and never fires
            values[name] = run_neurons(node, inputs, {})
        else:
            values[name] = evaluate(node, [events.astype(np.int64) for events in inputs])
    return values
