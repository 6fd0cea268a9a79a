"""Membrane shortcuts: relays that pass a residual stream on, or synapses from all its producers.

A current that only one neuron reads stays in that neuron's dendrite. A stream that several read
either gets a relay population, whose graded spikes its readers receive through connections of
weight 1, or is unrolled: each reader gets its own copy of the synapses of every producer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import replace

from sdt_lava.compiler.streams import stream_names
from sdt_lava.compiler.terms import Connector, Term, Terms
from sdt_lava.errors import CompileError
from sdt_lava.io.limits import limits, remedy
from sdt_lava.ir import (
    Graph,
    MaxPool,
    MaxRelay,
    Node,
    Relay,
    Shortcut,
    Subsample,
    TokenMean,
)

# Nodes that vanish: what they compute moves into relays and connections.
_SUMS = (Shortcut, Subsample, TokenMean, MaxPool)


class TooManyConnectionsError(CompileError):
    """Unrolled streams that would take more connections than are allowed."""


def lower_shortcuts(graph: Graph, relayed: Collection[str] | None = None) -> Graph:
    """Replace Shortcut, Subsample, TokenMean and MaxPool by relays and connections.

    Parameters
    ----------
    graph : Graph
        Any graph.
    relayed : collection of str, optional
        Streams that become relays, all of them by default; the others are unrolled.

    Raises
    ------
    TooManyConnectionsError
        If unrolling takes more connections than `unrolled_connections` of the limits.
    """
    return graph.rebuild(_Lowering(graph, relayed).run())


class _Lowering:
    def __init__(self, graph: Graph, relayed: Collection[str] | None) -> None:
        self.graph = graph
        self.terms = Terms(graph, stream_names(graph) if relayed is None else relayed)
        self.arriving: dict[str, list[Term]] = {}
        self.populations: dict[str, Node] = {}
        self.nodes: dict[str, Node] = {}
        self._same_name: defaultdict[str, int] = defaultdict(int)

    def run(self) -> list[Node]:
        self._check_size()
        for node in self.graph:
            if node.is_population:
                self._collect(node)
        uses = Counter(
            term.source for found in self.arriving.values() for term in found if not term.relayed
        )
        connector = Connector(self.graph)
        for node in self.graph:
            # A synapse stays as it is if there is nothing between it and its only reader.
            if not (node.is_population or isinstance(node, _SUMS)) and uses[node.name] == 0:
                self.nodes[node.name] = node
        for name, found in self.arriving.items():
            node = self.populations[name]
            sources = [self._connect(term, node, connector, uses[term.source]) for term in found]
            inputs = tuple(source for made in sources for source in made)
            self.nodes[name] = replace(node, inputs=inputs)
        return list(self.nodes.values())

    def _check_size(self) -> None:
        """Count the connections before they are made: n streams can have 2^n."""
        needed, edges = 0, 0
        for node in self.graph:
            if node.is_population or isinstance(node, _SUMS):
                edges += len(node.inputs)
            # A mean that is rounded is a relay of all terms of its sum.
            relays = isinstance(node, _SUMS) and self.terms.is_relay(node)
            if node.is_population or relays:
                needed += sum(map(self.terms.count, node.inputs))
        most = limits().unrolled_connections
        if needed > edges + most:
            raise TooManyConnectionsError(
                "shortcut",
                f"{_short(needed)} connections of unrolled streams",
                f"at most {most} more than the {edges} of the network",
                "keep streams as relays (shortcut 'relay', 'auto', or STREAM=unrolled for some); "
                + remedy("unrolled_connections"),
            )

    def _collect(self, reader: Node) -> None:
        """Note what arrives at a population, after the relays that it reads."""
        waiting = [(reader, self._of_all(reader))]
        while waiting:
            population, found = waiting[-1]
            if population.name in self.populations:
                waiting.pop()
                continue
            missing = dict.fromkeys(term.source for term in found if self._is_missing(term))
            if missing:
                waiting.extend(map(self._relay, reversed(missing)))
                continue
            self.populations[population.name] = population
            self.arriving[population.name] = found
            waiting.pop()

    def _is_missing(self, term: Term) -> bool:
        return term.relayed and self._relay_name(term.source) not in self.populations

    def _of_all(self, node: Node) -> list[Term]:
        return [term for name in node.inputs for term in self.terms.of(name)]

    def _relay_name(self, current: str) -> str:
        # A synapse keeps its name, so its relay needs another one; the sums vanish.
        return current if isinstance(self.graph.nodes[current], _SUMS) else current + ".relay"

    def _relay(self, current: str) -> tuple[Node, list[Term]]:
        """Return the relay population of a current, and what arrives there."""
        node = self.graph.nodes[current]
        relay = self._new_relay(self._relay_name(current), node)
        if isinstance(node, TokenMean):
            return relay, self.terms.summed(node.inputs[0])
        if isinstance(node, Shortcut | MaxPool):
            return relay, self._of_all(node)
        return relay, [Term(current, False, current)]

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
        name = wanted
        while name in self.nodes:
            # The first is number 1 and has none in its name.
            self._same_name[wanted] += 1
            name = f"{wanted}#{self._same_name[wanted] + 1}"
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


def _short(number: int) -> str:
    """Return a number for people, who need not see all of its digits."""
    return str(number) if number < 10**12 else f"about 2^{number.bit_length() - 1}"
