"""The machine in NumPy: a compiled graph step by machine step, with its delays and resets.

The reference evaluates what a graph computes; this evaluates when. Every population runs from
machine step 0 on, before the first sample has reached it and after the last one has left it, gates
have the leak that they have in Lava, and a connection delivers its events one step later plus its
delay. That is what Lava's processes do under Lava's runtime; back end 'machine' does it without
Lava, and tests use it as the oracle for schedules that Lava would take long to run.

Steps are computed in chunks, node after node, because no signal goes back: what a population sends
in a chunk depends on its state before and on what has been sent until then. Memory is that of one
chunk, of the events that are on their way, and of what is recorded.
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

# Memory for what all nodes hold in one chunk of steps [bytes], as a rule of thumb.
_CHUNK_BYTES = 1 << 28
# Neurons that make a step worth its overhead in NumPy: smaller networks get several lanes.
_NEURONS_AT_ONCE = 1 << 16

Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class MachineRun:
    """What the machine did.

    Parameters
    ----------
    outputs : dict of str to ndarray
        ``(T, B, *shape)`` of every population that was recorded, cut into samples by latency. Of
        one whose membranes the host reads: by how much they have grown.
    events : dict of str to ndarray
        How often each neuron sent something in all machine steps, ``(*shape)``; it includes the
        steps before the first sample arrives and after the last one has left.
    steps : int
        Machine steps.
    """

    outputs: dict[str, NDArray[Any]]
    events: dict[str, IntArray]
    steps: int


@dataclass(frozen=True)
class Lanes:
    """Samples dealt to machines that run side by side, each with its share back to back.

    Parameters
    ----------
    count : int
        Machines.
    samples : int
        Samples of each; the last ones may get fewer.
    timesteps : int
        Steps of a sample.
    """

    count: int
    samples: int
    timesteps: int

    @classmethod
    def deal(cls, samples: int, timesteps: int, count: int) -> Lanes:
        """Return at most `count` lanes that hold all samples."""
        each = -(-samples // count)
        return cls(-(-samples // each), each, timesteps)

    @property
    def steps(self) -> int:
        """Steps in which a lane receives frames."""
        return self.samples * self.timesteps

    def entered(self, frames: IntArray, first: int, last: int) -> IntArray:
        """Return what enters from step `first` to `last`: ``(steps, lanes, *shape)``."""
        found = np.zeros((last - first, self.count, *frames.shape[2:]), np.int64)
        steps = np.arange(max(first, 0), min(last, self.steps))
        sample, step = np.divmod(steps, self.timesteps)
        for lane in range(self.count):
            number = lane * self.samples + sample
            is_there = number < frames.shape[1]
            found[steps[is_there] - first, lane] = frames[step[is_there], number[is_there]]
        return found

    def record(self, into: NDArray[Any], sent: NDArray[Any], first: int) -> None:
        """Write what left a population from its sample step `first` on to ``(T, B, *shape)``."""
        steps = np.arange(max(first, 0), min(first + len(sent), self.steps))
        sample, step = np.divmod(steps, self.timesteps)
        for lane in range(self.count):
            number = lane * self.samples + sample
            is_there = number < into.shape[1]
            into[step[is_there], number[is_there]] = sent[steps[is_there] - first, lane]


def run_machine(
    compiled: CompiledNetwork,
    frames: IntArray,
    *,
    names: Sequence[str] | None = None,
    lanes: int = 1,
    chunk: int | None = None,
    on_progress: Progress | None = None,
) -> MachineRun:
    """Run a compiled network as Lava does.

    Parameters
    ----------
    compiled : CompiledNetwork
        Its schedule's T must be that of the frames.
    frames : ndarray of int
        ``(T, B, *shape)``; samples are presented one after another.
    names : sequence of str, optional
        Populations to record; all of them by default.
    lanes : int
        So many machines run side by side, each with a share of the samples. They send what one
        machine with all samples sends, as every sample starts from rest; a stream has one lane.
    chunk : int, optional
        Steps that are computed together; by default as many as fit 256 MiB.
    on_progress : callable, optional
        Called with the samples that are done.

    Raises
    ------
    ConfigError
        If a stream should run in several lanes.
    """
    graph, schedule = compiled.graph, compiled.schedule
    timesteps, samples = frames.shape[:2]
    if lanes > 1 and not schedule.reset:
        raise ConfigError("lanes", f"{lanes} for one continuous stream", "1")
    dealt = Lanes.deal(samples, timesteps, lanes)
    steps = schedule.machine_steps(dealt.samples)
    machine = _Machine(compiled, frames, dealt, populations(graph) if names is None else names)
    size = chunk or fitting(_CHUNK_BYTES, sample_bytes(graph, dealt.count))
    for first in range(0, steps, size):
        machine.run(first, min(first + size, steps))
        if on_progress is not None:
            done = max(first + size - schedule.depth, 0) // timesteps * dealt.count
            on_progress(min(done, samples))
    return MachineRun(machine.outputs, machine.events, steps)


def populations(graph: Graph) -> tuple[str, ...]:
    """Return the input and the populations of a compiled graph: all that is no connection."""
    return tuple(node.name for node in graph if graph.signals[node.name] is not Signal.CURRENT)


def suitable_lanes(graph: Graph, samples: int) -> int:
    """Return how many lanes a compiled graph's samples take: one for a large network."""
    neurons = sum(int(np.prod(graph.shapes[name])) for name in populations(graph))
    return max(1, min(samples, _NEURONS_AT_ONCE // max(neurons, 1)))


def _read_membranes(compiled: CompiledNetwork) -> str | None:
    """Return the population whose membranes are the result, on a target without payloads."""
    is_made = compiled.output_name not in compiled.source.nodes
    return compiled.output_name if compiled.lowering.membranes and is_made else None


class _Machine:
    """The state of all populations and connections between two chunks, and what was recorded."""

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
        """Compute the machine steps from `first` to `last`."""
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
        if name != self._membranes:  # which send nothing
            self.events[name] += np.count_nonzero(sent, axis=(0, 1))
        if name in self.outputs:
            self._lanes.record(self.outputs[name], sent, first - self._latency[name])
