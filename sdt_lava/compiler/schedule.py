"""When every population computes which step: latencies, delays and resets.

A spike needs one machine step to cross a synapse. A population at latency L therefore works on
SDT step t at machine step ``t + L`` (counting from 0). Paths of different length that meet are
balanced by delays; every neuron with memory is reset when the first step of a sample reaches it,
so that samples follow one another every T steps without a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sdt_lava.errors import CompileError
from sdt_lava.graph import LIF_KINDS, Conv, Gate, Graph, Input, MaxRelay, Node, Relay

# Loihi 2 delays have six bits; Lava's delay processes refuse more (lava.proc.sparse.models).
MAX_DELAY = 62

# Lava's LIFReset always has an interval: longer than any run, where samples are not reset.
NO_RESET_INTERVAL = 2**31 - 1

NEURON_KINDS = (Input, *LIF_KINDS, Gate, Relay, MaxRelay)


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
    """

    timesteps: int
    latency: Mapping[str, int]
    delay: Mapping[str, int]
    reset: bool = True

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

    def __str__(self) -> str:
        """One line for each delay and each latency, in order of time."""
        lines = [
            f"samples enter every {self.timesteps} steps; the last output has latency {self.depth}"
        ]
        for name, latency in sorted(self.latency.items(), key=lambda item: item[1]):
            lines.append(f"latency {latency:3d}  {name}")
        for name, delay in self.delay.items():
            if delay:
                lines.append(f"delay   {delay:3d}  {name}: waits for the longer path")
        return "\n".join(lines)


def make_schedule(graph: Graph, timesteps: int | None = None, *, reset: bool = True) -> Schedule:
    """Balance the paths of a compiled graph.

    Parameters
    ----------
    graph : Graph
        Compiled graph: populations and connections only.
    timesteps : int, optional
        Steps of a sample, if they differ from the graph's.
    reset : bool
        Whether every sample starts from rest.

    Raises
    ------
    CompileError
        If a connection would need a longer delay than the hardware has.
    """
    latency: dict[str, int] = {}
    delay: dict[str, int] = {}
    for node in graph:
        if isinstance(node, Input):
            latency[node.name] = 0
        elif isinstance(node, NEURON_KINDS):
            sources = {name: graph.nodes[name].inputs[0] for name in node.inputs}
            latency[node.name] = 1 + max(latency[source] for source in sources.values())
            for connection, source in sources.items():
                delay[connection] = latency[node.name] - 1 - latency[source]
                _check_delay(graph.nodes[connection], delay[connection])
    steps = graph.timesteps if timesteps is None else timesteps
    return Schedule(steps, latency, delay, reset)


def _check_delay(connection: Node, delay: int) -> None:
    if delay > MAX_DELAY:
        raise CompileError(
            f"connection {connection.name!r}",
            f"delay of {delay} steps",
            f"at most {MAX_DELAY}",
            "shorten the path that it is balanced with",
        )


def needs_matrix(node: Conv, delay: int) -> bool:
    """Tell whether a convolution must be written as a matrix.

    Lava's Conv has no delays, and its CPU model cannot shift sums to the right.
    """
    return delay > 0 or bool((node.channel_exponents < 0).any())
