"""What a lowering costs: neurons, synapses and work, from assumed or measured firing rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from sdt_lava.ir import Gate, Graph, Input, Lif, MaxRelay, Node, Relay, Signal, Sparse
from sdt_lava.ir.fan_out import fan_out
from sdt_lava.ir.numerics import IntArray

# Events per neuron and step, where nothing was measured. It decides between lowerings only.
ASSUMED_RATE = 0.15

Rates = float | Mapping[str, float]
Cost = Callable[["LoweringCounts"], float]


@dataclass(frozen=True)
class LoweringCounts:
    """Size and work of a compiled graph.

    Parameters
    ----------
    neurons : int
        Neurons of all populations.
    synapses : int
        Connections between neurons, those of convolutions unrolled, zero weights included.
    weights : int
        Weights to store, where each convolution stores its kernel once.
    processes : int
        Lava processes, without those that feed and record, with convolutions as matrices: a
        connection is one process for each weight exponent.
    synops : float
        Synaptic operations a step, of one sample.
    binary_spikes, graded_spikes : float
        Events that neurons send in a step of one sample; the input's are not counted.
    """

    neurons: int
    synapses: int
    weights: int
    processes: int
    synops: float
    binary_spikes: float
    graded_spikes: float


def lowering_cost(counts: LoweringCounts) -> float:
    """Return what `auto` minimises: the geometric mean of neurons, synapses and synops a step.

    Each of them binds somewhere: neurons and synapses fill the cores, synaptic operations take time
    and energy. A geometric mean needs no exchange rate between them, and none is published for
    Loihi 2: a lowering is cheaper if it saves a larger factor than it costs.
    """
    return float(max(counts.neurons, 1) * max(counts.synapses, 1) * max(counts.synops, 1)) ** (
        1 / 3
    )


def count_lowering(graph: Graph, events: Mapping[str, IntArray | float]) -> LoweringCounts:
    """Count what a lowered graph takes.

    Parameters
    ----------
    graph : Graph
        Populations and connections.
    events : mapping of str to ndarray or float
        For each population the events per step of a sample: of each neuron, ``(*shape)``, or of all
        of its neurons alike.
    """
    synapses, weights, synops = 0, 0, 0.0
    neurons = {Signal.SPIKE: 0, Signal.GRADED: 0}
    sent = {Signal.SPIKE: 0.0, Signal.GRADED: 0.0}
    for node in graph:
        signal, shape = graph.signals[node.name], graph.shapes[node.name]
        if signal is Signal.CURRENT:
            source = node.inputs[0]
            reached = fan_out(node, graph.shapes[source])
            synapses += int(reached.sum())
            weights += _stored_weights(node)
            synops += float((reached * events[source]).sum())
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
    weight = getattr(node, "weight")  # noqa: B009 - every connection has one
    return int(weight.nnz if hasattr(weight, "nnz") else weight.size)


def estimated_rates(graph: Graph, rates: Rates = ASSUMED_RATE) -> dict[str, float]:
    """Estimate how often the neurons of each population send something in a step.

    Known rates are taken as they are. Gates, relays and columns of SDSA that are a plain OR follow
    from what they read, as if all events were independent: a gate of several connections fires if
    something arrives from each, everything else if anything arrives. An input that is not binary
    sends always.

    Parameters
    ----------
    graph : Graph
        Lowered graph.
    rates : float or mapping of str to float
        Events per neuron and step of neurons with memory: of all of them, or of each by name.

    Returns
    -------
    dict of str to float
        By population, the input included.
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
    """Tell whether neurons are a column of SDSA that fires at any spike."""
    if not isinstance(node, Lif) or len(node.inputs) != 1:
        return False
    total = graph.nodes[node.inputs[0]]
    if not isinstance(total, Sparse) or total.role != "token_sum":
        return False
    reads_spikes = graph.signals[total.inputs[0]] is Signal.SPIKE
    return reads_spikes and 0 <= node.threshold < int(total.weight.data.min())


def _passed_on(graph: Graph, node: Node, rates: Mapping[str, float]) -> float:
    arriving = []
    for name in node.inputs:
        source = graph.nodes[name].inputs[0]
        fan_in = fan_out(graph.nodes[name], graph.shapes[source]).sum() / prod(graph.shapes[name])
        arriving.append(1 - (1 - rates[source]) ** float(fan_in))
    if isinstance(node, Gate):
        return prod(arriving)
    window = node.kernel**2 if isinstance(node, MaxRelay) else 1
    return 1 - prod(1 - share for share in arriving) ** window
