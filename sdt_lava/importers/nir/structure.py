"""Check the structure of a NIR graph and sort its nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import nir

from sdt_lava.errors import NirError
from sdt_lava.io.nir.flat import FlatGraph, flatten_graph, kind_of

# Maximum number of paths from populations to one reader through layers without neurons.
_MOST_WAYS = 64


@dataclass(frozen=True)
class Way:
    """Path from a population through layers without neurons.

    Parameters
    ----------
    source : str
        Name of the population or of the `Input`.
    layers : tuple of str
        Names of the layers in order.
    """

    source: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Structure:
    """NIR graph with one input and one output, in which every node is on a path between them.

    Parameters
    ----------
    nodes : mapping of str to NIRNode
        All nodes.
    sources : mapping of str to tuple of str
        Names of the nodes that each node reads.
    readers : mapping of str to tuple of str
        Names of the nodes that read each node, including the `Output`.
    order : tuple of str
        Nodes in topological order, apart from recurrent connections of a population; `Input` first.
    senders : frozenset of str
        Names of the `Input` and of all populations.
    output : str
        Name of the `Output`.
    notes : tuple of str
        Notes about omitted nodes.
    """

    nodes: Mapping[str, Any]
    sources: Mapping[str, tuple[str, ...]]
    readers: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]
    senders: frozenset[str]
    output: str
    notes: tuple[str, ...]

    def ways_to(self, name: str) -> list[Way]:
        """Return all paths from populations to a node, which adds up their signals.

        Raises
        ------
        NirError
            If there are too many paths.
        """
        paths: list[Way] = []
        stack: list[tuple[str, tuple[str, ...]]] = [
            (source, ()) for source in reversed(self.sources[name])
        ]
        while stack:
            reached_name, layers = stack.pop()
            if reached_name in self.senders:
                paths.append(Way(reached_name, layers))
            else:
                more = (reached_name, *layers)
                stack += [(source, more) for source in reversed(self.sources[reached_name])]
            if len(paths) + len(stack) > _MOST_WAYS:
                raise NirError(
                    name, f"more than {_MOST_WAYS} ways of currents that add up",
                    f"at most {_MOST_WAYS}", "put neurons between the layers that split and join",
                )  # fmt: skip
        return paths


def read_structure(
    graph: nir.NIRGraph, kinds: Collection[type], senders: tuple[type, ...]
) -> Structure:
    """Check nodes and edges, and return the structure.

    Parameters
    ----------
    graph : nir.NIRGraph
        The graph, which may contain nested graphs.
    kinds : collection of type
        Supported kinds of nodes.
    senders : tuple of type
        Kinds that send events; all others compute sums.

    Raises
    ------
    NirError
        If unsupported nodes are on a path from the input to the output (all are named), an edge
        refers to a missing node, a loop includes more than one population, or there is not exactly
        one input and one output.
    """
    flat = flatten_graph(graph)
    start, end = _ends(flat)
    digraph = nx.DiGraph()
    digraph.add_nodes_from(flat.nodes)
    digraph.add_edges_from(flat.edges)
    needed, notes = _on_the_way(flat, digraph, start, end)
    check_kinds({name: kind_of(flat.nodes[name]) for name in needed}, kinds)
    digraph = nx.DiGraph(digraph.subgraph(needed))
    populations = frozenset(
        name
        for name in needed
        if name not in flat.passages and isinstance(flat.nodes[name], senders)
    )
    edges = [edge for edge in flat.edges if edge[0] in needed and edge[1] in needed]
    _check_loops(digraph, populations)
    return Structure(
        nodes={name: flat.nodes[name] for name in needed},
        sources=_neighbours(needed, ((target, source) for source, target in edges)),
        readers=_neighbours(needed, edges),
        order=_order(flat, digraph, populations),
        senders=populations,
        output=end,
        notes=(*flat.notes, *notes),
    )


def check_kinds(kinds: Mapping[str, str], supported: Collection[type]) -> None:
    """Raise `NirError` that names every node of an unsupported kind."""
    names = {kind.__name__ for kind in supported}
    refused = [f"{name!r} ({kind})" for name, kind in kinds.items() if kind not in names]
    if refused:
        more = f" and {len(refused) - 40} more" if len(refused) > 40 else ""
        raise NirError(
            "NIR graph",
            f"nodes without counterpart here: {', '.join(refused[:40])}{more}",
            ", ".join(sorted(names)),
        )


def _ends(flat: FlatGraph) -> tuple[str, str]:
    """Return the names of the only input and the only output."""
    ends = []
    for kind, other in ((nir.Input, "other senders"), (nir.Output, "other readers")):
        names = [
            name
            for name, node in flat.nodes.items()
            if isinstance(node, kind) and name not in flat.passages
        ]
        if len(names) != 1:
            description = f"{len(names)} {kind.__name__} nodes {names}"
            raise NirError("NIR graph", description, "exactly one", f"leave out the {other}")
        ends.append(names[0])
    start, end = ends
    reads = [source for source, target in flat.edges if target == start]
    last = [source for source, target in flat.edges if target == end]
    if len(last) != 1 or reads:
        raise NirError(
            "NIR graph",
            f"Output {end!r} reads {last}, Input {start!r} reads {reads}",
            "an Output that reads one node, and an Input that reads none",
        )
    return start, end


def _on_the_way(
    flat: FlatGraph, digraph: nx.DiGraph, start: str, end: str
) -> tuple[list[str], list[str]]:
    needed = {end, *nx.ancestors(digraph, end)}
    reached = {start, *nx.descendants(digraph, start)}
    lonely = [name for name in flat.nodes if name in needed and name not in reached]
    for name in lonely:
        if not digraph.in_degree(name):
            description = (
                "neurons" if _fires(flat.nodes[name]) else f"a {kind_of(flat.nodes[name])}"
            )
            raise NirError(
                name, f"{description} that read nothing", "a way from the Input to each node"
            )
    if lonely:
        raise NirError(
            lonely[0], "no way from the Input to it", "a way from the Input to each node"
        )
    unused = [name for name in flat.nodes if name not in needed]
    notes = []
    if unused:
        more = f" and {len(unused) - 16} more" if len(unused) > 16 else ""
        notes.append(f"not on a way to the Output, left out: {', '.join(unused[:16])}{more}")
    return [name for name in flat.nodes if name in needed], notes


def _fires(node: Any) -> bool:
    return hasattr(node, "v_threshold")


def _neighbours(
    names: Iterable[str], pairs: Iterable[tuple[str, str]]
) -> dict[str, tuple[str, ...]]:
    by_name: dict[str, list[str]] = {name: [] for name in names}
    for name, neighbour in pairs:
        by_name[name].append(neighbour)
    return {name: tuple(neighbours) for name, neighbours in by_name.items()}


def _check_loops(digraph: nx.DiGraph, senders: Collection[str]) -> None:
    between = digraph.subgraph([name for name in digraph if name not in senders])
    if not nx.is_directed_acyclic_graph(between):
        raise NirError(
            "NIR graph",
            f"recurrent connections without neurons: {_loop(between)}",
            "loops that go through a population of neurons",
        )
    for component in nx.strongly_connected_components(digraph):
        inside = [name for name in digraph if name in component and name in senders]
        if len(inside) > 1:
            raise NirError(
                "NIR graph",
                f"recurrent connections through {len(inside)} populations, "
                f"{', '.join(map(repr, inside[:8]))}: {_loop(digraph.subgraph(component))}",
                "loops that go through one population",
                "join the populations into one, whose spikes all come back one step later",
            )


def _loop(digraph: nx.DiGraph) -> str:
    names = [source for source, _ in nx.find_cycle(digraph)]
    return " -> ".join(map(repr, [*names, names[0]]))


def _order(flat: FlatGraph, digraph: nx.DiGraph, senders: Collection[str]) -> tuple[str, ...]:
    forward = nx.DiGraph(digraph)
    for component in nx.strongly_connected_components(digraph):
        for name in component:
            if name in senders:
                # Recurrent signals of a population arrive in the next step.
                forward.remove_edges_from(
                    [edge for edge in digraph.out_edges(name) if edge[1] in component]
                )
    rank = {name: _position(flat.nodes[name], at) for at, name in enumerate(flat.nodes)}
    return tuple(nx.lexicographical_topological_sort(forward, key=rank.__getitem__))


def _position(node: Any, index: int) -> int:
    """Return the position stored by our writer, because HDF5 sorts nodes by name."""
    metadata = getattr(node, "metadata", None)
    position = metadata.get("position", index) if isinstance(metadata, dict) else index
    try:
        return int(position)
    except (TypeError, ValueError, OverflowError):
        return index
