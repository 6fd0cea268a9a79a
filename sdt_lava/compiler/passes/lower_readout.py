"""The end of a network: synapses into neurons that hold the sums; the host adds a head's bias.

A network without head may end in a current, of which the same neurons are made.

Usually they are relays, which send the sums of each step out. Without graded spikes they are LIF
neurons that do not leak and do not reach their threshold: after the last step of a sample their
membranes hold the sum over time, shifted by six bits, for the host to read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sdt_lava.compiler.passes.lower_attention import lower_and
from sdt_lava.compiler.passes.lower_pooling import or_gate
from sdt_lava.ir import (
    And,
    Dense,
    Flatten,
    Graph,
    GroupSum,
    Lif,
    Node,
    Readout,
    Relay,
    Signal,
    Sparse,
)
from sdt_lava.ir.numerics import DECAY_UNITY, THRESHOLD_LIMIT

# What reads an image as it reads the flat vector.
_IN_C_ORDER = (Dense, Sparse)
# What takes its place among the populations, or none.
_DROPPED = (Readout, GroupSum, Flatten)
READOUT_SUFFIX = ".relay"
MEMBRANE_SUFFIX = ".membrane"


def lower_readout(graph: Graph, *, membranes: bool = False) -> Graph:
    """Replace the Readout by Dense synapses and neurons without bias, and drop Flatten nodes.

    A current at the end of a network gets such neurons, too. Currents that nobody reads are left
    out: there is no population for them to arrive at. So are sums over groups of neurons, which the
    host makes.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    membranes : bool
        Leave the sums in membranes instead of sending them out of relays.
    """
    neurons = _membranes if membranes else _relay
    unread = _unread(graph)
    # A population is a vector anyway; dense synapses read an image in C order.
    skipped: dict[str, str] = {}
    for node in graph:
        if isinstance(node, Flatten):
            skipped[node.name] = skipped.get(node.inputs[0], node.inputs[0])
    nodes: list[Node] = []
    for node in graph:
        if node.name in unread or isinstance(node, GroupSum):
            continue
        if isinstance(node, Flatten):
            if _has_other_readers(graph, node, skipped):
                nodes.extend(_populated(graph, replace(node, inputs=(skipped[node.name],))))
        elif isinstance(node, Readout):
            source = skipped.get(node.inputs[0], node.inputs[0])
            nodes.extend(_lower(node, source, neurons))
        elif isinstance(node, And) and _is_of_one(node, skipped):
            # Two ways to flatten one population: two connections from it.
            nodes.extend(_rewire(made, skipped) for made in lower_and(graph, node))
        elif isinstance(node, _IN_C_ORDER):
            nodes.append(_rewire(node, skipped))
        else:
            nodes.append(node)
    ends = [name for name in graph.order if not graph.consumers[name]]
    if graph.readout is None and len(ends) == 1 and graph.signals[ends[0]] is Signal.CURRENT:
        nodes.append(neurons(graph.nodes[ends[0]]))
    return graph.rebuild(nodes)


def _unread(graph: Graph) -> set[str]:
    """Return the currents beside the readout that no population reads."""
    found: set[str] = set()
    for name in reversed(graph.order) if graph.readout else ():
        passes_on = graph.signals[name] is Signal.CURRENT or isinstance(graph.nodes[name], Flatten)
        if passes_on and found.issuperset(graph.consumers[name]):
            found.add(name)
    return found


def _is_of_one(node: Node, skipped: dict[str, str]) -> bool:
    """Whether a mask reads one population twice."""
    return isinstance(node, And) and len({skipped.get(name, name) for name in node.inputs}) == 1


def _has_other_readers(graph: Graph, node: Flatten, skipped: dict[str, str]) -> bool:
    """Whether something reads a vector that is not the same as the image."""
    readers = (graph.nodes[name] for name in graph.consumers[node.name])
    return not all(
        isinstance(reader, (*_IN_C_ORDER, Readout, GroupSum, Flatten))
        or _is_of_one(reader, skipped)
        for reader in readers
    )


def _populated(graph: Graph, node: Flatten) -> list[Node]:
    """Return gates that send on the spikes that a flatten reads: masks need equal shapes."""
    return or_gate(graph, node)


def _rewire(node: Node, skipped: dict[str, str]) -> Node:
    return replace(node, inputs=tuple(skipped.get(name, name) for name in node.inputs))


def _lower(node: Readout, source: str, neurons: Callable[[Node], Node]) -> list[Node]:
    synapses = Dense(
        name=node.name,
        inputs=(source,),
        block=node.block,
        origin=node.name,
        weight=node.weight,
        exponent=node.exponent,
    )
    return [synapses, neurons(node)]


def _relay(node: Node) -> Node:
    return Relay(
        name=node.name + READOUT_SUFFIX,
        inputs=(node.name,),
        block=node.block,
        origin=node.name,
    )


def _membranes(node: Node) -> Node:
    return Lif(
        name=node.name + MEMBRANE_SUFFIX,
        inputs=(node.name,),
        block=node.block,
        origin=node.name,
        threshold=THRESHOLD_LIMIT,
        voltage_decay=0,
        current_decay=DECAY_UNITY,
    )
