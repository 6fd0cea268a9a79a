"""Simulate a compiled graph in NumPy by machine steps, with its delays and resets.

The reference evaluates what a graph computes; this module also evaluates when. Every population
runs from machine step 0, even before the first sample has reached it and after the last one has
left. Gates have the same leak as in Lava, and a connection delivers its events after one step plus
its delay. This is the behaviour of Lava's processes under Lava's runtime. Back end 'machine'
reproduces it without Lava, and tests use it as the oracle for schedules that would take long on
Lava.

Steps are computed in chunks, node by node. This is possible because there is no feedback between
nodes: the output of a population in a chunk depends only on its previous state and on its inputs up
to then. Memory is needed for one chunk, pending events and recorded outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.backends.machine.connections import Connection
from sdt_lava.backends.machine.populations import Population, make_membranes, make_population
from sdt_lava.compiler.compile import CompiledNetwork
from sdt_lava.errors import ConfigError
from sdt_lava.ir import Graph, Input, Node, Shape, Signal
from sdt_lava.ir.batches import fitting, sample_bytes
from sdt_lava.ir.numerics import IntArray

# Approximate memory for the values of all nodes in one chunk of steps [bytes].
_CHUNK_BYTES = 1 << 28
# Neurons per step that amortise the overhead of NumPy; smaller networks get several lanes.
_NEURONS_AT_ONCE = 1 << 16

Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class MachineRun:
    """Recorded output and event counts of a run.

    Parameters
    ----------
    outputs : dict of str to ndarray
        Output of every recorded population, cut into samples by latency, ``(T, B, *shape)``. For a
        population whose membranes the host reads, the increase of the membranes.
    events : dict of str to ndarray
        Events of each neuron in all machine steps, ``(*shape)``, including the steps before the
        first sample arrives and after the last one has left.
    steps : int
        Number of machine steps.
    """

    outputs: dict[str, NDArray[Any]]
    events: dict[str, IntArray]
    steps: int


@dataclass(frozen=True)
class Lanes:
    """Distribution of samples to parallel machines, each with consecutive samples.

    Parameters
    ----------
    count : int
        Number of machines.
    samples : int
        Samples per machine; the last ones may get fewer.
    timesteps : int
        Steps per sample.
    """

    count: int
    samples: int
    timesteps: int

    @classmethod
    def deal(cls, samples: int, timesteps: int, count: int) -> Lanes:
        """Distribute samples over at most `count` lanes."""
        each = -(-samples // count)
        return cls(-(-samples // each), each, timesteps)

    @property
    def steps(self) -> int:
        """Number of steps in which a lane receives frames."""
        return self.samples * self.timesteps

    def entered(self, frames: IntArray, first: int, last: int) -> IntArray:
        """Return the input of steps `first` to `last`, ``(steps, lanes, *shape)``."""
        inputs = np.zeros((last - first, self.count, *frames.shape[2:]), np.int64)
        steps = np.arange(max(first, 0), min(last, self.steps))
        sample, step = np.divmod(steps, self.timesteps)
        for lane in range(self.count):
            number = lane * self.samples + sample
            exists = number < frames.shape[1]
            inputs[steps[exists] - first, lane] = frames[step[exists], number[exists]]
        return inputs

    def record(self, into: NDArray[Any], sent: NDArray[Any], first: int) -> None:
        """Store a population's output from its sample step `first` on in ``(T, B, *shape)``."""
        steps = np.arange(max(first, 0), min(first + len(sent), self.steps))
        sample, step = np.divmod(steps, self.timesteps)
        for lane in range(self.count):
            number = lane * self.samples + sample
            exists = number < into.shape[1]
            into[step[exists], number[exists]] = sent[steps[exists] - first, lane]


def run_machine(
    compiled: CompiledNetwork,
    frames: IntArray,
    *,
    names: Sequence[str] | None = None,
    lanes: int = 1,
    chunk: int | None = None,
    on_progress: Progress | None = None,
) -> MachineRun:
    """Run a compiled network in the same way as Lava.

    Parameters
    ----------
    compiled : CompiledNetwork
        Network whose schedule has the same T as the frames.
    frames : ndarray of int
        Input ``(T, B, *shape)``; samples are presented consecutively.
    names : sequence of str, optional
        Populations to record; by default all.
    lanes : int
        Number of parallel machines, each with a share of the samples. The output is the same as
        that of one machine because every sample starts from rest. A stream has one lane.
    chunk : int, optional
        Number of steps computed together; by default as many as fit into 256 MiB.
    on_progress : callable, optional
        Function called with the number of finished samples.

    Raises
    ------
    ConfigError
        If several lanes are requested for a stream.
    """
    graph, schedule = compiled.graph, compiled.schedule
    timesteps, samples = frames.shape[:2]
    if lanes > 1 and not schedule.reset:
        raise ConfigError("lanes", f"{lanes} for one continuous stream", "1")
    distribution = Lanes.deal(samples, timesteps, lanes)
    steps = schedule.machine_steps(distribution.samples)
    machine = _Machine(
        compiled, frames, distribution, populations(graph) if names is None else names
    )
    size = chunk or fitting(_CHUNK_BYTES, sample_bytes(graph, distribution.count))
    for first in range(0, steps, size):
        machine.run(first, min(first + size, steps))
        if on_progress is not None:
            done = max(first + size - schedule.depth, 0) // timesteps * distribution.count
            on_progress(min(done, samples))
    return MachineRun(machine.outputs, machine.events, steps)


def populations(graph: Graph) -> tuple[str, ...]:
    """Return the names of the input and all populations of a compiled graph."""
    return tuple(node.name for node in graph if graph.signals[node.name] is not Signal.CURRENT)


def suitable_lanes(graph: Graph, samples: int) -> int:
    """Return the number of lanes for the samples of a compiled graph: 1 if it is large."""
    neurons = sum(int(np.prod(graph.shapes[name])) for name in populations(graph))
    return max(1, min(samples, _NEURONS_AT_ONCE // max(neurons, 1)))


def _read_membranes(compiled: CompiledNetwork) -> str | None:
    """Return the population whose membranes are the result, for a target without payloads."""
    is_made = compiled.output_name not in compiled.source.nodes
    return compiled.output_name if compiled.lowering.membranes and is_made else None


class _Machine:
    """State of all populations and connections between chunks, with the recorded output."""

    def __init__(
        self, compiled: CompiledNetwork, frames: IntArray, lanes: Lanes, names: Sequence[str]
    ) -> None:
        self._graph, self._latency = compiled.graph, compiled.schedule.latency
        self._frames, self._lanes = frames, lanes
        self._membranes = _read_membranes(compiled)
        self._connections: dict[str, Connection] = {}
        self._populations: dict[str, Population] = {}
        self.outputs: dict[str, NDArray[Any]] = {}
        self.events: dict[str, IntArray] = {}
        for node in self._graph:
            shape = self._graph.shapes[node.name]
            if self._graph.signals[node.name] is Signal.CURRENT:
                source = (lanes.count, *self._graph.shapes[node.inputs[0]])
                delay = compiled.schedule.delay[node.name]
                self._connections[node.name] = Connection(node, source, 1 + delay)
                continue
            if not isinstance(node, Input):
                batch = (lanes.count, *shape)
                make = make_membranes if node.name == self._membranes else make_population
                self._populations[node.name] = make(node, batch, compiled.schedule)
            self.events[node.name] = np.zeros(shape, np.int64)
            if node.name in names:
                self.outputs[node.name] = self._recording(node, shape)

    def _recording(self, node: Node, shape: Shape) -> NDArray[Any]:
        is_spikes = self._graph.signals[node.name] is Signal.SPIKE
        is_wide = isinstance(node, Input) or node.name == self._membranes
        kind = np.uint8 if is_spikes and not is_wide else np.int64
        return np.zeros((*self._frames.shape[:2], *shape), kind)

    def run(self, first: int, last: int) -> None:
        """Compute the machine steps from `first` up to `last`."""
        values: dict[str, NDArray[Any]] = {}
        unread = {name: len(readers) for name, readers in self._graph.consumers.items()}
        for node in self._graph:
            inputs = [values[name] for name in node.inputs]
            if isinstance(node, Input):
                latency = self._latency[node.name]
                sent = self._lanes.entered(self._frames, first - latency, last - latency)
            elif node.name in self._connections:
                sent = self._connections[node.name].deliver(inputs[0])
            else:
                sent = self._populations[node.name].run(inputs, first)
            for name in node.inputs:
                unread[name] -= 1
                if not unread[name]:
                    del values[name]
            if node.name in self.events:
                self._note(node.name, sent, first)
            if unread[node.name]:
                values[node.name] = sent

    def _note(self, name: str, sent: NDArray[Any], first: int) -> None:
        if name != self._membranes:  # membranes send no events
            self.events[name] += np.count_nonzero(sent, axis=(0, 1))
        if name in self.outputs:
            self._lanes.record(self.outputs[name], sent, first - self._latency[name])
