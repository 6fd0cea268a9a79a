"""Memory of a plan for one size of batch: arrays, scratch, and who may use what when."""

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
        Sizes.
    arrays : dict of str to ndarray
        Of each buffer.
    context : Context
        For nodes without a kernel.
    states : dict of str to ndarray of int32
        Kept u and v of neurons by the name of their spikes, if the run goes on from another one:
        ``(B * H, W, words, 2, 64)``, v first.
    """

    run: Run
    arrays: dict[str, NDArray[Any]]
    context: Context
    states: dict[str, NDArray[np.int32]] | None = None
    # The input (T, B, *shape) during a run: int64, or spikes of any type.
    frames: NDArray[Any] = field(default_factory=lambda: NO_FRAMES)
    # Whether the spikes that entered were 0 and 1.
    is_binary: bool = True
    # Whether a value may have left its register.
    is_suspicious: bool = False
    tensors: dict[str, Any] = field(default_factory=dict)
    extremes: dict[tuple[str, ...], list[NDArray[np.int32]]] = field(default_factory=dict)
    counts: dict[str, list[IntArray]] = field(default_factory=dict)
    _scratch: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    # Of single layers, between guards.
    _own_scratch: list[dict[str, NDArray[Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # In place of a stream that there is not, of a state at rest, and of what nobody reads.
        # Each worker writes to its own: a cache line that two cores write goes back and forth.
        self.zeros = zeros(2 * LANES, np.int32)
        self.waste = [aligned_empty((2 * LANES,), np.int32) for _ in range(self.run.workers)]
        self._scratch = [{} for _ in range(self.run.workers)]

    @property
    def batch(self) -> int:
        """Samples."""
        return self.run.batch

    @property
    def steps(self) -> int:
        """Time steps."""
        return self.run.steps

    @property
    def frame_steps(self) -> int:
        """Different frames."""
        return self.run.frame_steps

    def spikes(self, spikes: Spikes) -> Words:
        """Return the words of some spikes."""
        return self.arrays[spikes.buffer.name][..., spikes.word_slice]

    def state(self, targets: Targets) -> NDArray[np.int32] | None:
        """Return the kept state of a layer's neurons, if there is one."""
        if self.states is None or targets.spikes is None:
            return None
        layout = targets.layout
        shape = (self.run.batch * layout.height, layout.width, layout.words, 2, LANES)
        return self.states.setdefault(targets.spikes.name, zeros(shape, np.int32))

    def new_extremes(self, targets: Targets) -> list[NDArray[np.int32]]:
        """Return where each worker notes the extremes of one layer's neurons that are checked."""
        extremes = [aligned_empty((2 * LANES,), np.int32) for _ in range(self.run.workers)]
        for array in extremes:
            array[:] = 0
        if targets.neurons is not None:
            self.extremes[targets.neurons.names] = extremes
        return extremes

    def new_counts(self, name: str, rows: int) -> list[IntArray]:
        """Return where each worker counts a population's events, ``(rows, T, B)``."""
        shape = (rows, self.run.steps, self.run.batch)
        self.counts[name] = [zeros(shape, np.int64) for _ in range(self.run.workers)]
        return self.counts[name]

    def scratch(self, sizes: dict[str, int]) -> list[dict[str, int]]:
        """Return the addresses of each worker's scratch arrays of at least these sizes."""
        if current_guard() is not None:
            # Of just these sizes, so that the larger ones of other layers hide nothing.
            own = [_scratch_arrays(sizes) for _ in self._scratch]
            self._own_scratch += own
            return [_addresses(arrays, sizes) for arrays in own]
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
    """Return the memory that a worker's scratch arrays take."""
    largest = _largest(sizes).items()
    return sum(size * np.dtype(_SCRATCH_TYPES[name]).itemsize for name, size in largest)


def _largest(sizes: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for wanted in sizes:
        for name, size in wanted.items():
            found[name] = max(found.get(name, 0), size)
    return found
