"""Run the event-driven kernel in a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.layout import LANES, Layout
from sdt_lava.engine.plan.buffers import Buffer, Rows, Spikes, Task
from sdt_lava.engine.plan.firing import Firing
from sdt_lava.engine.plan.sum_kernel import SumKernel, geometry_of, spike_array
from sdt_lava.engine.synapses import Synapses, without_groups
from sdt_lava.kernels.events import EventScratch, EventWeights, event_rows
from sdt_lava.kernels.jit import resolved
from sdt_lava.kernels.lists import SLACK
from sdt_lava.kernels.rows import STORED_CHANNELS
from sdt_lava.support.allocation import aligned_empty
from sdt_lava.support.once import cached_property

if TYPE_CHECKING:
    from sdt_lava.engine.plan.workspace import Workspace

# Approximate size of the sums of rows that are processed together [bytes]. They stay in the
# second-level cache of a core.
_PIECE_BYTES = 1 << 18
# Limit on weight rows, which have 16-bit numbers; one row is empty.
_MOST_ROWS = 1 << 16


def _list_room(source: Layout) -> int:
    """Return the capacity for the list of one row and step."""
    return source.width * source.padded + SLACK


class EventKernel(SumKernel):
    """Event-driven sum kernel, with weights in tiles of output channels."""

    name = "event"

    def __init__(self, synapses: Synapses) -> None:
        super().__init__(synapses)
        outputs = len(synapses.mantissa)
        # Wide tiles read the event lists less often; narrow ones waste less of the last tile.
        narrow, wide = -(-outputs // LANES) * LANES, -(-outputs // (2 * LANES)) * 2 * LANES
        self.width = 2 * LANES if wide == narrow else LANES
        self.tiles = -(-outputs // self.width)

    @property
    def table_bytes(self) -> int:
        """Memory of the weights, including zeros between groups."""
        return self.tiles * (self.synapses.rows + 1) * self.width

    @cached_property
    def weights(self) -> NDArray[np.int8]:
        """Rows of weights by tile, with an additional row of zeros."""
        rows = self.synapses.rows
        weights = aligned_empty((self.tiles, rows + 1, self.width), np.int8)
        weights[:, rows] = 0
        # With groups, converting all tiles at once would take several times as much memory.
        for tile in range(self.tiles):
            first = tile * self.width
            part = without_groups(self.synapses, first, first + self.width)
            padded = np.zeros((self.width, rows), np.int8)
            padded[: len(part)] = part.transpose(0, 2, 3, 1).reshape(len(part), rows)
            by_word = padded.reshape(self.width // LANES, LANES, rows)
            stored = by_word[:, list(STORED_CHANNELS)].reshape(self.width, rows)
            weights[tile, :rows] = stored.T
        return weights

    def rows_together(self, steps: int) -> int:
        """Return the number of output rows whose sums of one tile fill a piece."""
        row = steps * self.synapses.target.width * self.width * 4
        return max(1, min(self.synapses.target.height, _PIECE_BYTES // row))

    def scratch_sizes(self, steps: int) -> dict[str, int]:
        """Return the sizes of the scratch arrays in elements."""
        source, window = self.synapses.source, self.synapses.window
        positions = self.rows_together(steps) * steps * self.synapses.target.width
        lines = window.reach[0] * steps
        return {
            "lists": lines * _list_room(source),
            "list_starts": lines * (source.width + 1),
            "found": 2 * window.kernel[0],
            "events": positions * (self.synapses.rows + 1) + SLACK,
            "starts": positions + 1,
            "sums": positions * self.width,
        }

    @staticmethod
    def can_compute(synapses: Synapses) -> bool:
        """Return whether the kernel supports the weights of a layer that reads spikes."""
        return synapses.fits_int8 and synapses.rows < _MOST_ROWS

    def bind(self, source: Spikes | Buffer, firing: Firing, work: Workspace) -> Task:
        """Return the task that computes rows in a workspace."""
        assert isinstance(source, Spikes)
        synapses, layout = self.synapses, self.synapses.source
        signal = spike_array(source, work)
        geometry = geometry_of(synapses)
        weights = EventWeights(
            address=self.weights.ctypes.data,
            tiles=self.tiles,
            rows=synapses.rows + 1,
            width=self.width,
            channels=layout.channels,
            out_height=synapses.target.height,
            together=self.rows_together(work.steps),
        )
        scratch = [
            EventScratch(list_room=_list_room(layout), **places)
            for places in work.scratch(self.scratch_sizes(work.steps))
        ]

        compute = resolved(
            event_rows, signal, geometry, weights, (0, 0), firing.arguments[0], scratch[0]
        )

        def run(rows: Rows, worker: int) -> None:
            compute(signal, geometry, weights, rows, firing.arguments[worker], scratch[worker])

        return run
