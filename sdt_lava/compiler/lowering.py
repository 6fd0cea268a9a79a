"""From the integer graph to populations and connections: the passes, and what they may choose."""

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

# What kinds become one by one is registered by these modules.
_REGISTERED = (lower_attention, lower_pooling)
# In the order in which they run with the usual choices; `lower` passes others on.
LOWERING_PASSES: tuple[Pass, ...] = (
    lower_cuba,
    lower_readout,
    lower_columns,
    lower_kinds,
    lower_shortcuts,
)


@dataclass(frozen=True)
class Lowering:
    """What was chosen where there is a choice.

    Parameters
    ----------
    shortcut : mapping of str to str
        By residual stream: 'relay' or 'unrolled' (:mod:`sdt_lava.compiler.streams`).
    sdsa : mapping of str to str
        By column of SDSA: 'and', 'column-gate', 'columnless' or 'single-gate'
        (:mod:`sdt_lava.compiler.columns`).
    membranes : bool
        The readout's sums stay in membranes, for a target without graded spikes.
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
        """Spell a choice out for every stream and column of a network.

        Raises
        ------
        CompileError
            If the network does not allow it, or has no stream or column of a name.
        """
        return cls(shortcut_ways(net, shortcut), sdsa_ways(net, sdsa))

    @property
    def relayed(self) -> tuple[str, ...]:
        """Streams that become relays."""
        return tuple(name for name, way in self.shortcut.items() if way == RELAY)


def lower(net: Graph, lowering: Lowering | None = None) -> Graph:
    """Apply all lowering passes and check that only mappable nodes are left.

    Parameters
    ----------
    net : Graph
        Integer graph.
    lowering : Lowering, optional
        By default every stream becomes a relay and every column stays one.
    """
    chosen = lowering or Lowering.choose(net)
    choices: dict[Pass, Pass] = {
        lower_readout: partial(lower_readout, membranes=chosen.membranes),
        lower_columns: partial(lower_columns, ways=chosen.sdsa),
        lower_shortcuts: partial(lower_shortcuts, relayed=chosen.relayed),
    }
    graph = net
    for lowering_pass in LOWERING_PASSES:
        graph = choices.get(lowering_pass, lowering_pass)(graph)
    check_mappable(graph)
    return keep_starts(net, graph)


def output_population(net: Graph, *, membranes: bool = False) -> str:
    """Return the population of the compiled graph that has a network's result."""
    name = net.output_name
    if isinstance(net.nodes[name], GroupSum):
        # The host adds up what the neurons before it send.
        return net.unflattened(net.nodes[name].inputs[0]).name
    if net.signals[name] not in (Signal.LOGITS, Signal.CURRENT):
        return name
    return name + (MEMBRANE_SUFFIX if membranes else READOUT_SUFFIX)


def mappable_kinds() -> list[str]:
    """Return the names of the kinds that may be left when a graph has been lowered."""
    return [name for name, kind in NODE_KINDS.items() if kind.is_mappable]


def check_mappable(graph: Graph) -> None:
    """Check that a graph consists of populations joined by connections.

    Raises
    ------
    CompileError
        Naming the first node that is something else, or a connection that is shared.
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
