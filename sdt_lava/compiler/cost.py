"""Estimate the cost of a lowering: neurons, synapses and work at given firing rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from sdt_lava.ir import Gate, Graph, Input, Lif, MaxRelay, Node, Relay, Signal, Sparse
from sdt_lava.ir.fan_out import fan_out
from sdt_lava.ir.numerics import IntArray

# Events per neuron and step if nothing was measured; used only to choose between lowerings.
ASSUMED_RATE = 0.15

Rates = float | Mapping[str, float]
Cost = Callable[["LoweringCounts"], float]


@dataclass(frozen=True)
class LoweringCounts:
    """Size and work of a compiled graph.

    Parameters
    ----------
    neurons : int
        Number of neurons in all populations.
    synapses : int
        Number of connections between neurons with convolutions unrolled, including zero weights.
    weights : int
        Number of stored weights if each convolution stores its kernel once.
    processes : int
        Number of Lava processes with convolutions as matrices, excluding those that feed and
        record. A connection has one process for each weight exponent.
    synops : float
        Synaptic operations per step of one sample.
    binary_spikes, graded_spikes : float
        Events that neurons send per step of one sample, excluding those of the input.
    """

    neurons: int
    synapses: int
    weights: int
    processes: int
    synops: float
    binary_spikes: float
    graded_spikes: float


def lowering_cost(counts: LoweringCounts) -> float:
    """Return the cost for `auto`: the geometric mean of neurons, synapses and synops per step.

    Each of them can be a bottleneck: neurons and synapses fill the cores, and synaptic operations
    take time and energy. A geometric mean needs no exchange rates between them, which are not
    published for Loihi 2. A lowering is cheaper if it saves a larger factor than it costs.
    """
    return float(max(counts.neurons, 1) * max(counts.synapses, 1) * max(counts.synops, 1)) ** (
        1 / 3
    )


def count_lowering(graph: Graph, events: Mapping[str, IntArray | float]) -> LoweringCounts:
    """Count the size and work of a lowered graph.

    Parameters
    ----------
    graph : Graph
        Lowered graph of populations and connections.
    events : mapping of str to ndarray or float
        Events per step of one sample for each population, either for each neuron, ``(*shape)``, or
        as one rate for all of its neurons.
    """
    synapses, weights, synops = 0, 0, 0.0
    neurons = {Signal.SPIKE: 0, Signal.GRADED: 0}
    sent = {Signal.SPIKE: 0.0, Signal.GRADED: 0.0}
    for node in graph:
        signal, shape = graph.signals[node.name], graph.shapes[node.name]
        if signal is Signal.CURRENT:
            source = node.inputs[0]
            fan_outs = fan_out(node, graph.shapes[source])
            synapses += int(fan_outs.sum())
            weights += _stored_weights(node)
            synops += float((fan_outs * events[source]).sum())
        elif not isinstance(node, Input):
            neurons[signal] += prod(shape)
            sent[signal] += float(np.broadcast_to(events[node.name], shape).sum())
    return LoweringCounts(
        neurons=sum(neurons.values()),
        synapses=synapses,
        weights=weights,
        processes=sum(_processes(graph, node) for node in graph),
        synops=synops,
        binary_spikes=sent[Signal.SPIKE],
        graded_spikes=sent[Signal.GRADED],
    )


def _processes(graph: Graph, node: Node) -> int:
    if isinstance(node, Input):
        return 0
    return len(np.unique(getattr(node, "exponent", 0)))


def _stored_weights(node: Node) -> int:
    weight = getattr(node, "weight")  # noqa: B009 - every connection has weights
    return int(weight.nnz if hasattr(weight, "nnz") else weight.size)


def estimated_rates(graph: Graph, rates: Rates = ASSUMED_RATE) -> dict[str, float]:
    """Estimate the events per neuron and step of each population.

    Known rates are used as given. The rates of gates, relays and plain OR columns of SDSA follow
    from their inputs under the assumption that all events are independent: a gate with several
    connections fires if an event arrives over each of them, all others if any event arrives. A
    non-binary input is assumed to send in every step.

    Parameters
    ----------
    graph : Graph
        Lowered graph.
    rates : float or mapping of str to float
        Events per neuron and step of all neurons with memory, or of individual populations.

    Returns
    -------
    dict of str to float
        Rate of each population, including the input.
    """
    estimated: dict[str, float] = {}
    for node in graph:
        if graph.signals[node.name] is Signal.CURRENT:
            continue
        if isinstance(rates, Mapping) and node.name in rates:
            estimated[node.name] = rates[node.name]
        elif isinstance(node, Gate | Relay | MaxRelay) or _is_or(graph, node):
            estimated[node.name] = _passed_on(graph, node, estimated)
        elif isinstance(node, Input) and graph.signals[node.name] is Signal.GRADED:
            estimated[node.name] = 1.0
        else:
            estimated[node.name] = ASSUMED_RATE if isinstance(rates, Mapping) else rates
    return estimated


def _is_or(graph: Graph, node: Node) -> bool:
    """Return whether neurons are an SDSA column that fires on any spike."""
    if not isinstance(node, Lif) or len(node.inputs) != 1:
        return False
    total = graph.nodes[node.inputs[0]]
    if not isinstance(total, Sparse) or total.role != "token_sum":
        return False
    reads_spikes = graph.signals[total.inputs[0]] is Signal.SPIKE
    return reads_spikes and not node.why_no_or(int(total.weight.data.min()))


def _passed_on(graph: Graph, node: Node, rates: Mapping[str, float]) -> float:
    arrival_rates = []
    for name in node.inputs:
        source = graph.nodes[name].inputs[0]
        fan_in = fan_out(graph.nodes[name], graph.shapes[source]).sum() / prod(graph.shapes[name])
        arrival_rates.append(1 - (1 - rates[source]) ** float(fan_in))
    if isinstance(node, Gate):
        return prod(arrival_rates)
    window = node.kernel**2 if isinstance(node, MaxRelay) else 1
    return 1 - prod(1 - share for share in arrival_rates) ** window
