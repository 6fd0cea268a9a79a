"""The linear head: synapses into neurons that hold the sums; the host adds the bias.

Usually they are relays, which send the sums of each step out. Without graded spikes they are LIF
neurons that do not leak and do not reach their threshold: after the last step of a sample their
membranes hold the sum over time, shifted by six bits, for the host to read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sdt_lava.graph import Dense, Flatten, Graph, Lif, Node, Readout, Relay
from sdt_lava.numerics import DECAY_UNITY, THRESHOLD_LIMIT

READOUT_SUFFIX = ".relay"
MEMBRANE_SUFFIX = ".membrane"


def lower_readout(graph: Graph, *, membranes: bool = False) -> Graph:
    """Replace the Readout by Dense synapses and neurons without bias, and drop Flatten nodes.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    membranes : bool
        Leave the sums in membranes instead of sending them out of relays.
    """
    # A population is a vector anyway; dense synapses read an image in C order.
    skipped: dict[str, str] = {}
    for node in graph:
        if isinstance(node, Flatten):
            skipped[node.name] = skipped.get(node.inputs[0], node.inputs[0])
    nodes: list[Node] = []
    for node in graph:
        if isinstance(node, Flatten):
            continue
        if isinstance(node, Readout):
            source = skipped.get(node.inputs[0], node.inputs[0])
            nodes.extend(_lower(node, source, _membranes if membranes else _relay))
        elif any(name in skipped for name in node.inputs):
            nodes.append(_rewire(node, skipped))
        else:
            nodes.append(node)
    return graph.rebuild(nodes)


def _rewire(node: Node, skipped: dict[str, str]) -> Node:
    return replace(node, inputs=tuple(skipped.get(name, name) for name in node.inputs))


def _lower(node: Readout, source: str, neurons: Callable[[Readout], Node]) -> list[Node]:
    synapses = Dense(
        name=node.name,
        inputs=(source,),
        block=node.block,
        origin=node.name,
        weight=node.weight,
        exponent=node.exponent,
    )
    return [synapses, neurons(node)]


def _relay(node: Readout) -> Node:
    return Relay(
        name=node.name + READOUT_SUFFIX,
        inputs=(node.name,),
        block=node.block,
        origin=node.name,
    )


def _membranes(node: Readout) -> Node:
    return Lif(
        name=node.name + MEMBRANE_SUFFIX,
        inputs=(node.name,),
        block=node.block,
        origin=node.name,
        threshold=THRESHOLD_LIMIT,
        voltage_decay=0,
        current_decay=DECAY_UNITY,
    )
