"""Which worker waits when, and which signals may share memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.plan.buffers import Buffer, Reading, Rows, Run, same_rows
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.support.allocation import aligned_empty, current_guard

_ITEM_BYTES = {"spikes": 8, "currents": 4, "frames": 4, "tensor": 0}
# A worker that is told to stop does so after about so many multiplications.
_PIECE_MACS = 4_000_000_000
_TYPES = {"spikes": np.uint64, "currents": np.int32, "frames": np.int32}


def buffer_shape(buffer: Buffer, run: Run) -> tuple[int, ...]:
    """Return the shape of a buffer's array."""
    layout = buffer.layout
    if buffer.kind == "spikes":
        return layout.spike_shape(run.batch, run.steps)
    if buffer.kind == "currents":
        return layout.current_shape(run.batch, run.steps)
    return run.batch * layout.height, run.frame_steps, layout.width, layout.channels


def buffer_bytes(buffer: Buffer, run: Run) -> int:
    """Return the memory that a buffer takes."""
    size = int(np.prod(buffer_shape(buffer, run)))
    return size * _ITEM_BYTES[buffer.kind]


def share(rows: int, worker: int, workers: int) -> Rows:
    """Return the rows that a worker computes."""
    return rows * worker // workers, rows * (worker + 1) // workers


def pieces(operation: Operation, worker: int, run: Run) -> tuple[Rows, ...]:
    """Cut a worker's rows so that none of them takes long."""
    first, end = share(run.batch * operation.target.height, worker, run.workers)
    row = max(1, operation.macs // operation.target.height * run.steps)
    size = max(1, _PIECE_MACS // row)
    return tuple((start, min(start + size, end)) for start in range(first, end, size))


def waiting(operations: Sequence[Operation], run: Run) -> list[bool]:
    """Return before which operations the workers wait for one another."""
    # What was written since the workers last met, and whether one of them wrote all of it.
    fresh: dict[str, bool] = {}
    waits = []
    for operation in operations:
        waits.append(run.workers > 1 and _reads_others(operation, run, fresh))
        if waits[-1]:
            fresh.clear()
        fresh.update({buffer.name: operation.is_whole for buffer in operation.writes})
    return waits


def _reads_others(operation: Operation, run: Run, fresh: dict[str, bool]) -> bool:
    """Whether some worker reads rows that another one has written since they last met."""
    for reading in operation.reads:
        name = reading.buffer.name
        if name in fresh and (operation.is_whole or fresh[name]):
            return True
        if name in fresh and not _reads_own_rows(operation, reading, run):
            return True
    return False


def _reads_own_rows(operation: Operation, reading: Reading, run: Run) -> bool:
    height, in_height = operation.target.height, reading.buffer.layout.height
    for worker in range(run.workers):
        first, end = share(run.batch * height, worker, run.workers)
        if first == end:
            continue
        owned = share(run.batch * in_height, worker, run.workers)
        top, _ = reading.rows(first % height, height)
        _, bottom = reading.rows(0, (end - 1) % height + 1)
        low = first // height * in_height + top
        high = (end - 1) // height * in_height + bottom
        if low < owned[0] or high > owned[1]:
            return False
    return True


class _Blocks:
    """Pieces of memory that are handed on from signal to signal."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.free: list[int] = []
        # No longer needed, but a worker that lags behind may still read them.
        self.retired: list[int] = []

    def take(self, size: int) -> int:
        """Return the number of a free block of at least this size, the smallest one."""
        fitting = [block for block in self.free if self.sizes[block] >= size]
        if fitting:
            block = min(fitting, key=self.sizes.__getitem__)
            self.free.remove(block)
            return block
        self.sizes.append(size)
        return len(self.sizes) - 1

    def meet(self) -> None:
        """All workers have come to the same operation."""
        self.free += self.retired
        self.retired = []


@dataclass(frozen=True)
class Assignment:
    """Which block each buffer lies in.

    Parameters
    ----------
    blocks : dict of str to int
        By buffer name.
    sizes : list of int
        Of the blocks, in bytes.
    """

    blocks: dict[str, int]
    sizes: list[int]

    def allocate(self, buffers: Iterable[Buffer], run: Run) -> dict[str, NDArray[np.generic]]:
        """Allocate the blocks and return the array of each buffer.

        Between guards, each buffer has memory of its own, of just its size.
        """
        if current_guard() is not None:
            return {b.name: aligned_empty(buffer_shape(b, run), _TYPES[b.kind]) for b in buffers}
        raw = [aligned_empty((size,), np.uint8) for size in self.sizes]
        arrays = {}
        for buffer in buffers:
            size = buffer_bytes(buffer, run)
            block = raw[self.blocks[buffer.name]][:size]
            arrays[buffer.name] = block.view(_TYPES[buffer.kind]).reshape(buffer_shape(buffer, run))
        return arrays


def assign(
    operations: Sequence[Operation],
    waits: Sequence[bool],
    kept: set[str],
    run: Run,
) -> Assignment:
    """Let signals share memory whose lives do not overlap.

    Parameters
    ----------
    operations : sequence of Operation
        In their order.
    waits : sequence of bool
        Before which of them all workers wait.
    kept : set of str
        Buffers that are read after the last operation.
    run : Run
        Sizes.
    """
    last = {
        buffer.name: position
        for position, operation in enumerate(operations)
        for buffer in _touched(operation)
    }
    # Buffers of which a worker looks at rows of another one.
    spread = {r.buffer.name for o in operations for r in o.reads if r.rows is not same_rows}
    blocks = _Blocks()
    placed: dict[str, int] = {}
    for position, operation in enumerate(operations):
        if waits[position] or run.workers == 1:
            blocks.meet()
        ending = {b.name for b in _touched(operation) if last[b.name] == position} - kept
        if operation.in_place is not None:
            before, after = operation.in_place
            if before.name in ending and before.name not in spread:
                placed[after.name] = placed[before.name]
                ending.remove(before.name)
        for buffer in _touched(operation):
            if buffer.name not in placed:
                placed[buffer.name] = blocks.take(buffer_bytes(buffer, run))
        blocks.retired += [placed[name] for name in ending]
    return Assignment(placed, blocks.sizes)


def _touched(operation: Operation) -> list[Buffer]:
    found = [*(reading.buffer for reading in operation.reads), *operation.writes]
    return list({b.name: b for b in found if b.kind != "tensor"}.values())
