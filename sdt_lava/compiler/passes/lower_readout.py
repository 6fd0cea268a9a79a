"""The linear head: synapses into relay neurons that send the sums out; the host adds the bias."""

from __future__ import annotations

from dataclasses import replace

from sdt_lava.graph import Dense, Flatten, Graph, Node, Readout, Relay

READOUT_SUFFIX = ".relay"


def lower_readout(graph: Graph) -> Graph:
    """Replace the Readout by Dense synapses and a relay without bias, and drop Flatten nodes."""
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
            nodes.extend(_lower(node, skipped.get(node.inputs[0], node.inputs[0])))
        elif any(name in skipped for name in node.inputs):
            nodes.append(_rewire(node, skipped))
        else:
            nodes.append(node)
    return graph.rebuild(nodes)


def _rewire(node: Node, skipped: dict[str, str]) -> Node:
    return replace(node, inputs=tuple(skipped.get(name, name) for name in node.inputs))


def _lower(node: Readout, source: str) -> list[Node]:
    synapses = Dense(
        name=node.name,
        inputs=(source,),
        block=node.block,
        origin=node.name,
        weight=node.weight,
        exponent=node.exponent,
    )
    relay = Relay(
        name=node.name + READOUT_SUFFIX,
        inputs=(node.name,),
        block=node.block,
        origin=node.name,
    )
    return [synapses, relay]
