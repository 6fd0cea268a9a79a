"""Lower the end of a network to synapses and neurons that hold the sums.

The host adds the bias of a head. A network without a head may end in a current, which gets the same
neurons.

The neurons are usually relays, which send the sums of each step. Without graded spikes, they are
LIF neurons that neither leak nor reach their threshold. After the last step of a sample, their
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

# Kinds that read an image in the same way as its flat vector.
_IN_C_ORDER = (Dense, Sparse)
# Kinds that have no population of their own.
_DROPPED = (Readout, GroupSum, Flatten)
READOUT_SUFFIX = ".relay"
MEMBRANE_SUFFIX = ".membrane"


def lower_readout(graph: Graph, *, membranes: bool = False) -> Graph:
    """Replace the Readout by Dense synapses and neurons without bias, and remove Flatten nodes.

    A current at the end of a network also gets such neurons. Currents without readers are removed
    because they reach no population. Sums over groups of neurons are removed because the host
    computes them.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    membranes : bool
        Whether to keep the sums in membranes instead of sending them from relays.
    """
    neurons = _membranes if membranes else _relay
    unread = _unread(graph)
    # A population is already a vector, and dense synapses read an image in C order.
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
            # The two inputs flatten the same population, so it gets two connections.
            nodes.extend(_rewire(part, skipped) for part in lower_and(graph, node))
        elif isinstance(node, _IN_C_ORDER):
            nodes.append(_rewire(node, skipped))
        else:
            nodes.append(node)
    ends = [name for name in graph.order if not graph.consumers[name]]
    if graph.readout is None and len(ends) == 1 and graph.signals[ends[0]] is Signal.CURRENT:
        nodes.append(neurons(graph.nodes[ends[0]]))
    return graph.rebuild(nodes)


def _unread(graph: Graph) -> set[str]:
    """Return the currents other than the readout that no population reads."""
    unread: set[str] = set()
    for name in reversed(graph.order) if graph.readout else ():
        passes_on = graph.signals[name] is Signal.CURRENT or isinstance(graph.nodes[name], Flatten)
        if passes_on and unread.issuperset(graph.consumers[name]):
            unread.add(name)
    return unread


def _is_of_one(node: Node, skipped: dict[str, str]) -> bool:
    """Return whether a node is a mask that reads one population twice."""
    return isinstance(node, And) and len({skipped.get(name, name) for name in node.inputs}) == 1


def _has_other_readers(graph: Graph, node: Flatten, skipped: dict[str, str]) -> bool:
    """Return whether any reader of a vector cannot read the image instead."""
    readers = (graph.nodes[name] for name in graph.consumers[node.name])
    return not all(
        isinstance(reader, (*_IN_C_ORDER, Readout, GroupSum, Flatten))
        or _is_of_one(reader, skipped)
        for reader in readers
    )


def _populated(graph: Graph, node: Flatten) -> list[Node]:
    """Return gates that forward the input spikes of a flatten, since masks need equal shapes."""
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
