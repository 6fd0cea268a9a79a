"""When every population computes which step: latencies, delays and resets.

A spike needs one machine step to cross a synapse. A population at latency L therefore works on
SDT step t at machine step ``t + L`` (counting from 0). Paths of different length that meet are
balanced by delays; every neuron with memory is reset when the first step of a sample reaches it,
so that samples follow one another every T steps without a gap.
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

# Lava's LIFReset always has an interval: longer than any run, where samples are not reset.
NO_RESET_INTERVAL = 2**31 - 1

# Populations of a path that are shown. A network can have as many paths as populations.
LONGEST_PATH = 256


@dataclass(frozen=True)
class DelayReason:
    """Why a connection waits.

    Parameters
    ----------
    connection, source, reader : str
        The connection and the populations that it joins.
    delay : int
        Extra steps.
    longer_path : tuple of str
        Populations along the path that decides when the reader computes, from where both paths
        part to the reader; of a very long one its last populations, behind '...'. For a link of a
        chain that splits a longer delay, source and reader.
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
    """When a population with memory is reset.

    Parameters
    ----------
    population : str
        Population.
    latency : int
        Machine step, from 0, at which step 0 of the first sample reaches it.
    interval : int or None
        Machine steps from one reset to the next; None for a stream, which has one reset only.
    offset : int
        Phase of the reset, for Lava's time step that starts at 1.
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
        Steps ``T`` of a sample; samples enter every T machine steps.
    latency : mapping of str to int
        Machine steps between input and each population.
    delay : mapping of str to int
        Extra steps that each connection waits, beyond the one step of a synapse.
    reset : bool
        Whether every sample starts from rest. A continuous stream does so only once, when its
        first step arrives.
    ends : mapping of str to tuple of str
        Source and reader of each connection.
    memory : tuple of str
        Populations that have something to reset.
    starts : dict of str to tuple of ndarray
        States, flat, that a reset gives to populations of sigma-delta neurons. Those that are not
        here are not reset.
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
        """Return the machine steps needed to run samples back to back."""
        return samples * self.timesteps + self.depth

    @property
    def reset_interval(self) -> int:
        """Machine steps between two resets of a population."""
        return self.timesteps if self.reset else NO_RESET_INTERVAL

    def reset_offset(self, name: str) -> int:
        """Return the phase at which a population is reset, for Lava's 1-based time step."""
        return (self.latency[name] + 1) % self.reset_interval

    def first_step(self, name: str, sample: int) -> int:
        """Return the machine step (from 0) at which a sample's step 0 leaves a population."""
        return sample * self.timesteps + self.latency[name]

    @property
    def delays(self) -> tuple[DelayReason, ...]:
        """Why each connection that waits does so, in the order in which signals reach it."""
        return tuple(
            DelayReason(name, *self.ends[name], delay, self._longer_path(name))
            for name, delay in self.delay.items()
            if delay
        )

    @property
    def resets(self) -> tuple[ResetReason, ...]:
        """When each population with memory is reset, in the order in which signals reach it."""
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
        """For each population the source whose events reach it without a step to spare."""
        last: dict[str, tuple[int, str]] = {}
        for name, (source, reader) in self.ends.items():
            if reader not in last or self.delay[name] < last[reader][0]:
                last[reader] = (self.delay[name], source)
        return {reader: source for reader, (_, source) in last.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "timesteps": self.timesteps,
            "reset": self.reset,
            "depth": self.depth,
            "latency": dict(self.latency),
            "delays": [asdict(reason) for reason in self.delays],
            "resets": [asdict(reason) for reason in self.resets],
        }

    def __str__(self) -> str:
        """Return every latency, delay and reset with its reason, in order of time."""
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
    """Balance the paths of a compiled graph.

    Parameters
    ----------
    graph : Graph
        Compiled graph: populations and connections only.
    timesteps : int, optional
        Steps of a sample, if they differ from the graph's.
    reset : bool
        Whether every sample starts from rest.
    least : mapping of str to int, optional
        Connections that wait at least so long.
    input_latency : int
        Machine steps that the host's events need to reach the first connections.
    """
    latency: dict[str, int] = {}
    delay: dict[str, int] = {}
    ends: dict[str, tuple[str, str]] = {}
    slowest = least or {}
    for node in graph:
        if isinstance(node, Input):
            latency[node.name] = input_latency
        elif node.is_population:
            sources = {name: graph.nodes[name].inputs[0] for name in node.inputs}
            earliest = {
                name: 1 + latency[source] + slowest.get(name, 0) for name, source in sources.items()
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
    """Return the states in which sigma-delta neurons that are reset start, flat."""
    from sdt_lava.ir.sigma_delta_runs import starting_states, starts_by_itself

    if not graph.message_names or (not reset and starts_by_itself(graph, latency)):
        return {}
    starts = starting_states(graph)
    found: NeuronStates = {}
    for name in graph.message_names:
        rest = _neurons(graph, name).population((1, *graph.shapes[name])).state
        found[name] = tuple(np.ravel(part) for part in starts.get(name, rest))
    return found


def _neurons(graph: Graph, name: str) -> MessageNeurons:
    node = graph.nodes[name]
    assert isinstance(node, MessageNeurons)
    return node


def needs_matrix(node: Conv, delay: int) -> bool:
    """Tell whether a convolution must be written as a matrix.

    Lava's Conv has no delays, and its CPU model cannot shift sums to the right.
    """
    return delay > 0 or node.is_matrix
