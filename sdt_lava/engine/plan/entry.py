"""Convert the input of a plan to the kernels' layout, with each worker converting its rows."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.layout import rows_first
from sdt_lava.engine.plan.buffers import Buffer, Rows, Task, images
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.kernels.packing import ImageSize, Values, pack_rows

if TYPE_CHECKING:
    from sdt_lava.engine.plan.workspace import Workspace


def can_pack(kind: np.dtype[Any]) -> bool:
    """Return whether spikes of a type can be packed without conversion."""
    return kind.kind in "biuf" and kind.itemsize in (1, 4, 8) and kind.isnative


def packable(frames: NDArray[Any]) -> NDArray[Any]:
    """Return the input in a form that kernels can address, copied if necessary.

    Kernels need strides in whole elements and addresses that are multiples of the element size.
    NumPy also allows fields of records, views of bytes and foreign byte orders.
    """
    if not can_pack(frames.dtype):
        return frames.astype(np.int64)
    distances = (
        stride for stride, side in zip(frames.strides, frames.shape, strict=True) if side > 1
    )
    whole = all(distance % frames.itemsize == 0 for distance in distances)
    return frames if whole and frames.flags.aligned else frames.copy()


@cache
def _bits_of_one(kind: np.dtype[Any]) -> int:
    return int(np.ones(1, kind).view(f"u{kind.itemsize}")[0])


class EnterOperation(Operation):
    """Operation that packs spikes, or stores payloads with contiguous channels."""

    kind = "enter"

    def __init__(self, out: Buffer) -> None:
        super().__init__((), out.layout)
        self.out = out
        self.writes = [out]

    def bind(self, work: Workspace) -> Task:
        """Return the task for a workspace."""
        return self._pack(work) if self.out.kind == "spikes" else self._store(work)

    def _pack(self, work: Workspace) -> Task:
        layout, words = self.out.layout, work.arrays[self.out.name].ctypes.data
        size = ImageSize(layout.height, work.steps, layout.width, layout.channels)

        def run(rows: Rows, worker: int) -> None:
            frames = rows_first(work.frames, layout)
            values = Values(
                frames.ctypes.data,
                frames.itemsize,
                _bits_of_one(frames.dtype),
                *(stride // frames.itemsize for stride in frames.strides),
            )
            if not pack_rows(values, size, rows, words):
                work.is_binary = False

        return run

    def _store(self, work: Workspace) -> Task:
        layout, stored = self.out.layout, work.arrays[self.out.name]

        def run(rows: Rows, worker: int) -> None:
            values = rows_first(work.frames[: work.frame_steps], layout)
            for image, first, end in images(rows, layout.height):
                place = slice(image * layout.height + first, image * layout.height + end)
                stored[place] = values[image, first:end]

        return run
