"""Membrane shortcuts as relays: neurons that pass a residual stream on as graded spikes.

A current that only one neuron reads stays in that neuron's dendrite. Every other current, such
as a residual stream that several neurons and a later sum read, gets a relay population; what
read the current then reads the relay's graded spikes through connections of weight 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from sdt_lava.compiler.connections import identity, subsample, token_sum
from sdt_lava.graph import (
    LIF_KINDS,
    Gate,
    Graph,
    MaxPool,
    MaxRelay,
    Node,
    Relay,
    Shortcut,
    Sparse,
    Subsample,
    TokenMean,
)

_NEURONS = (*LIF_KINDS, Gate, Relay, MaxRelay)
# Nodes that vanish: what they compute moves into relays and connections.
_SUMS = (Shortcut, Subsample, TokenMean, MaxPool)


def lower_shortcuts(graph: Graph) -> Graph:
    """Replace Shortcut, Subsample, TokenMean and MaxPool by relays and connections."""
    return graph.rebuild(_Lowering(graph).run())


class _Lowering:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: dict[str, Node] = {}

    def run(self) -> list[Node]:
        for node in self.graph:
            if isinstance(node, _NEURONS):
                sources = self._arriving(node.inputs, node)
                self.nodes[node.name] = replace(node, inputs=tuple(sources))
            elif not isinstance(node, _SUMS):
                self.nodes[node.name] = node
        return list(self.nodes.values())

    def _arriving(self, currents: tuple[str, ...], reader: Node) -> list[str]:
        """Return the connections that bring some currents to a neuron population."""
        return [name for current in currents for name in self._bring(current, reader)]

    def _bring(self, current: str, reader: Node) -> list[str]:
        node = self.graph.nodes[current]
        if isinstance(node, Subsample | TokenMean | MaxPool):
            return [self._connect(node, reader)]
        if len(self.graph.consumers[current]) > 1:
            return [self._connect(node, reader)]
        if isinstance(node, Shortcut):
            return self._arriving(node.inputs, reader)
        return [current]

    def _connect(self, node: Node, reader: Node) -> str:
        """Connect a neuron population to the relay behind a current."""
        through = isinstance(node, Subsample | TokenMean)
        relay = self._relay(node.inputs[0] if through else node.name)
        shape = self.graph.shapes[node.name]
        name = f"{node.name}->{reader.name}"
        self.nodes[name] = Sparse(
            name=name,
            inputs=(relay,),
            block=reader.block,
            origin=node.name,
            weight=self._weight(node),
            shape=shape,
            role="token_sum" if isinstance(node, TokenMean) else "shortcut",
            exponent=-node.shift if isinstance(node, TokenMean) else 0,
        )
        return name

    def _weight(self, node: Node) -> csr_matrix:
        if isinstance(node, Subsample):
            return subsample(self.graph.shapes[node.inputs[0]], node.stride)
        if isinstance(node, TokenMean):
            return token_sum(self.graph.shapes[node.inputs[0]], 1)
        return identity(int(np.prod(self.graph.shapes[node.name])), 1)

    def _relay(self, current: str) -> str:
        """Return the relay population behind a current, making it at first use."""
        node = self.graph.nodes[current]
        # A synapse keeps its name, so its relay needs another one; the sums vanish.
        name = current if isinstance(node, _SUMS) else current + ".relay"
        if name in self.nodes:
            return name
        relay = self._new_relay(name, node)
        if isinstance(node, Subsample | TokenMean):
            sources = [self._connect(node, relay)]
        elif isinstance(node, Shortcut | MaxPool):
            sources = self._arriving(node.inputs, relay)
        else:
            sources = [current]
        self.nodes[name] = replace(relay, inputs=tuple(sources))
        return name

    def _new_relay(self, name: str, node: Node) -> Node:
        if not isinstance(node, MaxPool):
            return Relay(name=name, block=node.block, origin=node.name)
        return MaxRelay(
            name=name,
            block=node.block,
            origin=node.name,
            kernel=node.kernel,
            stride=node.stride,
            padding=node.padding,
            input_shape=self.graph.shapes[node.inputs[0]],
        )
