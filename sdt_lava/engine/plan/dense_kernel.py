"""Run dense kernels in a plan, on rows of spikes or frames that are converted to tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from sdt_lava.engine.exact import ExactSums
from sdt_lava.engine.layout import Layout
from sdt_lava.engine.plan.buffers import Buffer, Rows, Spikes, Task, images
from sdt_lava.engine.plan.firing import Firing
from sdt_lava.engine.plan.sum_kernel import SumKernel, spike_array
from sdt_lava.engine.synapses import Synapses
from sdt_lava.kernels.jit import resolved
from sdt_lava.kernels.neurons import SumArray, fire_rows
from sdt_lava.kernels.packing import PaddedRows, spread_rows
from sdt_lava.support.allocation import aligned_empty, current_guard, guarding, placed
from sdt_lava.support.torch_state import inside_torch

if TYPE_CHECKING:
    from sdt_lava.engine.plan.workspace import Workspace

# Size of a piece, since each call of a dense operator has an overhead.
_PIECE_BYTES = 1 << 21

# Function from an image and its first and end input row to the dense kernel's input.
_Inputs = Callable[[int, int, int], torch.Tensor]


class DenseRows(SumKernel):
    """Sum kernel with dense operators.

    Parameters
    ----------
    synapses : Synapses
        Synapses of the layer.
    dense : ExactSums
        Sums of the layer. Weights are converted for an operator when it gets its first piece.
    """

    def __init__(self, synapses: Synapses, dense: ExactSums) -> None:
        super().__init__(synapses)
        self.dense = dense

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the operator."""
        return self.dense.name

    @property
    def table_bytes(self) -> int:
        """Memory of the weights in the format of the operator."""
        return self.dense.table_bytes

    def scratch_sizes(self, steps: int) -> dict[str, int]:
        """Return no sizes, since tensors are allocated for each piece."""
        return {}

    def temporary_bytes(self, steps: int) -> int:
        """Return the memory for the input and output of one piece."""
        target, source, window = self.synapses.target, self.synapses.source, self.synapses.window
        rows = self._rows_together(steps)
        wide = source.width + 2 * window.padding[1]
        input_rows = rows * window.stride[0] + window.reach[0]
        outputs = rows * steps * target.width * target.padded
        return 4 * (outputs + steps * input_rows * wide * source.padded)

    def _rows_together(self, steps: int) -> int:
        target = self.synapses.target
        row = 4 * steps * target.width * target.padded
        return max(1, min(target.height, _PIECE_BYTES // row))

    def bind(self, source: Spikes | Buffer, firing: Firing, work: Workspace) -> Task:
        """Return the task that computes rows in a workspace."""
        target, window = self.synapses.target, self.synapses.window
        if isinstance(source, Spikes):
            inputs, steps = self._spread(source, work), work.steps
        else:
            inputs, steps = self._framed(source, work), work.frame_steps
        together = self._rows_together(steps)
        fire = resolved(fire_rows, SumArray(0, 0, 0, 0, 0), True, (0, 0), firing.arguments[0])

        def piece(image: int, first: int, end: int, worker: int) -> None:
            top = first * window.stride[0] - window.padding[0]
            bottom = (end - 1) * window.stride[0] - window.padding[0] + window.reach[0]
            with inside_torch():
                sums = placed(_padded(self.dense.sums(inputs(image, top, bottom)), target))
            # (T, rows, columns, channels); a constant frame has one step, which is used T times.
            steps, height, columns, channels = sums.shape
            rows = image * target.height + first, image * target.height + end
            array = SumArray(
                address=sums.ctypes.data,
                first=rows[0],
                row=columns * channels,
                step=height * columns * channels * (steps > 1),
                column=channels,
            )
            fire(array, sums.dtype == np.float32, rows, firing.arguments[worker])

        # Guarding is set per thread, so it must be repeated in workers.
        guard = current_guard()

        def run(rows: Rows, worker: int) -> None:
            with guarding(guard):
                for image, first, end in images(rows, target.height):
                    for start in range(first, end, together):
                        piece(image, start, min(start + together, end), worker)

        return run

    def _spread(self, spikes: Spikes, work: Workspace) -> _Inputs:
        """Return a function that unpacks rows of spikes for the dense kernel."""
        array, source = spike_array(spikes, work), spikes.layout
        padding = self.synapses.window.padding[1]
        spread = resolved(spread_rows, array, PaddedRows(0, 0, 0, 0), 0)

        def inputs(image: int, top: int, bottom: int) -> torch.Tensor:
            shape = (work.steps, bottom - top, source.width + 2 * padding, source.padded)
            values = aligned_empty(shape, np.uint8)
            place = PaddedRows(
                origin=image * source.height,
                top=top,
                rows=bottom - top,
                padding=padding,
            )
            spread(array, place, values.ctypes.data)
            return torch.from_numpy(values[..., : source.channels]).permute(0, 3, 1, 2)

        return inputs

    def _framed(self, entry: Buffer, work: Workspace) -> _Inputs:
        """Return a function that copies rows of frames for the dense kernel."""
        source, left = entry.layout, self.synapses.window.padding[1]
        frames = work.arrays[entry.name].reshape(
            -1, source.height, work.frame_steps, source.width, source.channels
        )

        def inputs(image: int, top: int, bottom: int) -> torch.Tensor:
            shape = (work.frame_steps, bottom - top, source.width + 2 * left, source.channels)
            values = np.zeros(shape, np.int32)
            first = max(top, 0)
            end = max(min(bottom, source.height), first)
            rows_inside = frames[image, first:end].transpose(1, 0, 2, 3)
            values[:, first - top : end - top, left : left + source.width] = rows_inside
            return torch.from_numpy(values).permute(0, 3, 1, 2)

        return inputs


def _padded(sums: torch.Tensor, target: Layout) -> np.ndarray:
    """Return sums as ``(T, rows, columns, padded channels)``, contiguous."""
    # The plan has proven that the sums fit 32 bits.
    rows_first = (sums if sums.dtype == torch.float32 else sums.to(torch.int32)).permute(0, 2, 3, 1)
    if target.padded == target.channels:
        return rows_first.contiguous().numpy()
    filled = torch.nn.functional.pad(rows_first, (0, target.padded - target.channels))
    return filled.contiguous().numpy()
