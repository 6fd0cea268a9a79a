"""Define the graph: named nodes with their order, shapes and signals."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from types import MappingProxyType
from typing import Any, TypeVar

from sdt_lava.errors import GraphError
from sdt_lava.ir.base import Node, Shape, Signal
from sdt_lava.ir.input import Input
from sdt_lava.ir.neurons import SpikingNeurons
from sdt_lava.ir.readout import GroupSum, Readout
from sdt_lava.ir.sigma_delta import MessageNeurons
from sdt_lava.ir.synapses import Flatten
from sdt_lava.ir.table import format_nodes
from sdt_lava.support.once import cached_property

NodeT = TypeVar("NodeT", bound=Node)

# Limit on the names of nodes in an error, since a graph may have very many.
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Graph:
    """A checked, immutable, feed-forward graph of nodes.

    Parameters
    ----------
    nodes : mapping of str to Node
        Nodes by name.
    timesteps : int
        Number of steps per sample, ``T``.
    metadata : mapping
        Plain values stored with the network, such as the configuration and quantization report.

    Raises
    ------
    GraphError
        If a name is missing or not unique, an edge carries the wrong kind of signal, shapes do not
        fit, or there is a cycle.
    """

    nodes: Mapping[str, Node]
    timesteps: int
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", MappingProxyType(dict(self.nodes)))

    @classmethod
    def build(
        cls, nodes: Iterable[Node], timesteps: int, metadata: Mapping[str, Any] | None = None
    ) -> Graph:
        """Build and check a graph from nodes."""
        named: dict[str, Node] = {}
        for node in nodes:
            if node.name in named:
                raise GraphError(f"node {node.name!r}", "name used twice", "unique names")
            named[node.name] = node
        graph = cls(named, timesteps, dict(metadata or {}))
        graph.check()
        return graph

    def rebuild(self, nodes: Iterable[Node]) -> Graph:
        """Return a checked graph of other nodes with the same time steps and metadata."""
        return Graph.build(nodes, self.timesteps, self.metadata)

    def with_metadata(self, **values: Any) -> Graph:
        """Return the same graph with metadata entries added or replaced."""
        return replace(self, metadata={**self.metadata, **values})

    def check(self) -> None:
        """Check edges, signals and shapes of the whole graph."""
        if self.timesteps < 1:
            raise GraphError("graph", f"{self.timesteps} time steps", "at least 1")
        for node in self.nodes.values():
            _check_inputs(node, self.nodes)
        inputs = self.of_type(Input)
        if len(inputs) != 1:
            raise GraphError("graph", f"{len(inputs)} input nodes", "exactly one")
        if len(self.of_type(Readout)) > 1:
            raise GraphError("graph", f"{len(self.of_type(Readout))} readouts", "at most one")
        _ = self._inferred
        for node in self.of_type(GroupSum):
            self._check_summed(node)

    def _check_summed(self, node: GroupSum) -> None:
        if isinstance(self.unflattened(node.inputs[0]), Input):
            raise node.mismatch("sums of the network's input", "sums of neurons")

    def unflattened(self, name: str) -> Node:
        """Return a node, or for a `Flatten` the node that it flattens."""
        node = self.nodes[name]
        while isinstance(node, Flatten):
            node = self.nodes[node.inputs[0]]
        return node

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Names in topological order."""
        names = list(self.nodes)
        rank = {name: position for position, name in enumerate(names)}
        missing = {name: len(set(node.inputs)) for name, node in self.nodes.items()}
        ready = [rank[name] for name, inputs in missing.items() if not inputs]
        ordered = []
        while ready:
            # Of all possible next nodes, take the one that was named first.
            name = names[heappop(ready)]
            ordered.append(name)
            for reader in dict.fromkeys(self.consumers[name]):
                missing[reader] -= 1
                if not missing[reader]:
                    heappush(ready, rank[reader])
        if len(ordered) < len(names):
            raise GraphError("graph", f"cycle {self._cycle()}", "a feed-forward graph")
        return tuple(ordered)

    def _cycle(self) -> str:
        """Describe a cycle."""
        # Imported here because it takes longer than all other imports of `import sdt_lava`.
        import networkx as nx

        edges = ((source, node.name) for node in self.nodes.values() for source in node.inputs)
        edges_of_cycle = nx.find_cycle(nx.DiGraph(edges))
        cycle = " -> ".join(source for source, _ in edges_of_cycle[:_SHOWN])
        return cycle + (" -> ..." if len(edges_of_cycle) > _SHOWN else "")

    @cached_property
    def _inferred(self) -> tuple[dict[str, Shape], dict[str, Signal]]:
        shapes: dict[str, Shape] = {}
        signals: dict[str, Signal] = {}
        for name in self.order:
            node = self.nodes[name]
            received = [signals[source] for source in node.inputs]
            for source, signal in zip(node.inputs, received, strict=True):
                if signal not in node.accepts:
                    raise GraphError(
                        f"edge {source!r} ({self.nodes[source].kind}) -> {name!r} ({node.kind})",
                        f"carries {signal.value}",
                        " or ".join(sorted(kind.value for kind in node.accepts)),
                    )
            signals[name] = node.output_signal(received)
            shapes[name] = node.output_shape([shapes[source] for source in node.inputs])
        return shapes, signals

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """Output shape of each node, without time and batch."""
        return self._inferred[0]

    @property
    def signals(self) -> Mapping[str, Signal]:
        """Signal that each node emits."""
        return self._inferred[1]

    @cached_property
    def consumers(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the nodes that read each node."""
        readers: dict[str, list[str]] = {name: [] for name in self.nodes}
        for node in self.nodes.values():
            for source in node.inputs:
                readers[source].append(node.name)
        return {name: tuple(names) for name, names in readers.items()}

    @cached_property
    def derived(self) -> dict[Hashable, Any]:
        """Cache of objects computed from this graph, such as compiled plans."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Omit the cache, which can be computed again."""
        state = {name: value for name, value in self.__dict__.items() if name != "derived"}
        return {**state, "nodes": dict(self.nodes)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    def of_type(self, kind: type[NodeT]) -> tuple[NodeT, ...]:
        """Return all nodes of a class, in the order in which they were given."""
        return tuple(node for node in self.nodes.values() if isinstance(node, kind))

    def __iter__(self) -> Iterator[Node]:
        """Iterate over nodes in topological order."""
        return (self.nodes[name] for name in self.order)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def input(self) -> Input:
        """The input node."""
        return self.of_type(Input)[0]

    @property
    def input_shape(self) -> Shape:
        """Shape of one input frame: ``(C, H, W)`` or ``(features,)``."""
        return self.input.shape

    @property
    def readout(self) -> Readout | None:
        """The linear head, or None for a network that ends in spikes."""
        readouts = self.of_type(Readout)
        return readouts[0] if readouts else None

    @property
    def lif_names(self) -> tuple[str, ...]:
        """Names of all populations of spiking neurons with memory, in topological order."""
        return tuple(node.name for node in self if isinstance(node, SpikingNeurons))

    @property
    def message_names(self) -> tuple[str, ...]:
        """Names of all populations of sigma-delta neurons, in topological order."""
        return tuple(node.name for node in self if isinstance(node, MessageNeurons))

    @property
    def memory_names(self) -> tuple[str, ...]:
        """Names of all populations of neurons with memory of either kind, in topological order."""
        return tuple(node.name for node in self if node.has_memory)

    @property
    def output_name(self) -> str:
        """Name of the node whose sum over time is the network's result."""
        if self.readout is not None:
            return self.readout.name
        ends = [name for name in self.order if not self.consumers[name]]
        # Logits are the result even if there are other nodes without readers.
        logits = [name for name in ends if self.nodes[name].emits is Signal.LOGITS]
        if len(logits) == 1:
            return logits[0]
        if len(ends) != 1:
            some = f"{ends[:_SHOWN]}" + (", ..." if len(ends) > _SHOWN else "")
            raise GraphError(
                "graph", f"{len(ends)} nodes that no other node reads: {some}", "one output"
            )
        if isinstance(self.nodes[ends[0]], Flatten):
            raise GraphError(f"node {ends[0]!r}", "a flatten that no node reads", "a network's end")
        return ends[0]

    def __str__(self) -> str:
        return format_nodes(self, self.shapes)


def _check_inputs(node: Node, nodes: Mapping[str, Node]) -> None:
    count = len(node.inputs)
    if count < node.min_inputs or (node.max_inputs is not None and count > node.max_inputs):
        allowed = (
            f"{node.min_inputs} or more"
            if node.max_inputs is None
            else f"{node.min_inputs} to {node.max_inputs}"
        )
        raise GraphError(f"node {node.name!r} ({node.kind})", f"{count} inputs", allowed)
    if len(set(node.inputs)) != count:
        raise GraphError(
            f"node {node.name!r} ({node.kind})", f"inputs {list(node.inputs)}", "distinct inputs"
        )
    for source in node.inputs:
        if source not in nodes:
            raise GraphError(
                f"node {node.name!r} ({node.kind})",
                f"input {source!r} does not exist",
                "the name of another node",
            )
