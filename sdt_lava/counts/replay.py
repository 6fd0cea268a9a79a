"""What nodes sent in a run of which others were recorded, by the reference, on NumPy."""

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
    """Return the nodes that have to be evaluated, in the order of the graph.

    Parameters
    ----------
    graph : Graph
        Integer graph, traced or compiled.
    wanted : iterable of str
        Nodes whose output is asked for.
    recorded : frozenset of str
        Nodes whose output is known.
    """
    needed: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in needed and name not in recorded:
            needed.add(name)
            waiting += graph.nodes[name].inputs
    return tuple(name for name in graph.order if name in needed)


def have_memory(graph: Graph, names: Iterable[str]) -> bool:
    """Whether there are neurons among some nodes, whose states this module does not know."""
    return any(isinstance(graph.nodes[name], (SpikingNeurons, MessageNeurons)) for name in names)


def evaluate_nodes(
    graph: Graph,
    names: Iterable[str],
    frames: IntArray,
    recorded: Mapping[str, NDArray[Any]],
) -> dict[str, IntArray]:
    """Evaluate nodes of which each follows its inputs; no neurons but those that hold a readout.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    names : iterable of str
        The nodes, from `needed_nodes`.
    frames : ndarray of int
        Input ``(T, B, *shape)``.
    recorded : mapping of str to ndarray
        What others sent, ``(T, B, *shape)``.

    Returns
    -------
    dict of str to ndarray of int64
        What each of them sent, ``(T, B, *shape)``.
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
        elif isinstance(node, Lif):  # holds a readout, and never fires
            values[name] = run_neurons(node, inputs, {})
        else:
            values[name] = evaluate(node, [events.astype(np.int64) for events in inputs])
    return values
