"""Allocate the memory of a plan for one batch size: arrays and scratch memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.layout import LANES, Words
from sdt_lava.engine.plan.buffers import Run, Spikes
from sdt_lava.engine.plan.targets import Targets
from sdt_lava.engine.registry import Context
from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.allocation import aligned_empty, current_guard, zeros

_SCRATCH_TYPES: dict[str, Any] = {
    "lists": np.uint16,
    "list_starts": np.int64,
    "found": np.int64,
    "events": np.uint16,
    "starts": np.int64,
    "sums": np.int32,
    "string": np.uint64,
    "entries": np.uint16,
    "payloads": np.uint64,
    "offsets": np.int64,
}

NO_FRAMES: IntArray = np.zeros(0, np.int64)
NO_FRAMES.flags.writeable = False


@dataclass
class Workspace:
    """Arrays of a plan for one batch size.

    Parameters
    ----------
    run : Run
        Size of the run.
    arrays : dict of str to ndarray
        Array of each buffer.
    context : Context
        Context for nodes without a kernel.
    states : dict of str to ndarray of int32
        States u and v of neurons by the name of their spikes, if the run continues another one,
        ``(B * H, W, words, 2, 64)`` with v first.
    """

    run: Run
    arrays: dict[str, NDArray[Any]]
    context: Context
    states: dict[str, NDArray[np.int32]] | None = None
    # Input (T, B, *shape) during a run: int64, or spikes of any type.
    frames: NDArray[Any] = field(default_factory=lambda: NO_FRAMES)
    # Whether all input values were 0 or 1.
    is_binary: bool = True
    # Whether a value may have left its register.
    is_suspicious: bool = False
    tensors: dict[str, Any] = field(default_factory=dict)
    extremes: dict[tuple[str, ...], list[NDArray[np.int32]]] = field(default_factory=dict)
    counts: dict[str, list[IntArray]] = field(default_factory=dict)
    _scratch: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    # Scratch memory of single layers, with guards.
    _own_scratch: list[dict[str, NDArray[Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Dummy arrays for missing streams, states at rest and outputs without readers. Each worker
        # has its own output array, since two cores writing to one cache line slow each other down.
        self.zeros = zeros(2 * LANES, np.int32)
        self.waste = [aligned_empty((2 * LANES,), np.int32) for _ in range(self.run.workers)]
        self._scratch = [{} for _ in range(self.run.workers)]

    @property
    def batch(self) -> int:
        """Number of samples."""
        return self.run.batch

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return self.run.steps

    @property
    def frame_steps(self) -> int:
        """Number of distinct frames."""
        return self.run.frame_steps

    def spikes(self, spikes: Spikes) -> Words:
        """Return the words with the given spikes."""
        return self.arrays[spikes.buffer.name][..., spikes.word_slice]

    def state(self, targets: Targets) -> NDArray[np.int32] | None:
        """Return the stored state of a layer's neurons, if there is one."""
        if self.states is None or targets.spikes is None:
            return None
        layout = targets.layout
        shape = (self.run.batch * layout.height, layout.width, layout.words, 2, LANES)
        return self.states.setdefault(targets.spikes.name, zeros(shape, np.int32))

    def new_extremes(self, targets: Targets) -> list[NDArray[np.int32]]:
        """Return the arrays in which workers record the extremes of a layer's checked neurons."""
        extremes = [aligned_empty((2 * LANES,), np.int32) for _ in range(self.run.workers)]
        for array in extremes:
            array[:] = 0
        if targets.neurons is not None:
            self.extremes[targets.neurons.names] = extremes
        return extremes

    def new_counts(self, name: str, rows: int) -> list[IntArray]:
        """Return the arrays in which workers count a population's events, ``(rows, T, B)``."""
        shape = (rows, self.run.steps, self.run.batch)
        self.counts[name] = [zeros(shape, np.int64) for _ in range(self.run.workers)]
        return self.counts[name]

    def scratch(self, sizes: dict[str, int]) -> list[dict[str, int]]:
        """Return the addresses of each worker's scratch arrays of at least the given sizes."""
        if current_guard() is not None:
            # Allocate exactly these sizes, so that larger arrays of other layers do not hide
            # errors.
            layer_scratch = [_scratch_arrays(sizes) for _ in self._scratch]
            self._own_scratch += layer_scratch
            return [_addresses(arrays, sizes) for arrays in layer_scratch]
        return [_addresses(arrays, sizes) for arrays in self._scratch]

    def reserve(self, sizes: Iterable[Mapping[str, int]]) -> None:
        """Allocate scratch arrays that are large enough for every layer."""
        largest = _largest(sizes)
        for arrays in self._scratch:
            arrays |= _scratch_arrays(largest)


def _scratch_arrays(sizes: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    return {name: aligned_empty((size,), _SCRATCH_TYPES[name]) for name, size in sizes.items()}


def _addresses(arrays: Mapping[str, NDArray[Any]], names: Iterable[str]) -> dict[str, int]:
    return {name: arrays[name].ctypes.data for name in names}


def scratch_bytes(sizes: Iterable[Mapping[str, int]]) -> int:
    """Return the memory of a worker's scratch arrays in bytes."""
    largest = _largest(sizes).items()
    return sum(size * np.dtype(_SCRATCH_TYPES[name]).itemsize for name, size in largest)


def _largest(sizes: Iterable[Mapping[str, int]]) -> dict[str, int]:
    largest: dict[str, int] = {}
    for kernel_sizes in sizes:
        for name, size in kernel_sizes.items():
            largest[name] = max(largest.get(name, 0), size)
    return largest
