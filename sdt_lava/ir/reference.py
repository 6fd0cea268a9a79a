"""The oracle: every node in plain NumPy int64, obviously right, slow.

Each kind of node says what it computes (`equation`, or `run` for neurons with memory); this module
walks the graph and asks. Arrays are ``(T, B, *shape)``. Nothing here is clever on purpose; the
other back ends are compared with this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sdt_lava.ir.base import Node
from sdt_lava.ir.evaluation import evaluate
from sdt_lava.ir.graph import Graph
from sdt_lava.ir.input import Input
from sdt_lava.ir.numerics import IntArray, NeuronStates
from sdt_lava.ir.registers import carry, relayed_currents
from sdt_lava.ir.sigma_delta_runs import start_of
from sdt_lava.ir.states import check_states
from sdt_lava.ir.watch import Watch

__all__ = ["evaluate", "evaluate_from", "run_neurons", "run_reference"]


def run_reference(
    graph: Graph,
    frames: IntArray,
    *,
    strict: bool = True,
    states: NeuronStates | None = None,
) -> Mapping[str, IntArray]:
    """Evaluate every node of an integer graph.

    Parameters
    ----------
    graph : Graph
        Integer graph, traced or compiled (delays of a compiled graph do not matter here).
    frames : ndarray of int64
        Input ``(T, B, *shape)``, already integers.
    strict : bool
        Raise when a value does not fit its register (:mod:`sdt_lava.ir.registers`), naming the
        first one, instead of wrapping and saturating as Lava does.
    states : dict of str to tuple of ndarray, optional
        u and v of each LIF, ``(B, *shape)``, and the states of sigma-delta neurons: where the run
        starts (as a sample does where a name is missing) and, afterwards, where it ended, so that
        another run can go on from there.

    Returns
    -------
    dict of str to ndarray of int64
        What each node emits, ``(T, B, *shape)``.

    Raises
    ------
    DataError
        If the states are not those of these neurons, for as many samples.
    NumericOverflowError
        If ``strict`` and a value does not fit its register.
    """
    check_states(graph, states or {}, frames.shape[1])
    values: dict[str, IntArray] = {}
    watch = Watch(graph.order)
    relayed = relayed_currents(graph)
    kept = {} if states is None else states
    for node in graph:
        inputs = [values[name] for name in node.inputs]
        if isinstance(node, Input):
            values[node.name] = frames
        elif node.has_memory:
            arriving = np.sum(inputs, axis=0, dtype=np.int64)
            start = start_of(graph, node, kept)
            values[node.name], kept[node.name] = node.run(arriving, start, watch)
        else:
            values[node.name] = evaluate(node, inputs, watch)
            if node.name in relayed:
                values[node.name] = carry(node, values[node.name], watch)
    if strict:
        watch.raise_first()
    return values


def evaluate_from(graph: Graph, name: str, known: Mapping[str, IntArray]) -> IntArray:
    """Evaluate one node of a graph from what others emitted.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    name : str
        Node wanted.
    known : mapping of str to ndarray
        ``(T, B, *shape)`` of nodes on every path that leads to it.
    """
    if name in known:
        return np.asarray(known[name], np.int64)
    node = graph.nodes[name]
    inputs = [evaluate_from(graph, source, known) for source in node.inputs]
    if node.has_memory:
        return run_neurons(node, inputs, {})
    return evaluate(node, inputs)


def run_neurons(node: Node, currents: Sequence[IntArray], states: NeuronStates) -> IntArray:
    """Run neurons over the steps of samples.

    Parameters
    ----------
    node : Node
        Neurons with memory.
    currents : sequence of ndarray of int64
        What arrives, ``(T, B, *shape)`` each.
    states : dict of str to tuple of ndarray
        Where they start, from rest if their name is missing; afterwards u, v and more, where they
        ended.

    Returns
    -------
    ndarray of int64
        What they send, ``(T, B, *shape)``.
    """
    arriving = np.sum(currents, axis=0, dtype=np.int64)
    sent, states[node.name] = node.run(arriving, states.get(node.name))
    return sent
