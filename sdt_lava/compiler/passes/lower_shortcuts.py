"""Lower membrane shortcuts to relays, or to synapses from all producers of a stream.

A current with a single reader stays in the dendrite of that reader's neurons. A stream with several
readers gets a relay population, whose graded spikes the readers receive through connections of
weight 1, or is unrolled, which gives each reader its own copy of the synapses of every producer.
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

# Kinds that are removed; relays and connections compute their results.
_SUMS = (Shortcut, Subsample, TokenMean, MaxPool)


class TooManyConnectionsError(CompileError):
    """Unrolled streams need more connections than allowed."""


def lower_shortcuts(graph: Graph, relayed: Collection[str] | None = None) -> Graph:
    """Replace Shortcut, Subsample, TokenMean and MaxPool by relays and connections.

    Parameters
    ----------
    graph : Graph
        Graph to lower.
    relayed : collection of str, optional
        Streams that become relays, by default all; the others are unrolled.

    Raises
    ------
    TooManyConnectionsError
        If unrolling needs more connections than the limit `unrolled_connections`.
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
            term.source for terms in self.arriving.values() for term in terms if not term.relayed
        )
        connector = Connector(self.graph)
        for node in self.graph:
            # A synapse directly before its only reader stays unchanged.
            if not (node.is_population or isinstance(node, _SUMS)) and uses[node.name] == 0:
                self.nodes[node.name] = node
        for name, terms in self.arriving.items():
            node = self.populations[name]
            sources = [self._connect(term, node, connector, uses[term.source]) for term in terms]
            inputs = tuple(source for names in sources for source in names)
            self.nodes[name] = replace(node, inputs=inputs)
        return list(self.nodes.values())

    def _check_size(self) -> None:
        """Check the number of connections before they are made, since n streams can have 2^n."""
        needed, edges = 0, 0
        for node in self.graph:
            if node.is_population or isinstance(node, _SUMS):
                edges += len(node.inputs)
            # A rounded mean is a relay of all terms of its sum.
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
        """Record the terms that arrive at a population, after those of the relays that it reads."""
        pending = [(reader, self._of_all(reader))]
        while pending:
            population, terms = pending[-1]
            if population.name in self.populations:
                pending.pop()
                continue
            missing = dict.fromkeys(term.source for term in terms if self._is_missing(term))
            if missing:
                pending.extend(map(self._relay, reversed(missing)))
                continue
            self.populations[population.name] = population
            self.arriving[population.name] = terms
            pending.pop()

    def _is_missing(self, term: Term) -> bool:
        return term.relayed and self._relay_name(term.source) not in self.populations

    def _of_all(self, node: Node) -> list[Term]:
        return [term for name in node.inputs for term in self.terms.of(name)]

    def _relay_name(self, current: str) -> str:
        # A synapse keeps its name, so its relay needs another name. Sums are removed.
        return current if isinstance(self.graph.nodes[current], _SUMS) else current + ".relay"

    def _relay(self, current: str) -> tuple[Node, list[Term]]:
        """Return the relay population of a current with the terms that arrive there."""
        node = self.graph.nodes[current]
        relay = self._new_relay(self._relay_name(current), node)
        if isinstance(node, TokenMean):
            return relay, self.terms.summed(node.inputs[0])
        if isinstance(node, Shortcut | MaxPool):
            return relay, self._of_all(node)
        return relay, [Term(current, False, current)]

    def _connect(self, term: Term, reader: Node, connector: Connector, uses: int) -> list[str]:
        """Add the connections of a term to the graph and return their names."""
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
        """Return an unused name, since a producer may reach a reader along several paths."""
        name = wanted
        while name in self.nodes:
            # The first one is number 1, and its name has no number.
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
    """Format a number for a message, abbreviating very large ones."""
    return str(number) if number < 10**12 else f"about 2^{number.bit_length() - 1}"
