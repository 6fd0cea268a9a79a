"""A compiled network: run it on batches, with several threads, in bounded memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.layout import LANES, Layout, load_currents, unpack_spikes

# Imported for their registrations.
from sdt_lava.engine.plan import layers as _layers  # noqa: F401
from sdt_lava.engine.plan import masks as _masks  # noqa: F401
from sdt_lava.engine.plan.buffers import Buffer, Run, Spikes
from sdt_lava.engine.plan.compile import Compiler
from sdt_lava.engine.plan.entry import packable
from sdt_lava.engine.plan.memory import Assignment, assign, pieces, waiting
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.engine.plan.signals import GenericOperation
from sdt_lava.engine.plan.synaptic import SynapticOperation
from sdt_lava.engine.plan.team import Step, work_through
from sdt_lava.engine.plan.workspace import NO_FRAMES, Workspace, scratch_bytes
from sdt_lava.engine.registry import Context
from sdt_lava.ir import Graph, Readout
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.once import cached_property
from sdt_lava.support.torch_use import TorchNeeded

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Output:
    """What a node sent in one batch, packed as the kernels have it.

    Parameters
    ----------
    values : ndarray
        Words, currents, or ``(T, B, *shape)``.
    kind : str
        'spikes', 'currents' or 'tensor'.
    layout : Layout
        Its shape.
    batch : int
        Samples.
    bias : ndarray of int64 or int
        Added to currents: a readout's, which the host adds.
    """

    values: np.ndarray
    kind: str
    layout: Layout
    batch: int
    bias: IntArray | int = 0

    @classmethod
    def of(cls, values: np.ndarray) -> Output:
        """Wrap values ``(T, B, *shape)``."""
        shape = values.shape[2:]
        return cls(values, "tensor", Layout(1, 1, 1, shape), values.shape[1])

    def unpack(self) -> np.ndarray:
        """Return ``(T, B, *shape)``: uint8 for spikes, int64 for anything else."""
        if self.kind == "spikes":
            return unpack_spikes(self.values, self.layout, self.batch)
        if self.kind == "currents":
            return load_currents(self.values, self.layout, self.batch) + self.bias
        return self.values


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run of one batch gave.

    Parameters
    ----------
    outputs : dict of str to Output
        Of the nodes kept.
    counts : dict of str to ndarray of int64
        Of the nodes counted: events and what they reach by each connection, ``(1 + n, T, B)``.
    extremes : dict of tuple of str to Extremes
        Largest magnitudes of the populations that were checked.
    is_binary : bool
        Whether the spikes that entered were 0 and 1; if not, nothing else is valid.
    is_suspicious : bool
        Whether a value may have left its register; if so, nothing but `is_binary` is valid.
    """

    outputs: dict[str, Output]
    counts: dict[str, IntArray]
    extremes: dict[tuple[str, ...], Extremes]
    is_binary: bool = True
    is_suspicious: bool = False

    @classmethod
    def of(cls, values: Mapping[str, NDArray[Any]], names: Iterable[str]) -> Outcome:
        """Wrap what nodes sent, ``(T, B, *shape)``."""
        return cls({name: Output.of(values[name]) for name in names}, counts={}, extremes={})


class Plan:
    """The compiled form of a network.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    keep : iterable of str
        Nodes whose output is wanted.
    counted, tracked, kernels, table_bytes, with_torch, refused
        As for :class:`~sdt_lava.engine.plan.compile.Compiler`.
    """

    def __init__(
        self,
        graph: Graph,
        keep: Iterable[str],
        *,
        counted: Mapping[str, IntArray],
        tracked: bool,
        kernels: str,
        table_bytes: int,
        with_torch: bool = True,
        refused: frozenset[str] = frozenset(),
    ) -> None:
        self.with_torch = with_torch
        # Samples of all runs: what is worth it grows with them.
        self.samples_done = 0
        wanted = frozenset(keep)
        compiler = Compiler(
            graph,
            wanted,
            counted=counted,
            tracked=tracked,
            kernels=kernels,
            table_bytes=table_bytes,
            with_torch=with_torch,
            refused=refused,
        )
        self.operations = compiler.compile()
        self.counted, self.unproved = counted, compiler.unproved
        self.entry = graph.input
        self.outputs: dict[str, Spikes | Buffer] = {
            name: compiler.spikes.get(name) or compiler.stored.get(name) or compiler.tensors[name]
            for name in wanted
        }
        self.biases = {
            node.name: np.asarray(node.bias, np.int64)
            for node in graph.of_type(Readout)
            if node.bias is not None
        }
        self._layers = [op for op in self.operations if isinstance(op, SynapticOperation)]
        self._buffers = {
            buffer.name: buffer
            for op in self.operations
            for buffer in [*(reading.buffer for reading in op.reads), *op.writes]
        }
        self._kept = set(self._output_buffers())
        if self._needs_tensor and not with_torch:
            raise TorchNeeded(f"{self.entry.name} is wanted as a tensor")
        self._signal_bytes: dict[Run, int] = {}
        # Memory that no run is using: whoever runs takes it out, and brings it back afterwards.
        self._idle: dict[Run, tuple[Workspace, list[Step]]] = {}

    @property
    def macs(self) -> int:
        """Multiplications of one step of one sample if nothing were skipped."""
        return sum(layer.macs for layer in self._layers)

    @property
    def kernel_names(self) -> set[str]:
        """Names of the kernels that add up weights."""
        return {kernel.name for layer in self._layers for kernel in layer.kernels}

    @property
    def largest_work(self) -> int:
        """Multiplications of the busiest layer for one step of one sample, by our own kernels."""
        return max((layer.macs * layer.synapses.window.groups for layer in self._layers), default=0)

    @property
    def populations(self) -> frozenset[str]:
        """Neurons that kernels compute; the others are left to the interpreter."""
        return frozenset(name for operation in self.operations for name in operation.populations)

    @property
    def packs_input(self) -> bool:
        """Whether the input is wanted, and enters as spikes only."""
        return isinstance(self.outputs.get(self.entry.name), Spikes) and not self._needs_tensor

    @property
    def _needs_tensor(self) -> bool:
        tensor = f"{self.entry.name} (tensor)"
        return tensor in self._buffers or tensor in self._kept

    @cached_property
    def table_bytes(self) -> int:
        """Memory of the layers' weights in the forms that their kernels read."""
        return sum(layer.table_bytes for layer in self._layers)

    @property
    def has_generic(self) -> bool:
        """Whether some nodes have no kernel."""
        return any(isinstance(operation, GenericOperation) for operation in self.operations)

    def bytes_needed(self, run: Run) -> int:
        """Estimate the memory that a run takes, the graph's own weights left out."""
        kernels = [kernel for layer in self._layers for kernel in layer.kernels]
        scratch = scratch_bytes(kernel.scratch_sizes(run.steps) for kernel in kernels)
        temporary = max((kernel.temporary_bytes(run.steps) for kernel in kernels), default=0)
        return self.table_bytes + self.signal_bytes(run) + run.workers * (scratch + temporary)

    def signal_bytes(self, run: Run) -> int:
        """Return the memory that the signals of a run take."""
        if run not in self._signal_bytes:
            placed = self._assign(waiting(self.operations, run), run)
            self._signal_bytes[run] = sum(placed.sizes)
        return self._signal_bytes[run]

    def run(
        self, frames: IntArray, run: Run, context: Context, states: dict[str, Any] | None = None
    ) -> Outcome:
        """Run one batch.

        Several threads may do so at the same time. A run that does not come to its end leaves its
        memory to whoever may still be writing to it.

        Parameters
        ----------
        frames : ndarray of int
            Input ``(T, B, *shape)``.
        run : Run
            Its size.
        context : Context
            For nodes without a kernel.
        states : dict, optional
            Kept states of `populations` in the kernels' layout; updated.

        Returns
        -------
        Outcome
            Outputs of the nodes kept, counts of those counted, and what was checked.
        """
        work, steps = self._take(run, context, states)
        self._enter(work, frames)
        noted: list[list[NDArray[Any]]] = [*work.extremes.values(), *work.counts.values()]
        for own in noted:
            for array in own:
                array[:] = 0
        work_through(steps, run.workers, work)
        outcome = Outcome(
            outputs={name: self._output(name, work) for name in self.outputs},
            counts={name: np.sum(own, axis=0) for name, own in work.counts.items()},
            extremes={names: _extremes(own) for names, own in work.extremes.items()},
            is_binary=work.is_binary,
            is_suspicious=work.is_suspicious,
        )
        self.samples_done += run.batch
        if states is None:
            self._bring_back(work, steps)
        return outcome

    def profile(
        self, frames: IntArray, run: Run, context: Context
    ) -> list[tuple[Operation, float]]:
        """Run one batch with one thread and return the seconds of each operation."""
        work, steps = self._take(replace(run, workers=1), context, None)
        self._enter(work, frames)
        times = []
        for step in steps:
            started = time.perf_counter()
            work_through([step], 1, work)
            times.append((step.operation, time.perf_counter() - started))
        self._bring_back(work, steps)
        return times

    def _take(
        self, run: Run, context: Context, states: dict[str, Any] | None
    ) -> tuple[Workspace, list[Step]]:
        """Return memory for a run, which nobody else has."""
        taken = self._idle.pop(run, None) if states is None else None
        if taken is None:
            return self._make(run, context, states)
        taken[0].context = context
        return taken

    def _bring_back(self, work: Workspace, steps: list[Step]) -> None:
        work.frames, work.context = NO_FRAMES, Context()
        work.tensors.clear()
        if len(self._idle) > 1:
            self._idle.clear()
        self._idle[work.run] = work, steps

    def _make(
        self, run: Run, context: Context, states: dict[str, Any] | None
    ) -> tuple[Workspace, list[Step]]:
        waits = waiting(self.operations, run)
        placed = self._assign(waits, run)
        known = {**self._buffers, **self._output_buffers()}
        packed = (known[name] for name in placed.blocks)
        work = Workspace(run, placed.allocate(packed, run), context, states)
        work.reserve(
            kernel.scratch_sizes(run.steps) for layer in self._layers for kernel in layer.kernels
        )
        steps = [
            Step(
                operation,
                operation.bind(work),
                wait,
                tuple(pieces(operation, worker, run) for worker in range(run.workers)),
            )
            for operation, wait in zip(self.operations, waits, strict=True)
        ]
        return work, steps

    def _output_buffers(self) -> dict[str, Buffer]:
        buffers = [s.buffer if isinstance(s, Spikes) else s for s in self.outputs.values()]
        return {buffer.name: buffer for buffer in buffers}

    def _assign(self, waits: list[bool], run: Run) -> Assignment:
        return assign(self.operations, waits, self._kept, run)

    def _enter(self, work: Workspace, frames: IntArray) -> None:
        work.frames, work.is_binary, work.is_suspicious = packable(frames), True, False
        if self._needs_tensor:
            import torch

            work.tensors[f"{self.entry.name} (tensor)"] = torch.from_numpy(
                np.array(frames, np.int64)
            )

    def _output(self, name: str, work: Workspace) -> Output:
        source = self.outputs[name]
        if isinstance(source, Spikes):
            # No more bytes than the channels of a position need.
            own = work.spikes(source).astype(_word_type(source.layout.channels), order="C")
            return Output(own, "spikes", source.layout, work.batch)
        if source.kind == "tensor":
            return Output(work.tensors[source.name].numpy(), "tensor", source.layout, work.batch)
        bias = self.biases.get(name, 0)
        values = work.arrays[source.name].copy()
        return Output(values, "currents", source.layout, work.batch, bias)


def _word_type(channels: int) -> type[np.unsignedinteger[Any]]:
    for bits, kind in ((8, np.uint8), (16, np.uint16), (32, np.uint32)):
        if channels <= bits:
            return kind
    return np.uint64


def _extremes(own: list[np.ndarray]) -> Extremes:
    activation, membrane = np.stack(own).reshape(-1, 2, LANES).max(axis=(0, 2))
    return Extremes(int(activation), int(membrane))
