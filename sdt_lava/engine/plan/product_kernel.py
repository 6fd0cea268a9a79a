"""Run the kernel for graded input and small windows in a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.plan.buffers import Buffer, Rows, Spikes, Task
from sdt_lava.engine.plan.firing import Firing
from sdt_lava.engine.plan.sum_kernel import SmallWindowKernel, geometry_of
from sdt_lava.engine.synapses import Synapses, without_groups
from sdt_lava.kernels.jit import resolved
from sdt_lava.kernels.products import (
    OVERRUN,
    FrameArray,
    ProductScratch,
    ProductWeights,
    product_rows,
)
from sdt_lava.support.allocation import aligned_empty
from sdt_lava.support.once import cached_property

if TYPE_CHECKING:
    from sdt_lava.engine.plan.workspace import Workspace

_LARGEST_PAYLOAD = 2**15 - 1
# For larger windows, general operators use blocking and are faster.
_MOST_INPUTS = 128


class ProductKernel(SmallWindowKernel):
    """Sum kernel with 16-bit products of the input's payloads, for layers with small windows."""

    name = "int16"

    def __init__(self, synapses: Synapses, halves: int) -> None:
        super().__init__(synapses, halves)
        self.pairs = -(-synapses.window.kernel[1] * synapses.source.channels // 2)

    @property
    def table_bytes(self) -> int:
        """Memory of the weights."""
        return 4 * self.tiles * self.synapses.window.kernel[0] * self.pairs * self.width

    @cached_property
    def weights(self) -> NDArray[np.int16]:
        """Weights by tile, kernel row and pair of inputs."""
        kernel_h, kernel_w = self.synapses.window.kernel
        inputs = kernel_w * self.synapses.source.channels
        weight = without_groups(self.synapses).transpose(2, 3, 1, 0).reshape(kernel_h, inputs, -1)
        padded = np.zeros((kernel_h, 2 * self.pairs, self.tiles * self.width), np.int16)
        padded[:, :inputs, : weight.shape[2]] = weight
        by_pair = padded.reshape(kernel_h, self.pairs, 2, self.tiles, self.width)
        weights = aligned_empty((self.tiles, kernel_h, self.pairs, self.width, 2), np.int16)
        weights[...] = by_pair.transpose(3, 0, 1, 4, 2)
        return weights

    @property
    def has_small_windows(self) -> bool:
        """Whether the kernel is faster than general operators."""
        return self.synapses.rows <= _MOST_INPUTS

    @staticmethod
    def can_compute(synapses: Synapses) -> bool:
        """Return whether weights and payloads fit 16 bits."""
        return (
            synapses.mantissa.dtype == np.int16
            and synapses.largest_event <= _LARGEST_PAYLOAD
            and synapses.window.dilation[1] == 1
        )

    def _room(self) -> int:
        """Return the bytes of an input row with its padding."""
        source, padding = self.synapses.source, self.synapses.window.padding[1]
        payloads = (source.width + 2 * padding) * source.channels + 2 * OVERRUN
        return 8 * -(-payloads // 4)

    def scratch_sizes(self, steps: int) -> dict[str, int]:
        """Return the sizes of the scratch arrays in elements."""
        kernel_h, slots = self.synapses.window.kernel[0], self.synapses.window.reach[0]
        return {
            "payloads": (slots + 1) * steps * self._room() // 8,
            "offsets": kernel_h * self.pairs,
            "sums": steps * self.width,
        }

    def bind(self, source: Spikes | Buffer, firing: Firing, work: Workspace) -> Task:
        """Return the task that computes rows in a workspace."""
        assert isinstance(source, Buffer)
        synapses, layout = self.synapses, self.synapses.source
        frames = FrameArray(
            address=work.arrays[source.name].ctypes.data,
            height=layout.height,
            steps=work.frame_steps,
            columns=layout.width,
            channels=layout.channels,
        )
        geometry = geometry_of(synapses)
        weights = ProductWeights(
            address=self.weights.ctypes.data,
            tiles=self.tiles,
            pairs=self.pairs,
            width=self.width,
            out_height=synapses.target.height,
        )
        scratch = [
            ProductScratch(room=self._room(), **places)
            for places in work.scratch(self.scratch_sizes(work.frame_steps))
        ]

        compute = resolved(
            product_rows, frames, geometry, weights, (0, 0), firing.arguments[0], scratch[0]
        )

        def run(rows: Rows, worker: int) -> None:
            compute(frames, geometry, weights, rows, firing.arguments[worker], scratch[worker])

        return run
