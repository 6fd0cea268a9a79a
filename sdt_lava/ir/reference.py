"""Evaluate integer graphs in plain NumPy int64, as the slow but simple oracle.

Each kind of node defines its computation (`equation`, or `run` for neurons with memory), and this
module evaluates the graph node by node. Arrays are ``(T, B, *shape)``. The code is deliberately
simple, because all other back ends are compared with it.
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
        Integer graph, traced or compiled (delays of a compiled graph have no effect here).
    frames : ndarray of int64
        Integer input ``(T, B, *shape)``.
    strict : bool
        Whether to raise an error that names the first value that does not fit its register
        (:mod:`sdt_lava.ir.registers`). Otherwise, values wrap and saturate as in Lava.
    states : dict of str to tuple of ndarray, optional
        States u and v of each LIF, ``(B, *shape)``, and states of sigma-delta neurons, before the
        run (by default those at the start of a sample). They are updated to the states after the
        run, from which another run can continue.

    Returns
    -------
    dict of str to ndarray of int64
        Output of each node, ``(T, B, *shape)``.

    Raises
    ------
    DataError
        If the states do not fit these neurons or the number of samples.
    NumericOverflowError
        If ``strict`` is True and a value does not fit its register.
    """
    check_states(graph, states or {}, frames.shape[1])
    values: dict[str, IntArray] = {}
    watch = Watch(graph.order)
    relayed = relayed_currents(graph)
    all_states = {} if states is None else states
    for node in graph:
        inputs = [values[name] for name in node.inputs]
        if isinstance(node, Input):
            values[node.name] = frames
        elif node.has_memory:
            arriving = np.sum(inputs, axis=0, dtype=np.int64)
            start = start_of(graph, node, all_states)
            values[node.name], all_states[node.name] = node.run(arriving, start, watch)
        else:
            values[node.name] = evaluate(node, inputs, watch)
            if node.name in relayed:
                values[node.name] = carry(node, values[node.name], watch)
    if strict:
        watch.raise_first()
    return values


def evaluate_from(graph: Graph, name: str, known: Mapping[str, IntArray]) -> IntArray:
    """Evaluate one node of a graph from the outputs of others.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    name : str
        Name of the node to evaluate.
    known : mapping of str to ndarray
        Outputs ``(T, B, *shape)`` of nodes on every path to the node.
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
        Input currents, ``(T, B, *shape)`` each.
    states : dict of str to tuple of ndarray
        States before the run, by default at rest. They are updated to u, v and other states after
        the run.

    Returns
    -------
    ndarray of int64
        Output of the neurons, ``(T, B, *shape)``.
    """
    arriving = np.sum(currents, axis=0, dtype=np.int64)
    sent, states[node.name] = node.run(arriving, states.get(node.name))
    return sent
