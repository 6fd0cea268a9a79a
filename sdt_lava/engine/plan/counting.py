"""Count the events of a population while its signal is in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sdt_lava.engine.layout import INT32, Layout
from sdt_lava.engine.plan.buffers import Buffer, Reading, Rows, Spikes, Task, same_rows
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.ir import Graph
from sdt_lava.ir.bounds import bound
from sdt_lava.ir.numerics import IntArray
from sdt_lava.kernels.counting import EventArray, FanOut, count_events
from sdt_lava.kernels.jit import resolved
from sdt_lava.support.allocation import placed

if TYPE_CHECKING:
    from sdt_lava.engine.plan.workspace import Workspace


def countable(graph: Graph) -> set[str]:
    """Return the nodes whose events can be counted: images and vectors of 32-bit values."""
    return {
        name
        for name, (low, high) in bound(graph).intervals.items()
        if Layout.of(graph.shapes[name]) is not None
        and int(low.min(initial=0)) > -INT32
        and int(high.max(initial=0)) < INT32
    }


class CountOperation(Operation):
    """Operation that counts events by step and sample.

    Parameters
    ----------
    name : str
        Name of the population.
    source : Spikes or Buffer
        Spikes or currents of the population.
    fan_out : ndarray of int64
        Fan-out of positions for each of `n` connections, ``(n, H, W)``.
    """

    kind = "count"

    def __init__(self, name: str, source: Spikes | Buffer, fan_out: IntArray) -> None:
        super().__init__((), source.layout)
        self.name, self.source = name, source
        self.fan_out = placed(np.array(fan_out, np.int64, order="C"))
        buffer = source if isinstance(source, Buffer) else source.buffer
        self.reads = [Reading(buffer, same_rows)]

    def bind(self, work: Workspace) -> Task:
        """Return the task for a workspace."""
        is_spikes = isinstance(self.source, Spikes)
        array = work.arrays[self.reads[0].buffer.name]
        layout = self.source.layout
        first = self.source.first_word if isinstance(self.source, Spikes) else 0
        signal = EventArray(
            address=array.ctypes.data,
            is_spikes=is_spikes,
            images=work.batch,
            height=layout.height,
            steps=work.steps,
            columns=layout.width,
            stride=array.shape[-1] if is_spikes else layout.words,
            first=first,
            used=layout.words,
        )
        fan_out = FanOut(self.fan_out.ctypes.data, len(self.fan_out))
        counts = work.new_counts(self.name, 1 + fan_out.number)

        places = [counter.ctypes.data for counter in counts]
        count = resolved(count_events, signal, (0, 0), fan_out, places[0])

        def run(rows: Rows, worker: int) -> None:
            count(signal, rows, fan_out, places[worker])

        return run
