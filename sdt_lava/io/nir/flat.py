"""Flatten nested graphs; inner inputs and outputs become nodes that forward their input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import nir

from sdt_lava.errors import NirError
from sdt_lava.io.limits import limits, remedy

# Maximum nesting depth of graphs.
MOST_DEPTH = 64


@dataclass(frozen=True)
class UnknownNode:
    """A node of a kind that is not supported here.

    Parameters
    ----------
    kind : str
        Name of the kind in the file.
    """

    kind: str


def kind_of(node: Any) -> str:
    """Return the name of a node's kind in a file."""
    return node.kind if isinstance(node, UnknownNode) else type(node).__name__


@dataclass
class FlatGraph:
    """A NIR graph without nested graphs.

    Parameters
    ----------
    nodes : dict of str to NIRNode
        All nodes; those of inner graphs are named ``graph.node``.
    edges : list of (str, str)
        Edges without duplicates.
    passages : set of str
        Inputs and outputs of inner graphs.
    notes : list of str
        Notes on what was dropped or reinterpreted.
    """

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    passages: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Inner:
    """A graph, the flat names of its nodes, and its inputs and outputs."""

    name: str
    graph: nir.NIRGraph
    depth: int = 0
    flat_names: dict[str, str] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def flatten_graph(graph: nir.NIRGraph) -> FlatGraph:
    """Flatten a graph and all graphs nested in it.

    Raises
    ------
    NirError
        If edges name nodes that do not exist, graphs are nested too deeply, an inner graph with
        outgoing or incoming edges does not have exactly one output or input, respectively, or
        there are more nodes than a network may have.
    """
    flat = FlatGraph()
    inner: dict[str, _Inner] = {}
    stack = [_Inner("", graph)]
    graphs: list[_Inner] = []
    while stack:
        current = stack.pop()
        graphs.append(current)
        for name, node in current.graph.nodes.items():
            flat_name = _free(f"{current.name}.{name}" if current.name else str(name), flat, inner)
            current.flat_names[name] = flat_name
            if isinstance(node, nir.NIRGraph):
                inner[flat_name] = _Inner(flat_name, node, current.depth + 1)
                if current.depth >= MOST_DEPTH:
                    allowed = f"at most {MOST_DEPTH} deep"
                    raise NirError(f"graph {name!r}", "graphs inside graphs", allowed)
                stack.append(inner[flat_name])
            else:
                _add(flat, current, flat_name, node)
    for current in graphs:
        for source, target in _edges(current, flat.notes):
            flat.edges.append((_end(inner, source, "outputs"), _end(inner, target, "inputs")))
    return flat


def _add(flat: FlatGraph, present: _Inner, name: str, node: Any) -> None:
    limit = limits().network_layers
    if len(flat.nodes) >= limit:
        problem = f"more than {limit} nodes"
        raise NirError("NIR graph", problem, f"at most {limit}", remedy("network_layers"))
    flat.nodes[name] = node
    if not present.name:
        return
    if isinstance(node, nir.Input):
        present.inputs.append(name)
        flat.passages.add(name)
    elif isinstance(node, nir.Output):
        present.outputs.append(name)
        flat.passages.add(name)


def _free(name: str, flat: FlatGraph, inner: Mapping[str, _Inner]) -> str:
    while name in flat.nodes or name in inner:
        name += "_"
    return name


def _edges(present: _Inner, notes: list[str]) -> list[tuple[str, str]]:
    where = f" of graph {present.name!r}" if present.name else ""
    edges = [(str(source), str(target)) for source, target in present.graph.edges]
    unique = list(dict.fromkeys(edges))
    if len(unique) != len(edges):
        duplicate = next(edge for edge in unique if edges.count(edge) > 1)
        notes.append(f"edge {duplicate}{where} occurs more than once and is taken once")
    names = dict(present.flat_names)
    unknown = {name for edge in unique for name in edge if name not in names}
    if unknown and present.name:
        names |= _misnamed(present, unknown, unique, notes)
    for edge in unique:
        for name in edge:
            if name not in names:
                node_names = ", ".join(map(repr, list(names)[:16]))
                raise NirError(
                    f"edge {edge}{where}", f"no node {name!r}", f"names of nodes: {node_names}"
                )
    return [(names[source], names[target]) for source, target in unique]


def _misnamed(
    present: _Inner, unknown: set[str], edges: list[tuple[str, str]], notes: list[str]
) -> dict[str, str]:
    """Match the only unknown name in the edges of an inner graph to its only node without edges.

    Files of the NIR paper name a recurrent node after its graph, but edges use its kind.
    """
    edge_names = {name for edge in edges for name in edge}
    unused_names = [name for name in present.flat_names if name not in edge_names]
    if len(unknown) != 1 or len(unused_names) != 1:
        return {}
    unknown_name = next(iter(unknown))
    notes.append(
        f"edges of graph {present.name!r} name {unknown_name!r}, which it does not have: taken as "
        f"{unused_names[0]!r}, its only node that no edge names"
    )
    return {unknown_name: present.flat_names[unused_names[0]]}


def _end(inner: Mapping[str, _Inner], name: str, side: str) -> str:
    """Return the flat node at which an edge from or to a graph starts or ends."""
    if name not in inner:
        return name
    ends: list[str] = getattr(inner[name], side)
    if len(ends) != 1:
        kind = "Output" if side == "outputs" else "Input"
        raise NirError(
            f"graph {name!r}", f"an edge at a graph with {len(ends)} {kind} nodes {ends}",
            f"exactly one {kind}",
        )  # fmt: skip
    return ends[0]
