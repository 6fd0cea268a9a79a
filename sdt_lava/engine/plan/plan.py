"""Run a compiled network on batches, with several threads and in bounded memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.layout import LANES, Layout, load_currents, unpack_spikes

# These imports register lowerings.
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
    """Output of a node in one batch, in the packed form of the kernels.

    Parameters
    ----------
    values : ndarray
        Words, currents or an array ``(T, B, *shape)``.
    kind : str
        'spikes', 'currents' or 'tensor'.
    layout : Layout
        Layout of the output.
    batch : int
        Number of samples.
    bias : ndarray of int64 or int
        Bias of a readout, which is added to currents.
    """

    values: np.ndarray
    kind: str
    layout: Layout
    batch: int
    bias: IntArray | int = 0

    @classmethod
    def of(cls, values: np.ndarray) -> Output:
        """Wrap an array ``(T, B, *shape)``."""
        shape = values.shape[2:]
        return cls(values, "tensor", Layout(1, 1, 1, shape), values.shape[1])

    def unpack(self) -> np.ndarray:
        """Return the output ``(T, B, *shape)``: uint8 for spikes, int64 for other signals."""
        if self.kind == "spikes":
            return unpack_spikes(self.values, self.layout, self.batch)
        if self.kind == "currents":
            return load_currents(self.values, self.layout, self.batch) + self.bias
        return self.values


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result of a run of one batch.

    Parameters
    ----------
    outputs : dict of str to Output
        Outputs of the kept nodes.
    counts : dict of str to ndarray of int64
        Counts ``(1 + n, T, B)`` of events of counted nodes and of the synapses reached over each
        connection.
    extremes : dict of tuple of str to Extremes
        Largest magnitudes of the populations that were checked.
    is_binary : bool
        Whether all input values were 0 or 1; if not, the rest of the outcome is invalid.
    is_suspicious : bool
        Whether a value may have left its register; if so, only `is_binary` is valid.
    """

    outputs: dict[str, Output]
    counts: dict[str, IntArray]
    extremes: dict[tuple[str, ...], Extremes]
    is_binary: bool = True
    is_suspicious: bool = False

    @classmethod
    def of(cls, values: Mapping[str, NDArray[Any]], names: Iterable[str]) -> Outcome:
        """Wrap the output of nodes, ``(T, B, *shape)``."""
        return cls({name: Output.of(values[name]) for name in names}, counts={}, extremes={})


class Plan:
    """Compiled plan of a network.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    keep : iterable of str
        Nodes whose output is needed.
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
        # Samples of all runs, from which the planner estimates whether torch pays off.
        self.samples_done = 0
        kept_names = frozenset(keep)
        compiler = Compiler(
            graph,
            kept_names,
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
            for name in kept_names
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
        # Workspaces that no run is using; a run removes one and returns it afterwards.
        self._idle: dict[Run, tuple[Workspace, list[Step]]] = {}

    @property
    def macs(self) -> int:
        """Multiplications per step of one sample if nothing is skipped."""
        return sum(layer.macs for layer in self._layers)

    @property
    def kernel_names(self) -> set[str]:
        """Names of the kernels that sum weights."""
        return {kernel.name for layer in self._layers for kernel in layer.kernels}

    @property
    def largest_work(self) -> int:
        """Multiplications of the largest layer per step of one sample, with our own kernels."""
        return max((layer.macs * layer.synapses.window.groups for layer in self._layers), default=0)

    @property
    def populations(self) -> frozenset[str]:
        """Populations that kernels compute; the interpreter computes the others."""
        return frozenset(name for operation in self.operations for name in operation.populations)

    @property
    def packs_input(self) -> bool:
        """Whether the output of the input is needed and it enters only as packed spikes."""
        return isinstance(self.outputs.get(self.entry.name), Spikes) and not self._needs_tensor

    @property
    def _needs_tensor(self) -> bool:
        tensor = f"{self.entry.name} (tensor)"
        return tensor in self._buffers or tensor in self._kept

    @cached_property
    def table_bytes(self) -> int:
        """Memory of the layers' weights in the formats of their kernels."""
        return sum(layer.table_bytes for layer in self._layers)

    @property
    def has_generic(self) -> bool:
        """Whether some nodes have no kernel."""
        return any(isinstance(operation, GenericOperation) for operation in self.operations)

    def bytes_needed(self, run: Run) -> int:
        """Estimate the memory of a run, excluding the weights of the graph."""
        kernels = [kernel for layer in self._layers for kernel in layer.kernels]
        scratch = scratch_bytes(kernel.scratch_sizes(run.steps) for kernel in kernels)
        temporary = max((kernel.temporary_bytes(run.steps) for kernel in kernels), default=0)
        return self.table_bytes + self.signal_bytes(run) + run.workers * (scratch + temporary)

    def signal_bytes(self, run: Run) -> int:
        """Return the memory of the signals of a run."""
        if run not in self._signal_bytes:
            placed = self._assign(waiting(self.operations, run), run)
            self._signal_bytes[run] = sum(placed.sizes)
        return self._signal_bytes[run]

    def run(
        self, frames: IntArray, run: Run, context: Context, states: dict[str, Any] | None = None
    ) -> Outcome:
        """Run one batch.

        Several threads may call this concurrently. An aborted run does not return its memory, since
        workers may still be writing to it.

        Parameters
        ----------
        frames : ndarray of int
            Input ``(T, B, *shape)``.
        run : Run
            Size of the batch.
        context : Context
            Context for nodes without a kernel.
        states : dict, optional
            States of `populations` in the kernels' layout; updated.

        Returns
        -------
        Outcome
            Outputs, counts and results of checks.
        """
        work, steps = self._take(run, context, states)
        self._enter(work, frames)
        accumulators: list[list[NDArray[Any]]] = [*work.extremes.values(), *work.counts.values()]
        for arrays in accumulators:
            for array in arrays:
                array[:] = 0
        work_through(steps, run.workers, work)
        outcome = Outcome(
            outputs={name: self._output(name, work) for name in self.outputs},
            counts={name: np.sum(arrays, axis=0) for name, arrays in work.counts.items()},
            extremes={names: _extremes(arrays) for names, arrays in work.extremes.items()},
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
        """Run one batch with one thread and return the duration of each operation in seconds."""
        work, steps = self._take(replace(run, workers=1), context, None)
        self._enter(work, frames)
        times = []
        for step in steps:
            start_time = time.perf_counter()
            work_through([step], 1, work)
            times.append((step.operation, time.perf_counter() - start_time))
        self._bring_back(work, steps)
        return times

    def _take(
        self, run: Run, context: Context, states: dict[str, Any] | None
    ) -> tuple[Workspace, list[Step]]:
        """Return a workspace for the exclusive use of a run."""
        idle = self._idle.pop(run, None) if states is None else None
        if idle is None:
            return self._make(run, context, states)
        idle[0].context = context
        return idle

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
        buffers = {**self._buffers, **self._output_buffers()}
        packed = (buffers[name] for name in placed.blocks)
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
            # Use no more bytes than the channels of a position need.
            packed = work.spikes(source).astype(_word_type(source.layout.channels), order="C")
            return Output(packed, "spikes", source.layout, work.batch)
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
