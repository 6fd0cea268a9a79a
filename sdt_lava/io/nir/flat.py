"""Graphs inside graphs, written out: inner inputs and outputs pass everything on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import nir

from sdt_lava.errors import NirError
from sdt_lava.io.limits import limits, remedy

# Graphs inside graphs inside graphs.
MOST_DEPTH = 64


@dataclass(frozen=True)
class UnknownNode:
    """A node of a kind that NIR here does not know.

    Parameters
    ----------
    kind : str
        What the file calls it.
    """

    kind: str


def kind_of(node: Any) -> str:
    """Return what a file calls the kind of a node."""
    return node.kind if isinstance(node, UnknownNode) else type(node).__name__


@dataclass
class FlatGraph:
    """A NIR graph without graphs inside.

    Parameters
    ----------
    nodes : dict of str to NIRNode
        All nodes; those of inner graphs are called ``graph.node``.
    edges : list of (str, str)
        Each once.
    passages : set of str
        Inputs and outputs of inner graphs.
    notes : list of str
        What was left out or read in another way than it is written.
    """

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    passages: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Inner:
    """A graph, where its nodes went, and its ends."""

    name: str
    graph: nir.NIRGraph
    depth: int = 0
    flat_names: dict[str, str] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def flatten_graph(graph: nir.NIRGraph) -> FlatGraph:
    """Write out the graphs inside a graph.

    Raises
    ------
    NirError
        If edges name nodes that do not exist, an inner graph that is read or written has not
        exactly one output or input, or there are more nodes than a network may have.
    """
    flat = FlatGraph()
    inner: dict[str, _Inner] = {}
    waiting = [_Inner("", graph)]
    done: list[_Inner] = []
    while waiting:
        present = waiting.pop()
        done.append(present)
        for name, node in present.graph.nodes.items():
            flat_name = _free(f"{present.name}.{name}" if present.name else str(name), flat, inner)
            present.flat_names[name] = flat_name
            if isinstance(node, nir.NIRGraph):
                inner[flat_name] = _Inner(flat_name, node, present.depth + 1)
                if present.depth >= MOST_DEPTH:
                    allowed = f"at most {MOST_DEPTH} deep"
                    raise NirError(f"graph {name!r}", "graphs inside graphs", allowed)
                waiting.append(inner[flat_name])
            else:
                _add(flat, present, flat_name, node)
    for present in done:
        for source, target in _edges(present, flat.notes):
            flat.edges.append((_end(inner, source, "outputs"), _end(inner, target, "inputs")))
    return flat


def _add(flat: FlatGraph, present: _Inner, name: str, node: Any) -> None:
    most = limits().network_layers
    if len(flat.nodes) >= most:
        found = f"more than {most} nodes"
        raise NirError("NIR graph", found, f"at most {most}", remedy("network_layers"))
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
        twice = next(edge for edge in unique if edges.count(edge) > 1)
        notes.append(f"edge {twice}{where} occurs more than once and is taken once")
    names = dict(present.flat_names)
    unknown = {name for edge in unique for name in edge if name not in names}
    if unknown and present.name:
        names |= _misnamed(present, unknown, unique, notes)
    for edge in unique:
        for name in edge:
            if name not in names:
                known = ", ".join(map(repr, list(names)[:16]))
                raise NirError(
                    f"edge {edge}{where}", f"no node {name!r}", f"names of nodes: {known}"
                )
    return [(names[source], names[target]) for source, target in unique]


def _misnamed(
    present: _Inner, unknown: set[str], edges: list[tuple[str, str]], notes: list[str]
) -> dict[str, str]:
    """Match the one name that no node of an inner graph has with the one node that no edge has.

    Files of the NIR paper name a recurrent node by its graph, and the edges by its kind.
    """
    named = {name for edge in edges for name in edge}
    left = [name for name in present.flat_names if name not in named]
    if len(unknown) != 1 or len(left) != 1:
        return {}
    wrong = next(iter(unknown))
    notes.append(
        f"edges of graph {present.name!r} name {wrong!r}, which it does not have: taken as "
        f"{left[0]!r}, its only node that no edge names"
    )
    return {wrong: present.flat_names[left[0]]}


def _end(inner: Mapping[str, _Inner], name: str, side: str) -> str:
    """Return where an edge from or to a graph starts or ends inside it."""
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
