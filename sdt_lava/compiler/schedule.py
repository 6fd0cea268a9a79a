"""Schedule the steps of all populations: latencies, delays and resets.

A spike takes one machine step to cross a synapse. A population with latency L therefore computes
SDT step t at machine step ``t + L`` (counting from 0). Delays balance paths of different lengths
that meet. Every neuron with memory is reset when the first step of a sample reaches it, so samples
follow one another every T steps without a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from sdt_lava.ir import (
    Conv,
    Graph,
    Input,
    MessageNeurons,
    SpikingNeurons,
)
from sdt_lava.ir.numerics import NeuronStates
from sdt_lava.support.once import cached_property

# LIFReset of Lava always has an interval. Without resets, it is longer than any run.
NO_RESET_INTERVAL = 2**31 - 1

# Limit on the displayed populations of a path. A network can have as many paths as populations.
LONGEST_PATH = 256


@dataclass(frozen=True)
class DelayReason:
    """Reason for the delay of a connection.

    Parameters
    ----------
    connection, source, reader : str
        Connection, and the populations that it joins.
    delay : int
        Additional delay in steps.
    longer_path : tuple of str
        Populations along the longer path that determines the latency of the reader, from the point
        where the paths diverge to the reader. A very long path is shortened to '...' and its last
        populations. For a link of a chain that splits a longer delay, source and reader.
    """

    connection: str
    source: str
    reader: str
    delay: int
    longer_path: tuple[str, ...]

    def __str__(self) -> str:
        if self.longer_path == (self.source, self.reader):
            return f"{self.connection}: waits {self.delay} steps, one hop of a longer delay"
        return (
            f"{self.connection}: {self.source} waits {self.delay} steps for the longer path "
            f"{' -> '.join(self.longer_path)}"
        )


@dataclass(frozen=True)
class ResetReason:
    """Time at which a population with memory is reset.

    Parameters
    ----------
    population : str
        Name of the population.
    latency : int
        Machine step, counting from 0, at which step 0 of the first sample reaches the population.
    interval : int or None
        Machine steps between resets; None for a stream, which is reset only once.
    offset : int
        Phase of the reset for Lava's time step, which starts at 1.
    """

    population: str
    latency: int
    interval: int | None
    offset: int

    def __str__(self) -> str:
        if self.interval is None:
            return (
                f"{self.population}: once, at machine step {self.latency}, when the stream arrives"
            )
        return (
            f"{self.population}: at machine step {self.latency} and every {self.interval} steps "
            f"later, when step 0 of a sample arrives (phase {self.offset} for Lava)"
        )


@dataclass(frozen=True)
class Schedule:
    """Timing of a compiled graph.

    Parameters
    ----------
    timesteps : int
        Number of steps per sample, T. Samples enter every T machine steps.
    latency : mapping of str to int
        Machine steps from the input to each population.
    delay : mapping of str to int
        Steps by which each connection is delayed beyond the one step of a synapse.
    reset : bool
        Whether every sample starts from rest. A continuous stream starts from rest only once, when
        its first step arrives.
    ends : mapping of str to tuple of str
        Source and reader of each connection.
    memory : tuple of str
        Populations with states to reset.
    starts : dict of str to tuple of ndarray
        Flat states to which sigma-delta populations are reset. Populations without an entry are not
        reset.
    """

    timesteps: int
    latency: Mapping[str, int]
    delay: Mapping[str, int]
    reset: bool = True
    ends: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    memory: tuple[str, ...] = field(default=(), repr=False)
    starts: NeuronStates = field(default_factory=dict, repr=False)

    @property
    def depth(self) -> int:
        """Latency of the last population."""
        return max(self.latency.values())

    def machine_steps(self, samples: int) -> int:
        """Return the number of machine steps that consecutive samples need."""
        return samples * self.timesteps + self.depth

    @property
    def reset_interval(self) -> int:
        """Machine steps between resets of a population."""
        return self.timesteps if self.reset else NO_RESET_INTERVAL

    def reset_offset(self, name: str) -> int:
        """Return the phase at which a population is reset, for Lava's 1-based time step."""
        return (self.latency[name] + 1) % self.reset_interval

    def first_step(self, name: str, sample: int) -> int:
        """Return the machine step, from 0, at which a population sends step 0 of a sample."""
        return sample * self.timesteps + self.latency[name]

    @property
    def delays(self) -> tuple[DelayReason, ...]:
        """Reasons for all delays, in topological order of the connections."""
        return tuple(
            DelayReason(name, *self.ends[name], delay, self._longer_path(name))
            for name, delay in self.delay.items()
            if delay
        )

    @property
    def resets(self) -> tuple[ResetReason, ...]:
        """Resets of all populations with memory, in topological order."""
        interval = self.timesteps if self.reset else None
        return tuple(
            ResetReason(name, self.latency[name], interval, self.reset_offset(name))
            for name in self.memory
        )

    def _longer_path(self, connection: str) -> tuple[str, ...]:
        start, reader = self.ends[connection]
        path = [reader]
        while self.latency[path[-1]] > self.latency[start]:
            if len(path) == LONGEST_PATH:
                path.append("...")
                break
            path.append(self._last_source[path[-1]])
        return tuple(reversed(path))

    @cached_property
    def _last_source(self) -> dict[str, str]:
        """For each population, the source on its critical path."""
        last: dict[str, tuple[int, str]] = {}
        for name, (source, reader) in self.ends.items():
            if reader not in last or self.delay[name] < last[reader][0]:
                last[reader] = (self.delay[name], source)
        return {reader: source for reader, (_, source) in last.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the schedule as plain values, for JSON."""
        return {
            "timesteps": self.timesteps,
            "reset": self.reset,
            "depth": self.depth,
            "latency": dict(self.latency),
            "delays": [asdict(reason) for reason in self.delays],
            "resets": [asdict(reason) for reason in self.resets],
        }

    def __str__(self) -> str:
        """Return all latencies, delays and resets with their reasons, in order of time."""
        enters = "and start from rest" if self.reset else "as one stream, without resets between"
        lines = [
            f"samples enter every {self.timesteps} steps {enters}; the last output has latency "
            f"{self.depth}"
        ]
        for name, latency in sorted(self.latency.items(), key=lambda item: item[1]):
            lines.append(f"latency {latency:3d}  {name}")
        lines += [f"delay   {reason.delay:3d}  {reason}" for reason in self.delays]
        lines += [f"reset   {reason.latency:3d}  {reason}" for reason in self.resets]
        return "\n".join(lines)


def make_schedule(
    graph: Graph,
    timesteps: int | None = None,
    *,
    reset: bool = True,
    least: Mapping[str, int] | None = None,
    input_latency: int = 0,
) -> Schedule:
    """Schedule a compiled graph by balancing its paths with delays.

    Parameters
    ----------
    graph : Graph
        Compiled graph, which has only populations and connections.
    timesteps : int, optional
        Steps per sample, if different from those of the graph.
    reset : bool
        Whether every sample starts from rest.
    least : mapping of str to int, optional
        Minimum delays of connections.
    input_latency : int
        Machine steps until events of the host reach the first connections.
    """
    latency: dict[str, int] = {}
    delay: dict[str, int] = {}
    ends: dict[str, tuple[str, str]] = {}
    minimum_delays = least or {}
    for node in graph:
        if isinstance(node, Input):
            latency[node.name] = input_latency
        elif node.is_population:
            sources = {name: graph.nodes[name].inputs[0] for name in node.inputs}
            earliest = {
                name: 1 + latency[source] + minimum_delays.get(name, 0)
                for name, source in sources.items()
            }
            latency[node.name] = max(earliest.values())
            for name, source in sources.items():
                delay[name] = latency[node.name] - 1 - latency[source]
                ends[name] = (source, node.name)
    starts = _starts(graph, latency, reset=reset)
    return Schedule(
        timesteps=graph.timesteps if timesteps is None else timesteps,
        latency=latency,
        delay=delay,
        reset=reset,
        ends=ends,
        memory=tuple(
            node.name for node in graph if isinstance(node, SpikingNeurons) or node.name in starts
        ),
        starts=starts,
    )


def _starts(graph: Graph, latency: Mapping[str, int], *, reset: bool) -> NeuronStates:
    """Return the flat states to which sigma-delta neurons are reset."""
    from sdt_lava.ir.sigma_delta_runs import starting_states, starts_by_itself

    if not graph.message_names or (not reset and starts_by_itself(graph, latency)):
        return {}
    starts = starting_states(graph)
    states: NeuronStates = {}
    for name in graph.message_names:
        rest = _neurons(graph, name).population((1, *graph.shapes[name])).state
        states[name] = tuple(np.ravel(part) for part in starts.get(name, rest))
    return states


def _neurons(graph: Graph, name: str) -> MessageNeurons:
    node = graph.nodes[name]
    assert isinstance(node, MessageNeurons)
    return node


def needs_matrix(node: Conv, delay: int) -> bool:
    """Return whether a convolution must be unrolled to a matrix.

    Lava's Conv does not support delays, and its CPU model cannot shift sums to the right.
    """
    return delay > 0 or node.is_matrix
