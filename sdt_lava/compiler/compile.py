"""Compile an integer graph to populations, connections and a schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial

from sdt_lava._moved import old_names
from sdt_lava.compiler.choose import Choice, choose_lowering
from sdt_lava.compiler.columns import AND
from sdt_lava.compiler.cost import ASSUMED_RATE, Rates
from sdt_lava.compiler.lowering import Lowering, lower, output_population
from sdt_lava.compiler.passes.relay_shifted import RELAY_SUFFIX, relay_shifted, unshifted
from sdt_lava.compiler.passes.split_convolutions import split_convolutions
from sdt_lava.compiler.passes.split_delays import DelaySplit, balance
from sdt_lava.compiler.passes.split_exponents import split_exponents
from sdt_lava.compiler.passes.unroll_convolutions import unroll_convolutions, unrolled_synapses
from sdt_lava.compiler.passes.wait_before import wait_before
from sdt_lava.compiler.process_table import ProcessRow, format_processes, process_rows
from sdt_lava.compiler.schedule import Schedule, make_schedule, needs_matrix
from sdt_lava.compiler.streams import RELAY, UNROLLED, forced_relays
from sdt_lava.compiler.target import Target
from sdt_lava.errors import CompileError
from sdt_lava.ir import Conv, Graph, Relay
from sdt_lava.ir.proof import convolution_may_wrap
from sdt_lava.ir.sigma_delta_runs import keep_starts

__getattr__ = old_names(__name__)


CONVOLUTIONS = ("auto", "sparse", "conv")
# In 'auto' mode, a convolution with more synapses stays a convolution. Unrolled, it would take 8
# bytes per synapse in each process.
AUTO_UNROLL_LIMIT = 8_000_000


@dataclass(frozen=True, eq=False)
class CompiledNetwork:
    """A network compiled for Lava.

    Parameters
    ----------
    source : Graph
        Integer graph that was compiled.
    graph : Graph
        Compiled graph of populations (LIF, gates, relays) and connections.
    schedule : Schedule
        Latencies, delays and resets of the compiled graph.
    target : Target
        Target for which the network was compiled.
    board : str or None
        Name of the target's board; None for the default board or a simulator.
    lowering : Lowering
        Lowering of residual streams and SDSA columns.
    splits : tuple of DelaySplit
        Delays that were too long for a single connection.
    shifted : tuple of str
        Convolutions whose sums are shifted to the right and therefore forwarded by relays.
    """

    source: Graph
    graph: Graph
    schedule: Schedule
    target: Target
    board: str | None = None
    lowering: Lowering = field(default_factory=Lowering)
    splits: tuple[DelaySplit, ...] = ()
    shifted: tuple[str, ...] = ()

    @property
    def output_name(self) -> str:
        """Population whose output is the network's result before the head's bias."""
        return output_population(self.source, membranes=self.lowering.membranes)

    @property
    def num_processes(self) -> int:
        """Number of Lava processes, excluding those that feed inputs and record outputs."""
        return len(self.graph) - 1

    @property
    def processes(self) -> tuple[ProcessRow, ...]:
        """The Lava processes with their latencies, resets and delays."""
        return process_rows(self.graph, self.schedule)

    @property
    def observed(self) -> tuple[str, ...]:
        """Populations that can be recorded: neurons with memory, and the readout's relay."""
        names = tuple(name for name in self.source.memory_names if name in self.graph.nodes)
        return names if self.output_name in names else (*names, self.output_name)

    @property
    def implied(self) -> tuple[str, ...]:
        """LIFs without a population, whose spikes the host derives from recorded ones."""
        return tuple(name for name in self.source.lif_names if name not in self.graph.nodes)

    @property
    def is_usual(self) -> bool:
        """Whether the lowering is the default one, which counts of a network assume."""
        is_chosen = self.lowering == Lowering.choose(self.source)
        return is_chosen and not self.splits and not self.shifted

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what the compiler did beyond the request."""
        ways = self.lowering.shortcut
        relay_reasons = forced_relays(self.source) if UNROLLED in ways.values() else {}
        readout = f"{self.output_name}: the host reads membranes after each sample"
        return (
            *([readout] if self.lowering.membranes and self.source.readout else []),
            *(f"{name} stays a relay: {reason}" for name, reason in relay_reasons.items()),
            *(f"{name} has no neurons: its spikes follow from others" for name in self.implied),
            *self.shifted_notes,
            *map(str, self.splits),
        )

    @property
    def shifted_notes(self) -> tuple[str, ...]:
        """Sentences on the cost of sums that are shifted to the right, and how to avoid them."""
        shapes = self.graph.shapes
        sizes = {name: math.prod(shapes[name + RELAY_SUFFIX]) for name in self.shifted}
        return tuple(
            f"{name}: a relay of {size:,} neurons sends its sum on, which is shifted; exported "
            "with --first-layer fitted, weights have fewer steps and need none"
            for name, size in sizes.items()
        )

    def __str__(self) -> str:
        table = format_processes(self.processes)
        lines = [table, f"{self.num_processes} Lava processes", *self.notes, str(self.schedule)]
        return "\n".join(lines)


def compile_graph(
    net: Graph,
    target: Target,
    *,
    board: str | None = None,
    convolutions: str | None = None,
    timesteps: int | None = None,
    reset: bool = True,
    shortcut: Choice | None = None,
    sdsa: Choice = AND,
    rates: Rates = ASSUMED_RATE,
) -> CompiledNetwork:
    """Compile an integer graph to Lava's standard processes.

    The parameters and errors are those of :func:`sdt_lava.compile`, whose target may also be a
    name.
    """
    if board is not None:
        target.board(board)
    if convolutions is None:
        convolutions = "conv" if target.is_hardware else "auto"
    if convolutions not in CONVOLUTIONS:
        raise CompileError("convolutions", repr(convolutions), f"one of {CONVOLUTIONS}")
    if shortcut is None:
        shortcut = RELAY if Relay.kind in target.kinds else UNROLLED
    lowering = choose_lowering(net, target, shortcut, sdsa, rates=rates)
    timed = partial(
        make_schedule,
        timesteps=timesteps,
        reset=reset,
        input_latency=target.limit("input_latency") or 0,
    )
    lowered = lower(net, lowering)
    shifted = shifted_sums(lowered, target, convolutions)
    lowered = keep_starts(net, relay_shifted(lowered, shifted))
    balanced = balance(lowered, target.limit("delay_max"), timed)
    largest_matrix = AUTO_UNROLL_LIMIT if target.is_hardware else None
    # On hardware, a design rule reports sums that are too large.
    wrapping = frozenset() if target.is_hardware else _may_wrap(balanced.graph, timesteps)
    graph, waits, least = wait_before(balanced.graph, balanced.schedule, wrapping)
    to_unroll = _to_unroll(graph, balanced.schedule, convolutions, largest_matrix) - wrapping
    graph = unroll_convolutions(graph, to_unroll)
    graph = keep_starts(net, split_exponents(graph))
    if target.limit("conv_exponent_max") is not None:
        graph = keep_starts(net, split_convolutions(graph))
    schedule = timed(graph, least={**balanced.least, **least})
    splits = (*balanced.splits, *waits)
    return CompiledNetwork(net, graph, schedule, target, board, lowering, splits, shifted)


def shifted_sums(graph: Graph, target: Target, convolutions: str | None = None) -> tuple[str, ...]:
    """Return the convolutions that need a relay because their sums are shifted to the right.

    On hardware, these are all convolutions with right shifts, because they share weights. On a
    simulator, they are those that are too large for a matrix, provided that the sums are proven to
    fit the relay's 24 bits, as they would fit the 32 bits of a matrix.

    Parameters
    ----------
    graph : Graph
        Compiled graph.
    target : Target
        Target that will run the graph.
    convolutions : {'auto', 'sparse', 'conv'}, optional
        As for :func:`compile_graph`.
    """
    if convolutions == "sparse" or Relay.kind not in target.kinds:
        return ()
    return tuple(
        node.name
        for node in graph.of_type(Conv)
        if node.is_matrix
        and (
            target.is_hardware
            or (
                convolutions != "sparse"
                and unrolled_synapses(graph, node) > AUTO_UNROLL_LIMIT
                and not convolution_may_wrap(graph, unshifted(node))
            )
        )
    )


def _may_wrap(graph: Graph, timesteps: int | None) -> frozenset[str]:
    """Return the convolutions whose sums are not proven to fit the 24 bits of Lava's Conv.

    They stay convolutions, because a matrix would not wrap where the network's convolution does.
    """
    if timesteps is not None and timesteps > graph.timesteps:
        graph = replace(graph, timesteps=timesteps)
    return frozenset(
        node.name
        for node in graph.of_type(Conv)
        if not node.is_matrix and convolution_may_wrap(graph, node)
    )


def _to_unroll(
    graph: Graph, schedule: Schedule, convolutions: str, most_synapses: int | None
) -> set[str]:
    """Choose the convolutions to unroll to matrices.

    A convolution with a delay must be unrolled, unless it would take more than `most_synapses`. On
    hardware, such a network can only be checked, and a design rule reports it.
    """
    limit = {"sparse": None, "auto": AUTO_UNROLL_LIMIT, "conv": 0}[convolutions]
    names = set()
    for node in graph.of_type(Conv):
        synapses = unrolled_synapses(graph, node)
        must_unroll = needs_matrix(node, schedule.delay[node.name])
        must_unroll = must_unroll and (most_synapses is None or synapses <= most_synapses)
        if limit is None or must_unroll or synapses <= limit:
            names.add(node.name)
    return names
