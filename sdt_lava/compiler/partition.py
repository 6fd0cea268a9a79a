"""Partition a compiled graph into the network's blocks for hierarchical processes."""

from __future__ import annotations

from dataclasses import dataclass

from sdt_lava.compiler.schedule import Schedule
from sdt_lava.ir import Conv, Dense, Graph, Input, Node, Shape, Signal, Sparse


@dataclass(frozen=True, eq=False)
class Connection:
    """A connection between two populations.

    Parameters
    ----------
    node : Sparse, Dense or Conv
        Node of the connection with its weights.
    source, reader : str
        Populations that send and receive.
    delay : int
        Additional delay in steps.
    graded : bool
        Whether the source sends graded spikes.
    source_shape : tuple of int
        Shape of the source.
    """

    node: Sparse | Dense | Conv
    source: str
    reader: str
    delay: int
    graded: bool
    source_shape: Shape


@dataclass(frozen=True, eq=False)
class BlockContent:
    """Contents of one hierarchical process.

    Parameters
    ----------
    name : str
        Name of the block, such as ``block.0.attn``.
    populations : tuple of Node
        LIF, gate and relay nodes of the block.
    shapes : dict of str to tuple of int
        Shapes of the populations in the block and of those that it reads from other blocks.
    connections : tuple of Connection
        Connections into the populations of the block.
    sources : tuple of str
        Populations of other blocks that the block reads.
    outputs : tuple of str
        Populations that other blocks may read.
    schedule : Schedule
        Timing of the whole network.
    """

    name: str
    populations: tuple[Node, ...]
    shapes: dict[str, Shape]
    connections: tuple[Connection, ...]
    sources: tuple[str, ...]
    outputs: tuple[str, ...]
    schedule: Schedule


def partition(
    graph: Graph, schedule: Schedule, observed: tuple[str, ...]
) -> tuple[BlockContent, ...]:
    """Group populations by block in topological order.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    schedule : Schedule
        Schedule of the graph.
    observed : tuple of str
        Populations that must be readable from outside their block.

    Returns
    -------
    tuple of BlockContent
        Blocks in topological order: only later blocks and the block itself read its outputs.
    """
    blocks: dict[str, list[Node]] = {}
    for node in graph:
        if graph.signals[node.name] is not Signal.CURRENT and not isinstance(node, Input):
            blocks.setdefault(node.block or "layers", []).append(node)
    home = {node.name: block for block, members in blocks.items() for node in members}
    read_elsewhere = {
        connection.source
        for block, members in blocks.items()
        for connection in connections_into(graph, schedule, members)
        if home.get(connection.source) != block
    }
    return tuple(
        _plan(graph, schedule, block, members, read_elsewhere | set(observed))
        for block, members in blocks.items()
    )


def _plan(
    graph: Graph, schedule: Schedule, block: str, members: list[Node], visible: set[str]
) -> BlockContent:
    connections = connections_into(graph, schedule, members)
    inside = {node.name for node in members}
    sources = dict.fromkeys(c.source for c in connections if c.source not in inside)
    return BlockContent(
        name=block,
        populations=tuple(members),
        shapes={name: graph.shapes[name] for name in (*inside, *sources)},
        connections=tuple(connections),
        sources=tuple(sources),
        outputs=tuple(node.name for node in members if node.name in visible),
        schedule=schedule,
    )


def connections_into(graph: Graph, schedule: Schedule, members: list[Node]) -> list[Connection]:
    """Return the connections into the given populations of a compiled graph."""
    connections = []
    for reader in members:
        for name in reader.inputs:
            node = graph.nodes[name]
            assert isinstance(node, Sparse | Dense | Conv)
            source = node.inputs[0]
            connections.append(
                Connection(
                    node=node,
                    source=source,
                    reader=reader.name,
                    delay=schedule.delay[name],
                    graded=graph.signals[source] is Signal.GRADED,
                    source_shape=graph.shapes[source],
                )
            )
    return connections
