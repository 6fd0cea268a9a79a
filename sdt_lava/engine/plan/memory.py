"""Decide when workers wait for one another, and which signals share memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.plan.buffers import Buffer, Reading, Rows, Run, same_rows
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.support.allocation import aligned_empty, current_guard

_ITEM_BYTES = {"spikes": 8, "currents": 4, "frames": 4, "tensor": 0}
# Approximate number of multiplications after which a worker can be stopped.
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
    """Return the memory of a buffer in bytes."""
    size = int(np.prod(buffer_shape(buffer, run)))
    return size * _ITEM_BYTES[buffer.kind]


def share(rows: int, worker: int, workers: int) -> Rows:
    """Return the rows that a worker computes."""
    return rows * worker // workers, rows * (worker + 1) // workers


def pieces(operation: Operation, worker: int, run: Run) -> tuple[Rows, ...]:
    """Split a worker's rows into pieces that do not take long."""
    first, end = share(run.batch * operation.target.height, worker, run.workers)
    row = max(1, operation.macs // operation.target.height * run.steps)
    size = max(1, _PIECE_MACS // row)
    return tuple((start, min(start + size, end)) for start in range(first, end, size))


def waiting(operations: Sequence[Operation], run: Run) -> list[bool]:
    """Return for each operation whether workers must wait for one another before it."""
    # Buffers written since the last synchronisation, and whether a single worker wrote them.
    fresh: dict[str, bool] = {}
    waits = []
    for operation in operations:
        waits.append(run.workers > 1 and _reads_others(operation, run, fresh))
        if waits[-1]:
            fresh.clear()
        fresh.update({buffer.name: operation.is_whole for buffer in operation.writes})
    return waits


def _reads_others(operation: Operation, run: Run, fresh: dict[str, bool]) -> bool:
    """Return whether a worker reads rows that another wrote since the last synchronisation."""
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
        own_rows = share(run.batch * in_height, worker, run.workers)
        top, _ = reading.rows(first % height, height)
        _, bottom = reading.rows(0, (end - 1) % height + 1)
        low = first // height * in_height + top
        high = (end - 1) // height * in_height + bottom
        if low < own_rows[0] or high > own_rows[1]:
            return False
    return True


class _Blocks:
    """Pieces of memory that are reused by consecutive signals."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.free: list[int] = []
        # Blocks that are no longer needed, but that a slower worker may still read.
        self.retired: list[int] = []

    def take(self, size: int) -> int:
        """Return the index of the smallest free block of at least this size, or of a new block."""
        fitting = [block for block in self.free if self.sizes[block] >= size]
        if fitting:
            block = min(fitting, key=self.sizes.__getitem__)
            self.free.remove(block)
            return block
        self.sizes.append(size)
        return len(self.sizes) - 1

    def meet(self) -> None:
        """Free retired blocks, since all workers have reached the same operation."""
        self.free += self.retired
        self.retired = []


@dataclass(frozen=True)
class Assignment:
    """Assignment of buffers to blocks.

    Parameters
    ----------
    blocks : dict of str to int
        Block of each buffer by name.
    sizes : list of int
        Sizes of the blocks in bytes.
    """

    blocks: dict[str, int]
    sizes: list[int]

    def allocate(self, buffers: Iterable[Buffer], run: Run) -> dict[str, NDArray[np.generic]]:
        """Allocate the blocks and return the array of each buffer.

        With guards, each buffer gets separate memory of exactly its size.
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
    """Assign memory to signals such that signals with disjoint lifetimes share it.

    Parameters
    ----------
    operations : sequence of Operation
        Operations in order.
    waits : sequence of bool
        Whether all workers wait before each operation.
    kept : set of str
        Names of buffers that are read after the last operation.
    run : Run
        Size of the run.
    """
    last = {
        buffer.name: position
        for position, operation in enumerate(operations)
        for buffer in _touched(operation)
    }
    # Buffers in which a worker reads rows of other workers.
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
    buffers = [*(reading.buffer for reading in operation.reads), *operation.writes]
    return list({b.name: b for b in buffers if b.kind != "tensor"}.values())
