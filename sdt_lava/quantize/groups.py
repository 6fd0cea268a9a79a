"""Group neurons and synapses that must share one scale because their currents are added."""

from __future__ import annotations

from dataclasses import dataclass

from sdt_lava.ir import Graph, Signal, SpikingNeurons, Synapse, TokenMean, TokenSum


@dataclass(frozen=True)
class LifGroup:
    """Neurons whose input currents come from the same set of synapses.

    Parameters
    ----------
    lifs, synapses : tuple of str
        Node names.
    counts : str
        Name of the token sum if the group integrates one (integer counts without weights).
    between : tuple of str
        Sums, pools and means between the synapses and the neurons.
    """

    lifs: tuple[str, ...]
    synapses: tuple[str, ...]
    counts: str = ""
    between: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all nodes."""
        counts = (self.counts,) if self.counts else ()
        return (*self.synapses, *counts, *self.between, *self.lifs)

    @property
    def name(self) -> str:
        """Name of the first neuron, or of the first synapse if there is no neuron."""
        return self.lifs[0] if self.lifs else self.synapses[0]


def lif_groups(graph: Graph) -> tuple[LifGroup, ...]:
    """Return the connected components of the graph's current edges.

    All branches of a residual stream are in one group, with all neurons that read the stream.
    """
    import networkx as nx

    undirected = nx.Graph()
    for node in graph:
        if node.accepts != frozenset({Signal.CURRENT}) and not isinstance(node, SpikingNeurons):
            continue
        undirected.add_node(node.name)
        for source in node.inputs:
            if graph.signals[source] is Signal.CURRENT:
                undirected.add_edge(source, node.name)
    groups = []
    for component in nx.connected_components(undirected):
        members = [name for name in graph.order if name in component]
        ends = (SpikingNeurons, Synapse, TokenSum)
        counts = [name for name in members if isinstance(graph.nodes[name], TokenSum)]
        groups.append(
            LifGroup(
                lifs=tuple(
                    name for name in members if isinstance(graph.nodes[name], SpikingNeurons)
                ),
                synapses=tuple(name for name in members if isinstance(graph.nodes[name], Synapse)),
                counts=counts[0] if counts else "",
                between=tuple(name for name in members if not isinstance(graph.nodes[name], ends)),
            )
        )
    order = {name: position for position, name in enumerate(graph.order)}
    return tuple(sorted(groups, key=lambda group: order[group.name]))


def token_mean_before(graph: Graph, lif: str) -> TokenMean | None:
    """Return the token mean that feeds a neuron directly, if any."""
    for source in graph.nodes[lif].inputs:
        node = graph.nodes[source]
        if isinstance(node, TokenMean):
            return node
    return None


def token_count(graph: Graph, node: TokenMean | TokenSum) -> int:
    """Return the number of tokens over which a token sum or mean is taken."""
    _, height, width = graph.shapes[node.inputs[0]]
    return height * width
