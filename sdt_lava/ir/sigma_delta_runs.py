"""Compute the states of sigma-delta neurons at the start of samples."""

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

# Key of the states that are cached in a graph.
_STARTS = "starting states"


def starting_states(graph: Graph) -> NeuronStates:
    """Return the states of neurons that are not at rest at the start of a sample.

    Parameters
    ----------
    graph : Graph
        Integer graph, traced or compiled.

    Returns
    -------
    dict of str to tuple of ndarray
        States ``(*shape)`` of sigma-delta neurons with a lead and of their readers. Do not modify.
    """
    if _STARTS not in graph.derived:
        leads = {node.name: node.lead for node in graph.of_type(SigmaDelta)}
        graph.derived[_STARTS] = _lead_in(graph, leads)
    states: NeuronStates = graph.derived[_STARTS]
    return states


def keep_starts(before: Graph, after: Graph) -> Graph:
    """Copy the starting states of a graph to another graph with the same neurons, and return it."""
    if before.message_names:
        after.derived[_STARTS] = starting_states(before)
    return after


def starts_by_itself(graph: Graph, latency: Mapping[str, int]) -> bool:
    """Return whether neurons that run from machine step 0 reach the starting states unreset.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    latency : mapping of str to int
        Machine steps until step 0 of the first sample reaches each population.
    """
    if any(isinstance(node, SpikingNeurons) for node in graph):
        return False  # before their reset, these may send spikes that are not modelled here
    expected, actual = starting_states(graph), _lead_in(graph, latency)
    return all(
        np.array_equal(part, other)
        for name in {*expected, *actual}
        for part, other in zip(
            _parts(expected, name, actual), _parts(actual, name, expected), strict=True
        )
    )


def _parts(states: NeuronStates, name: str, others: NeuronStates) -> States:
    return states[name] if name in states else tuple(np.zeros_like(part) for part in others[name])


def _lead_in(graph: Graph, leads: Mapping[str, int]) -> NeuronStates:
    """Run the network without input, each population for the steps of its lead."""
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
    """Return whether a population is reset when a sample arrives, so earlier output is ignored."""
    return isinstance(node, SpikingNeurons)


def start_of(graph: Graph, node: Node, states: NeuronStates) -> Any:
    """Return the states of a population at the start of a run, given or those of a sample."""
    return states[node.name] if node.name in states else starting_states(graph).get(node.name)
