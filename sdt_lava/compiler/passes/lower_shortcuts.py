"""Membrane shortcuts: relays that pass a residual stream on, or synapses from all its producers.

A current that only one neuron reads stays in that neuron's dendrite. A stream that several read
either gets a relay population, whose graded spikes its readers receive through connections of
weight 1, or is unrolled: each reader gets its own copy of the synapses of every producer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from sdt_lava.compiler.streams import stream_names
from sdt_lava.compiler.terms import Connector, Term, summands, terms
from sdt_lava.graph import (
    LIF_KINDS,
    Gate,
    Graph,
    MaxPool,
    MaxRelay,
    Node,
    Relay,
    Shortcut,
    Subsample,
    TokenMean,
)

_NEURONS = (*LIF_KINDS, Gate, Relay, MaxRelay)
# Nodes that vanish: what they compute moves into relays and connections.
_SUMS = (Shortcut, Subsample, TokenMean, MaxPool)


def lower_shortcuts(graph: Graph, relayed: Collection[str] | None = None) -> Graph:
    """Replace Shortcut, Subsample, TokenMean and MaxPool by relays and connections.

    Parameters
    ----------
    graph : Graph
        Any graph.
    relayed : collection of str, optional
        Streams that become relays, all of them by default; the others are unrolled.
    """
    return graph.rebuild(_Lowering(graph, relayed).run())


class _Lowering:
    def __init__(self, graph: Graph, relayed: Collection[str] | None) -> None:
        self.graph = graph
        self.relayed = frozenset(stream_names(graph) if relayed is None else relayed)
        self.arriving: dict[str, list[Term]] = {}
        self.populations: dict[str, Node] = {}
        self.nodes: dict[str, Node] = {}

    def run(self) -> list[Node]:
        for node in self.graph:
            if isinstance(node, _NEURONS):
                self._collect(node, [t for name in node.inputs for t in self._terms(name)])
        uses = Counter(
            term.source for found in self.arriving.values() for term in found if not term.relayed
        )
        connector = Connector(self.graph)
        for node in self.graph:
            # A synapse stays as it is if there is nothing between it and its only reader.
            if not isinstance(node, (*_NEURONS, *_SUMS)) and uses[node.name] == 0:
                self.nodes[node.name] = node
        for name, found in self.arriving.items():
            node = self.populations[name]
            sources = [self._connect(term, node, connector, uses[term.source]) for term in found]
            inputs = tuple(source for made in sources for source in made)
            self.nodes[name] = replace(node, inputs=inputs)
        return list(self.nodes.values())

    def _terms(self, current: str) -> list[Term]:
        return terms(self.graph, current, self.relayed)

    def _collect(self, population: Node, found: list[Term]) -> None:
        """Note what arrives at a population, after the relays that it reads."""
        for term in found:
            if term.relayed and self._relay_name(term.source) not in self.populations:
                self._collect_relay(term.source)
        self.populations[population.name] = population
        self.arriving[population.name] = found

    def _relay_name(self, current: str) -> str:
        # A synapse keeps its name, so its relay needs another one; the sums vanish.
        return current if isinstance(self.graph.nodes[current], _SUMS) else current + ".relay"

    def _collect_relay(self, current: str) -> None:
        node = self.graph.nodes[current]
        relay = self._new_relay(self._relay_name(current), node)
        if isinstance(node, TokenMean):
            self._collect(relay, summands(self.graph, node, self.relayed))
        elif isinstance(node, Shortcut | MaxPool):
            self._collect(relay, [term for name in node.inputs for term in self._terms(name)])
        else:
            self._collect(relay, [Term(current, False, current)])

    def _connect(self, term: Term, reader: Node, connector: Connector, uses: int) -> list[str]:
        """Make the connections of a term and return their names."""
        population = self._relay_name(term.source) if term.relayed else ""
        names = []
        for connection in connector.connections(term, population):
            if uses == 1 and term.is_plain and not term.relayed:
                self.nodes[connection.name] = connection
                names.append(connection.name)
                continue
            name = self._free_name(f"{connection.name}->{reader.name}")
            self.nodes[name] = replace(
                connection, name=name, block=reader.block, origin=connection.origin or term.source
            )
            names.append(name)
        return names

    def _free_name(self, wanted: str) -> str:
        """Return a name; the same producer may reach a reader along several ways."""
        name, count = wanted, 1
        while name in self.nodes:
            count += 1
            name = f"{wanted}#{count}"
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
