"""The graph compiler: from the integer graph to populations, connections and a schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sdt_lava.compiler.partition import partition
from sdt_lava.compiler.passes.lower_attention import lower_attention
from sdt_lava.compiler.passes.lower_cuba import lower_cuba
from sdt_lava.compiler.passes.lower_dilation import lower_dilation
from sdt_lava.compiler.passes.lower_pooling import lower_pooling
from sdt_lava.compiler.passes.lower_readout import READOUT_SUFFIX, lower_readout
from sdt_lava.compiler.passes.lower_shortcuts import lower_shortcuts
from sdt_lava.compiler.passes.split_convolutions import split_convolutions
from sdt_lava.compiler.passes.split_exponents import split_exponents
from sdt_lava.compiler.passes.unroll_convolutions import unroll_convolutions, unrolled_synapses
from sdt_lava.compiler.process_table import ProcessRow, format_processes, process_rows
from sdt_lava.compiler.schedule import Schedule, make_schedule, needs_matrix
from sdt_lava.compiler.targets import Target, load_target
from sdt_lava.errors import CompileError
from sdt_lava.graph import (
    LIF_KINDS,
    Conv,
    Dense,
    Gate,
    Graph,
    Input,
    MaxRelay,
    Relay,
    Signal,
    Sparse,
)

if TYPE_CHECKING:
    from sdt_lava.compiler.rules import Violation
    from sdt_lava.processes.blocks import SpikingNetwork

Pass = Callable[[Graph], Graph]

LOWERING_PASSES: tuple[Pass, ...] = (
    lower_cuba,
    lower_readout,
    lower_pooling,
    lower_dilation,
    lower_attention,
    lower_shortcuts,
)
MAPPABLE_KINDS = (Input, Conv, Dense, Sparse, *LIF_KINDS, Gate, Relay, MaxRelay)
CONVOLUTIONS = ("auto", "sparse", "conv")
# Above this many synapses a convolution stays a convolution in 'auto' mode: unrolled it would
# take 8 bytes a synapse and process.
AUTO_UNROLL_LIMIT = 8_000_000


@dataclass(frozen=True, eq=False)
class CompiledNetwork:
    """A network as Lava runs it.

    Parameters
    ----------
    source : Graph
        The integer graph that was compiled.
    graph : Graph
        Populations (LIF, gates, relays) and connections.
    schedule : Schedule
        Latencies, delays and resets.
    target : Target
        What it was compiled for.
    board : str or None
        Board of the target, by name; None for its default, and for a simulator.
    """

    source: Graph
    graph: Graph
    schedule: Schedule
    target: Target
    board: str | None = None

    @property
    def output_name(self) -> str:
        """Population whose output is the network's result, before the head's bias."""
        return output_population(self.source)

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """What the target does not allow, errors first: see :mod:`sdt_lava.compiler.rules`."""
        from sdt_lava.compiler.rules import check_rules

        return check_rules(self)

    @property
    def num_processes(self) -> int:
        """Number of Lava processes, without those that feed and record."""
        return len(self.graph) - 1

    @property
    def processes(self) -> tuple[ProcessRow, ...]:
        """The Lava processes, their latencies, resets and delays."""
        return process_rows(self.graph, self.schedule)

    @property
    def observed(self) -> tuple[str, ...]:
        """Populations that can be recorded: every LIF, and the readout's relay."""
        names = self.graph.lif_names
        return names if self.output_name in names else (*names, self.output_name)

    def build(self) -> SpikingNetwork:
        """Make the Lava process of the whole network.

        Returns
        -------
        SpikingNetwork
            Hierarchical process: port ``inp`` for flat frames, ``out_port(name)`` for each
            observed population. It starts nothing.
        """
        from sdt_lava.processes.blocks import SpikingNetwork

        blocks = partition(self.graph, self.schedule, self.observed)
        return SpikingNetwork(blocks, self.graph.input.name, self.graph.input_shape, self.observed)

    def __str__(self) -> str:
        table = format_processes(self.processes)
        return f"{table}\n{self.num_processes} Lava processes\n{self.schedule}"


def compile_network(
    net: Graph,
    target: str | Path | Target = "lava-cpu",
    *,
    board: str | None = None,
    convolutions: str | None = None,
    timesteps: int | None = None,
    reset: bool = True,
) -> CompiledNetwork:
    """Map an integer graph onto Lava's standard processes.

    Parameters
    ----------
    net : Graph
        Integer graph.
    target : {'lava-cpu', 'loihi2', 'loihi1'}, path or Target
        Where it will run; a path is that of a target's description, ``*.toml``.
    board : str, optional
        Board of the target; its default board if none is named.
    convolutions : {'auto', 'sparse', 'conv'}, optional
        Unroll convolutions into sparse connections where they are small, always, or only where
        a delay demands it. By default 'auto' for a simulator and 'conv' for hardware, where
        convolutions share the memory of their weights.
    timesteps : int, optional
        Steps of a sample, for event data that differs from the graph's.
    reset : bool
        Start every sample from rest. Otherwise samples are one continuous stream: neurons are
        reset once, when its first step reaches them.

    Returns
    -------
    CompiledNetwork
        Compiled graph and schedule.

    Raises
    ------
    CompileError
        If the network has a part that cannot be lowered.
    TargetError
        If there is no such target or board.
    """
    description = target if isinstance(target, Target) else load_target(target)
    if board is not None:
        description.board(board)
    if convolutions is None:
        convolutions = "conv" if description.is_hardware else "auto"
    if convolutions not in CONVOLUTIONS:
        raise CompileError("convolutions", repr(convolutions), f"one of {CONVOLUTIONS}")
    graph = lower(net)
    schedule = make_schedule(graph, timesteps, reset=reset)
    graph = unroll_convolutions(graph, _to_unroll(graph, schedule, convolutions))
    graph = split_exponents(graph)
    if description.limit("conv_exponent_max") is not None:
        graph = split_convolutions(graph)
    schedule = make_schedule(graph, timesteps, reset=reset)
    return CompiledNetwork(net, graph, schedule, description, board)


def output_population(net: Graph) -> str:
    """Return the population of the compiled graph whose output is a network's result."""
    return net.output_name if net.readout is None else net.readout.name + READOUT_SUFFIX


def lower(net: Graph) -> Graph:
    """Apply all lowering passes and check that only mappable nodes are left."""
    graph = net
    for lowering in LOWERING_PASSES:
        graph = lowering(graph)
    check_mappable(graph)
    return graph


def check_mappable(graph: Graph) -> None:
    """Check that a graph consists of populations joined by connections.

    Raises
    ------
    CompileError
        Naming the first node that is something else, or a connection that is shared.
    """
    for node in graph:
        if not isinstance(node, MAPPABLE_KINDS):
            raise CompileError(
                f"node {node.name!r}",
                f"kind {node.kind}",
                f"one of {[kind.kind for kind in MAPPABLE_KINDS]}",
            )
        is_connection = graph.signals[node.name] is Signal.CURRENT
        if is_connection and len(graph.consumers[node.name]) != 1:
            raise CompileError(
                f"connection {node.name!r}",
                f"{len(graph.consumers[node.name])} readers",
                "exactly one population",
            )


def _to_unroll(graph: Graph, schedule: Schedule, convolutions: str) -> set[str]:
    limit = {"sparse": None, "auto": AUTO_UNROLL_LIMIT, "conv": 0}[convolutions]
    return {
        node.name
        for node in graph.of_type(Conv)
        if limit is None
        or needs_matrix(node, schedule.delay[node.name])
        or unrolled_synapses(graph, node) <= limit
    }
