"""The structure of a NIR graph: which node reads which, in order, and what it must not contain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import nir

from sdt_lava.errors import NirError


@dataclass(frozen=True)
class Structure:
    """A NIR graph with one input and one output, without cycles.

    Parameters
    ----------
    nodes : mapping of str to NIRNode
        All nodes.
    sources : mapping of str to tuple of str
        Names of the nodes that each node reads.
    readers : mapping of str to tuple of str
        Names of the nodes that read each node, `Output` included.
    order : tuple of str
        Every node after its sources; `Input` first.
    output : str
        Name of the node that the `Output` reads.
    """

    nodes: Mapping[str, nir.NIRNode]
    sources: Mapping[str, tuple[str, ...]]
    readers: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]
    output: str


def read_structure(graph: nir.NIRGraph, supported: Collection[type]) -> Structure:
    """Check nodes and edges.

    Raises
    ------
    NirError
        If there are nodes of other kinds than the supported ones (all are named), edges to nodes
        that do not exist, cycles, or not exactly one input and one output.
    """
    check_kinds({name: type(node).__name__ for name, node in graph.nodes.items()}, supported)
    edges = _edges(graph)
    sources = _neighbours(graph, ((target, source) for source, target in edges))
    outputs = [name for name, node in graph.nodes.items() if isinstance(node, nir.Output)]
    inputs = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    for what, found in (("Input", inputs), ("Output", outputs)):
        if len(found) != 1:
            raise NirError("NIR graph", f"{len(found)} {what} nodes {found}", "exactly one")
    if len(sources[outputs[0]]) != 1 or sources[inputs[0]]:
        raise NirError(
            "NIR graph",
            f"Output {outputs[0]!r} reads {list(sources[outputs[0]])}, "
            f"Input {inputs[0]!r} reads {list(sources[inputs[0]])}",
            "an Output that reads one node, and an Input that reads none",
        )
    return Structure(
        nodes=graph.nodes,
        sources=sources,
        readers=_neighbours(graph, edges),
        order=_order(graph, edges),
        output=sources[outputs[0]][0],
    )


def check_kinds(kinds: Mapping[str, str], supported: Collection[type]) -> None:
    """Raise `NirError` naming every node of a kind that has no counterpart here."""
    names = {kind.__name__ for kind in supported}
    refused = [f"{name!r} ({kind})" for name, kind in kinds.items() if kind not in names]
    if refused:
        more = f" and {len(refused) - 40} more" if len(refused) > 40 else ""
        raise NirError(
            "NIR graph",
            f"nodes without counterpart here: {', '.join(refused[:40])}{more}",
            ", ".join(sorted(names)),
        )


def _edges(graph: nir.NIRGraph) -> list[tuple[str, str]]:
    edges = [(source, target) for source, target in graph.edges]
    for edge in edges:
        for name in edge:
            if name not in graph.nodes:
                raise NirError(f"edge {edge}", f"no node {name!r}", "names of nodes")
    if len(set(edges)) != len(edges):
        twice = next(edge for position, edge in enumerate(edges) if edge in edges[:position])
        raise NirError(f"edge {twice}", "an edge that occurs twice", "each edge once")
    return edges


def _neighbours(
    graph: nir.NIRGraph, pairs: Iterable[tuple[str, str]]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name, neighbour in pairs:
        found[name].append(neighbour)
    return {name: tuple(neighbours) for name, neighbours in found.items()}


def _order(graph: nir.NIRGraph, edges: list[tuple[str, str]]) -> tuple[str, ...]:
    digraph = nx.DiGraph()
    digraph.add_nodes_from(graph.nodes)
    digraph.add_edges_from(edges)
    rank = {name: _position(node, index) for index, (name, node) in enumerate(graph.nodes.items())}
    try:
        return tuple(nx.lexicographical_topological_sort(digraph, key=rank.__getitem__))
    except nx.NetworkXUnfeasible as error:
        cycle = [source for source, _ in nx.find_cycle(digraph)]
        raise NirError(
            "NIR graph",
            f"recurrent connections: {' -> '.join(map(repr, cycle))} -> {cycle[0]!r}",
            "a feed-forward graph",
        ) from error


def _position(node: Any, index: int) -> int:
    """Return the position that our writer noted: HDF5 sorts nodes by name."""
    position = node.metadata.get("position", index) if isinstance(node.metadata, dict) else index
    try:
        return int(position)
    except (TypeError, ValueError, OverflowError):
        return index
