"""The states in which samples find sigma-delta neurons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdt_lava.ir.base import Node, States
from sdt_lava.ir.evaluation import evaluate
from sdt_lava.ir.graph import Graph
from sdt_lava.ir.input import Input
from sdt_lava.ir.neurons import SpikingNeurons
from sdt_lava.ir.numerics import IntArray, NeuronStates
from sdt_lava.ir.sigma_delta import SigmaDelta

# Where they are kept with a graph.
_STARTS = "starting states"


def starting_states(graph: Graph) -> NeuronStates:
    """Return the states in which a sample finds the neurons that are not at rest, by name.

    Parameters
    ----------
    graph : Graph
        Integer graph, traced or compiled.

    Returns
    -------
    dict of str to tuple of ndarray
        Of sigma-delta neurons with a lead and of what they send to, ``(*shape)``. Do not change it.
    """
    if _STARTS not in graph.derived:
        leads = {node.name: node.lead for node in graph.of_type(SigmaDelta)}
        graph.derived[_STARTS] = _lead_in(graph, leads)
    states: NeuronStates = graph.derived[_STARTS]
    return states


def keep_starts(before: Graph, after: Graph) -> Graph:
    """Return a graph with the same neurons as another one, whose starting states it takes over."""
    if before.message_names:
        after.derived[_STARTS] = starting_states(before)
    return after


def starts_by_itself(graph: Graph, latency: Mapping[str, int]) -> bool:
    """Whether neurons that run from machine step 0 on, without a reset, start a sample as they do.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    latency : mapping of str to int
        Machine steps until step 0 of the first sample reaches each population.
    """
    if any(isinstance(node, SpikingNeurons) for node in graph):
        return False  # before their reset these may send what they do not send here
    wanted, found = starting_states(graph), _lead_in(graph, latency)
    return all(
        np.array_equal(part, other)
        for name in {*wanted, *found}
        for part, other in zip(
            _parts(wanted, name, found), _parts(found, name, wanted), strict=True
        )
    )


def _parts(states: NeuronStates, name: str, others: NeuronStates) -> States:
    return states[name] if name in states else tuple(np.zeros_like(part) for part in others[name])


def _lead_in(graph: Graph, leads: Mapping[str, int]) -> NeuronStates:
    """Run the network without input, each population of neurons from its lead on."""
    neurons = graph.of_type(SigmaDelta)
    steps = max((leads[node.name] for node in neurons), default=0)
    if not steps or not any(node.bias is not None and node.bias.any() for node in neurons):
        return {}
    values: dict[str, IntArray] = {}
    states: NeuronStates = {}
    for node in graph:
        if isinstance(node, Input) or _is_silent(node):
            values[node.name] = np.zeros((steps, 1, *graph.shapes[node.name]), np.int64)
        elif node.has_memory:
            arriving = np.sum([values[name] for name in node.inputs], axis=0, dtype=np.int64)
            sent = np.zeros_like(arriving)
            # Encoders and decoders without input stay at rest.
            first = steps - leads[node.name] if isinstance(node, SigmaDelta) else 0
            sent[first:], after = node.run(arriving[first:], None)
            values[node.name] = sent
            states[node.name] = tuple(part[0] for part in after)
        else:
            values[node.name] = evaluate(node, [values[name] for name in node.inputs])
    return states


def _is_silent(node: Node) -> bool:
    """Whether a population is reset when a sample arrives, and sends nothing that counts before."""
    return isinstance(node, SpikingNeurons)


def start_of(graph: Graph, node: Node, states: NeuronStates) -> Any:
    """Return the states of a population at the start of a run: those given, or a sample's."""
    return states[node.name] if node.name in states else starting_states(graph).get(node.name)
