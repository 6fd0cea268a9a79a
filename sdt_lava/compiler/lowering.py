"""Lower the integer graph to populations and connections with a sequence of passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from sdt_lava.compiler.columns import sdsa_ways
from sdt_lava.compiler.passes import lower_attention, lower_pooling
from sdt_lava.compiler.passes.lower_columns import lower_columns
from sdt_lava.compiler.passes.lower_cuba import lower_cuba
from sdt_lava.compiler.passes.lower_kinds import lower_kinds
from sdt_lava.compiler.passes.lower_readout import MEMBRANE_SUFFIX, READOUT_SUFFIX, lower_readout
from sdt_lava.compiler.passes.lower_shortcuts import lower_shortcuts
from sdt_lava.compiler.streams import RELAY, shortcut_ways
from sdt_lava.errors import CompileError
from sdt_lava.ir import NODE_KINDS, Graph, GroupSum, Signal
from sdt_lava.ir.sigma_delta_runs import keep_starts

Pass = Callable[[Graph], Graph]

# These modules register the lowerings of single kinds.
_REGISTERED = (lower_attention, lower_pooling)
# Passes in the order in which they run, with default choices; `lower` binds other choices.
LOWERING_PASSES: tuple[Pass, ...] = (
    lower_cuba,
    lower_readout,
    lower_columns,
    lower_kinds,
    lower_shortcuts,
)


@dataclass(frozen=True)
class Lowering:
    """Choices that the lowering passes can make.

    Parameters
    ----------
    shortcut : mapping of str to str
        Lowering of each residual stream: 'relay' or 'unrolled' (:mod:`sdt_lava.compiler.streams`).
    sdsa : mapping of str to str
        Lowering of each SDSA column: 'and', 'column-gate', 'columnless' or 'single-gate'
        (:mod:`sdt_lava.compiler.columns`).
    membranes : bool
        Whether the sums of the readout stay in membranes, for a target without graded spikes.
    """

    shortcut: Mapping[str, str] = field(default_factory=dict)
    sdsa: Mapping[str, str] = field(default_factory=dict)
    membranes: bool = False

    @classmethod
    def choose(
        cls,
        net: Graph,
        shortcut: str | Mapping[str, str] = RELAY,
        sdsa: str | Mapping[str, str] = "and",
    ) -> Lowering:
        """Expand a choice to every stream and column of a network.

        Raises
        ------
        CompileError
            If the network does not allow the choice, or has no stream or column of that name.
        """
        return cls(shortcut_ways(net, shortcut), sdsa_ways(net, sdsa))

    @property
    def relayed(self) -> tuple[str, ...]:
        """Residual streams that become relays."""
        return tuple(name for name, way in self.shortcut.items() if way == RELAY)


def lower(net: Graph, lowering: Lowering | None = None) -> Graph:
    """Apply all lowering passes and check that only mappable nodes remain.

    Parameters
    ----------
    net : Graph
        Integer graph.
    lowering : Lowering, optional
        Choices of the passes. By default, every stream becomes a relay and every column is kept.
    """
    lowering_used = lowering or Lowering.choose(net)
    choices: dict[Pass, Pass] = {
        lower_readout: partial(lower_readout, membranes=lowering_used.membranes),
        lower_columns: partial(lower_columns, ways=lowering_used.sdsa),
        lower_shortcuts: partial(lower_shortcuts, relayed=lowering_used.relayed),
    }
    graph = net
    for lowering_pass in LOWERING_PASSES:
        graph = choices.get(lowering_pass, lowering_pass)(graph)
    check_mappable(graph)
    return keep_starts(net, graph)


def output_population(net: Graph, *, membranes: bool = False) -> str:
    """Return the population of the compiled graph that holds the network's result."""
    name = net.output_name
    if isinstance(net.nodes[name], GroupSum):
        # The host sums the output of the neurons in each group.
        return net.unflattened(net.nodes[name].inputs[0]).name
    if net.signals[name] not in (Signal.LOGITS, Signal.CURRENT):
        return name
    return name + (MEMBRANE_SUFFIX if membranes else READOUT_SUFFIX)


def mappable_kinds() -> list[str]:
    """Return the names of the kinds that a lowered graph may contain."""
    return [name for name, kind in NODE_KINDS.items() if kind.is_mappable]


def check_mappable(graph: Graph) -> None:
    """Check that a graph consists of populations that are joined by connections.

    Raises
    ------
    CompileError
        If a node is of another kind, or several populations share a connection.
    """
    for node in graph:
        if not node.is_mappable:
            raise CompileError(
                f"node {node.name!r}",
                f"kind {node.kind}",
                f"one of {mappable_kinds()}",
            )
        is_connection = graph.signals[node.name] is Signal.CURRENT
        if is_connection and len(graph.consumers[node.name]) != 1:
            raise CompileError(
                f"connection {node.name!r}",
                f"{len(graph.consumers[node.name])} readers",
                "exactly one population",
            )
