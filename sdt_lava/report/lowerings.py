"""Compare the costs of all lowerings of membrane shortcuts and SDSA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from sdt_lava.backends.result import Result
from sdt_lava.compiler.choose import AUTO, Choice, choose_lowering
from sdt_lava.compiler.columns import (
    AND,
    COLUMN_GATE,
    COLUMNLESS,
    SINGLE_GATE,
    find_columns,
    obstacles,
)
from sdt_lava.compiler.compile import shifted_sums
from sdt_lava.compiler.cost import (
    ASSUMED_RATE,
    LoweringCounts,
    Rates,
    count_lowering,
    estimated_rates,
    lowering_cost,
)
from sdt_lava.compiler.lowering import Lowering, lower, output_population
from sdt_lava.compiler.passes.lower_shortcuts import TooManyConnectionsError
from sdt_lava.compiler.passes.relay_shifted import relay_shifted
from sdt_lava.compiler.passes.split_delays import balance
from sdt_lava.compiler.schedule import make_schedule
from sdt_lava.compiler.streams import RELAY, UNROLLED, forced_relays
from sdt_lava.counts.events import count_events
from sdt_lava.hardware.targets import Target, load_target
from sdt_lava.ir import Graph, Input

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LoweringRow:
    """One lowering of a network.

    Parameters
    ----------
    shortcut, sdsa : str
        The requested lowering.
    lowering : Lowering
        The resulting choice for each residual stream and each column.
    neurons, synapses, weights, processes : int
        Size, as defined by :class:`sdt_lava.compiler.cost.LoweringCounts`.
    synops, binary_spikes, graded_spikes : float
        Average work of one sample.
    latency : int
        Machine steps between a frame and its output.
    longest_delay : int
        Longest delay of a connection, in steps.
    delay_chains : int
        Connections whose delay had to be split with additional populations.
    cost : float
        The quantity minimised by 'auto', relative to relays and AND gates.
    missing : tuple of str
        Kinds of populations that the target lacks.
    """

    shortcut: str
    sdsa: str
    lowering: Lowering
    neurons: int
    synapses: int
    weights: int
    processes: int
    synops: float
    binary_spikes: float
    graded_spikes: float
    latency: int
    longest_delay: int
    delay_chains: int
    cost: float
    missing: tuple[str, ...]


@dataclass(frozen=True)
class LoweringComparison:
    """All lowerings of a network.

    Parameters
    ----------
    rows : tuple of LoweringRow
        Rows, starting with relays with AND gates.
    timesteps : int
        Steps of a sample.
    samples : int
        Samples on which the work was counted exactly; 0 if it was estimated from rates.
    rates : float or mapping of str to float
        Measured or assumed events per neuron and step of the LIFs.
    target : str
        Target for which 'auto' chose.
    kept : mapping of str to str
        Streams that no lowering unrolls, with the reasons.
    refused : mapping of str to mapping of str to str
        Lowerings of SDSA that a column does not allow, with reasons: by lowering, then by column.
    skipped : mapping of str to str
        Lowerings of residual streams without a row because they would need too many connections.
    """

    rows: tuple[LoweringRow, ...]
    timesteps: int
    samples: int
    rates: Rates
    target: str
    kept: Mapping[str, str]
    refused: Mapping[str, Mapping[str, str]]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def row(self, shortcut: str, sdsa: str) -> LoweringRow:
        """Return a row by the requested lowering.

        Raises
        ------
        KeyError
            If there is no such row, for example because the lowering was skipped.
        """
        return {(row.shortcut, row.sdsa): row for row in self.rows}[shortcut, sdsa]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values, for JSON."""
        return asdict(self)


def compare_lowerings(
    net: Graph,
    run: Result | Rates | None = None,
    *,
    target: str | Path | Target = "lava-cpu",
    on_progress: Progress | None = None,
) -> LoweringComparison:
    """Lower a network in every way and count the costs.

    Parameters
    ----------
    net : Graph
        Integer graph.
    run : Result, float or mapping of str to float, optional
        A run of the network, for which work is counted exactly; or events per neuron and step, for
        all LIFs or by name, from which it is estimated. 0.15 by default.
    target : str, path or Target
        The target for which 'auto' chooses, and which limits delays.
    on_progress : callable, optional
        Called with the numbers of completed and of all lowerings.

    Returns
    -------
    LoweringComparison
        One row for relays, for unrolled streams unless they need too many connections, for each
        lowering of SDSA that a column allows, and for the choice of 'auto'.
    """
    description = target if isinstance(target, Target) else load_target(target)
    result = run if isinstance(run, Result) else None
    maker = _Rows(net, description, _rates(run), result)
    choices = _choices(net)
    rows: list[LoweringRow] = []
    skipped: dict[str, str] = {}
    for number, ((shortcut, sdsa), ways) in enumerate(choices.items(), start=1):
        try:
            rows.append(maker.row(shortcut, sdsa, ways))
        except TooManyConnectionsError as error:
            skipped[shortcut] = f"{error.found}, {error.allowed}"
        if on_progress is not None:
            on_progress(number, len(choices))
    return LoweringComparison(
        rows=tuple(replace(row, cost=row.cost / rows[0].cost) for row in rows),
        timesteps=maker.timesteps,
        samples=0 if result is None else len(result.logits),
        rates=maker.rates,
        target=description.name,
        kept=forced_relays(net),
        refused=_refused(net),
        skipped=skipped,
    )


def _rates(run: Result | Rates | None) -> Rates:
    if run is None:
        return ASSUMED_RATE
    if isinstance(run, Result):
        return {name: float(spikes.mean()) for name, spikes in run.spikes.items()}
    return run


def _choices(net: Graph) -> dict[tuple[str, str], str | dict[str, str]]:
    """Return the lowering of each column, by the name of the row."""
    columns = find_columns(net)
    choices: dict[tuple[str, str], str | dict[str, str]] = {
        (RELAY, AND): AND,
        (UNROLLED, AND): AND,
    }
    for way in (COLUMN_GATE, COLUMNLESS, SINGLE_GATE):
        ways = {name: way for name, column in columns.items() if not obstacles(net, column)[way]}
        if ways:
            choices[(RELAY, way)] = ways
    return {**choices, (AUTO, AUTO): AUTO}


def _refused(net: Graph) -> dict[str, dict[str, str]]:
    reasons_by_way: dict[str, dict[str, str]] = {}
    for name, column in find_columns(net).items():
        for way, reason in obstacles(net, column).items():
            if reason:
                reasons_by_way.setdefault(way, {})[name] = reason
    return reasons_by_way


@dataclass(frozen=True)
class _Rows:
    net: Graph
    target: Target
    rates: Rates
    result: Result | None

    @property
    def timesteps(self) -> int:
        if self.result is None:
            return self.net.timesteps
        return len(self.result.integer_run("lowerings")[1])

    def row(self, shortcut: str, sdsa: str, ways: Choice) -> LoweringRow:
        """Return the row of a choice; its cost is still absolute."""
        lowering = choose_lowering(self.net, self.target, shortcut, ways, rates=self.rates)
        scheduler = partial(
            make_schedule,
            timesteps=self.timesteps,
            input_latency=self.target.limit("input_latency") or 0,
        )
        delay_limit = self.target.limit("delay_max")
        lowered = lower(self.net, lowering)
        lowered = relay_shifted(lowered, shifted_sums(lowered, self.target))
        balanced = balance(lowered, delay_limit, scheduler)
        counts = self._counts(balanced.graph)
        schedule = balanced.schedule
        output = output_population(self.net, membranes=lowering.membranes)
        kinds = {node.kind for node in balanced.graph}
        return LoweringRow(
            shortcut=shortcut,
            sdsa=sdsa,
            lowering=lowering,
            neurons=counts.neurons,
            synapses=counts.synapses,
            weights=counts.weights,
            processes=counts.processes,
            synops=counts.synops * self.timesteps,
            binary_spikes=counts.binary_spikes * self.timesteps,
            graded_spikes=counts.graded_spikes * self.timesteps,
            latency=schedule.latency[output],
            longest_delay=max(schedule.delay.values(), default=0),
            delay_chains=len(balanced.splits),
            cost=lowering_cost(counts),
            missing=tuple(sorted(kinds - set(self.target.kinds))),
        )

    def _counts(self, graph: Graph) -> LoweringCounts:
        """Count a lowered graph; its work is exact if there is a run."""
        counts = count_lowering(graph, estimated_rates(graph, self.rates))
        if self.result is None:
            return counts
        net, frames = self.result.integer_run("lowerings")
        exact = count_events(net, frames, self.result.sent, graph)
        steps = exact.samples * exact.timesteps
        messages = {True: 0, False: 0}
        for layer in exact.layers:
            if layer.kind != Input.kind:
                messages[layer.graded] += int(layer.events.sum())
        return replace(
            counts,
            synops=exact.synops / steps,
            binary_spikes=messages[False] / steps,
            graded_spikes=messages[True] / steps,
        )
