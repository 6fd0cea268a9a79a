"""Run the lookup kernel in a plan, with tables of the sums of a few adjacent inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.layout import LANES
from sdt_lava.engine.plan.buffers import Buffer, Rows, Spikes, Task
from sdt_lava.engine.plan.firing import Firing
from sdt_lava.engine.plan.sum_kernel import SmallWindowKernel, geometry_of, spike_array
from sdt_lava.engine.synapses import Synapses, without_groups
from sdt_lava.kernels.jit import resolved
from sdt_lava.kernels.lists import MOST_LOOKUPS
from sdt_lava.kernels.lookup import LookupScratch, LookupTables, lookup_rows
from sdt_lava.support.allocation import aligned_empty
from sdt_lava.support.once import cached_property

if TYPE_CHECKING:
    from sdt_lava.engine.plan.workspace import Workspace

# Number of bits of a string that can be read at any position.
_MOST_BITS = 57
# Table sums are added in 16 bits.
_LARGEST_SUM = 2**15 - 1
# Size of tables that stay in the first cache of a core with other data [bytes].
_TABLE_BYTES = 30 << 10
_FEWEST_BITS = 4


class LookupKernel(SmallWindowKernel):
    """Sum kernel with tables, for layers whose kernel rows reach few inputs."""

    name = "lookup"

    def __init__(self, synapses: Synapses, halves: int) -> None:
        super().__init__(synapses, halves)
        kernel_h, inputs = synapses.window.kernel[0], _inputs_of_row(synapses)
        bits = _group_bits(kernel_h, inputs, self.tiles * self.width)
        self.groups = -(-inputs // bits)
        self.bits = -(-inputs // self.groups)

    @staticmethod
    def can_compute(synapses: Synapses) -> bool:
        """Return whether the tables of a layer that reads spikes are small and sums fit 16 bits."""
        return (
            _inputs_of_row(synapses) <= _MOST_BITS
            and synapses.source.words == 1
            and synapses.window.dilation[1] == 1
            and synapses.bound <= _LARGEST_SUM
        )

    @property
    def table_bytes(self) -> int:
        """Memory of the tables."""
        rows = self.synapses.window.kernel[0] * (self.groups << self.bits)
        return 2 * self.tiles * rows * self.width

    @cached_property
    def tables(self) -> NDArray[np.int16]:
        """Sums of weights for every pattern of every group of every kernel row."""
        kernel_h, inputs = self.synapses.window.kernel[0], _inputs_of_row(self.synapses)
        weight = without_groups(self.synapses).transpose(2, 3, 1, 0)
        by_group = np.zeros((kernel_h, self.groups * self.bits, self.tiles * self.width), np.int16)
        by_group[:, :inputs, : weight.shape[3]] = weight.reshape(kernel_h, inputs, -1)
        patterns = np.arange(1 << self.bits)[:, None] >> np.arange(self.bits) & 1
        grouped = by_group.reshape(kernel_h * self.groups, self.bits, self.tiles, self.width)
        sums = np.einsum("pb,gbtw->tgpw", patterns.astype(np.int16), grouped)
        tables = aligned_empty(sums.shape, np.int16)
        tables[...] = sums
        return tables

    def _room(self) -> int:
        """Return the number of words of a string of bits."""
        source, padding = self.synapses.source, self.synapses.window.padding[1]
        bits = (source.width + 2 * padding) * source.channels
        # A word that is read may start at the last bit.
        return -(-bits // LANES) + 2

    def scratch_sizes(self, steps: int) -> dict[str, int]:
        """Return the sizes of the scratch arrays in elements."""
        kernel_h, slots = self.synapses.window.kernel[0], self.synapses.window.reach[0]
        return {
            "string": self._room(),
            "entries": slots * steps * (self.synapses.target.width * self.groups + MOST_LOOKUPS),
            "found": 2 * kernel_h,
            "sums": steps * self.width,
        }

    def bind(self, source: Spikes | Buffer, firing: Firing, work: Workspace) -> Task:
        """Return the task that computes rows in a workspace."""
        assert isinstance(source, Spikes)
        synapses = self.synapses
        signal = spike_array(source, work)
        geometry = geometry_of(synapses)
        tables = LookupTables(
            address=self.tables.ctypes.data,
            tiles=self.tiles,
            width=self.width,
            channels=synapses.source.channels,
            out_height=synapses.target.height,
            groups=self.groups,
            bits=self.bits,
            mask=(1 << _inputs_of_row(synapses)) - 1,
        )
        scratch = [
            LookupScratch(room=self._room(), **places)
            for places in work.scratch(self.scratch_sizes(work.steps))
        ]

        compute = resolved(
            lookup_rows, signal, geometry, tables, (0, 0), firing.arguments[0], scratch[0]
        )

        def run(rows: Rows, worker: int) -> None:
            compute(signal, geometry, tables, rows, firing.arguments[worker], scratch[worker])

        return run


def _inputs_of_row(synapses: Synapses) -> int:
    """Return the number of inputs in one row of a window, which are contiguous."""
    return synapses.window.kernel[1] * synapses.source.channels


def _group_bits(kernel_h: int, inputs: int, outputs: int) -> int:
    """Return the largest number of bits per group for which the tables fit the first cache."""
    bits = max(_FEWEST_BITS, -(-inputs // MOST_LOOKUPS))
    while bits < inputs:
        groups = -(-inputs // (bits + 1))
        if 2 * kernel_h * groups * outputs << (bits + 1) > _TABLE_BYTES:
            break
        bits += 1
    return bits
