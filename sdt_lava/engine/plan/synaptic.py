"""Compute layers of a plan: synaptic sums, residual stream, neurons and spikes in one operation."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sdt_lava.engine.plan.buffers import Buffer, Rows, Spikes, Task, images, window_rows
from sdt_lava.engine.plan.firing import Firing
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.engine.plan.sum_kernel import SumKernel
from sdt_lava.engine.plan.targets import Targets
from sdt_lava.kernels.packing import count_spikes

if TYPE_CHECKING:
    from sdt_lava.engine.plan.workspace import Workspace


class SynapticOperation(Operation):
    """Operation for one or several layers that read the same spikes or frames.

    For each piece of work (some rows of one image, all steps), the number of input spikes
    determines which of two kernels is faster.

    Parameters
    ----------
    nodes : tuple of str
        Nodes that the operation computes.
    source : Spikes or Buffer
        Packed spikes, or the input's frames.
    targets : Targets
        Outputs of the operation.
    busy : SumKernel
        Kernel for many spikes.
    quiet : SumKernel, optional
        Kernel for few spikes.
    crossover : float
        Firing rate up to which the kernel for few spikes is used.
    """

    kind = "synapses"

    def __init__(
        self, nodes: tuple[str, ...], source: Spikes | Buffer, targets: Targets,
        busy: SumKernel, quiet: SumKernel | None = None, crossover: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(nodes, busy.synapses.target)
        self.synapses, self.source, self.targets = busy.synapses, source, targets
        self.busy, self.quiet, self.crossover = busy, quiet, crossover
        self.kernels = [busy] if quiet is None else [quiet, busy]
        window = self.synapses.window
        buffer = source if isinstance(source, Buffer) else source.buffer
        reading = window_rows(buffer, window.stride[0], window.padding[0], window.reach[0])
        self.reads = [reading, *targets.readings()]
        self.writes = targets.writings()
        self.in_place, self.populations = targets.in_place, targets.populations
        self.macs = self.synapses.macs
        self.usage = Counter({kernel.name: 0 for kernel in self.kernels})

    @property
    def table_bytes(self) -> int:
        """Memory of the weights in the formats of the kernels."""
        tables = sum(kernel.table_bytes for kernel in self.kernels)
        return self.synapses.mantissa.nbytes + tables

    def describe(self) -> str:
        """Return the kernels and the rate between them."""
        if self.quiet is None:
            return self.busy.name
        return f"{self.quiet.name} up to rate {self.crossover:.2f}, then {self.busy.name}"

    def bind(self, work: Workspace) -> Task:
        """Return the task that chooses the kernel for each piece."""
        firing = Firing(self.targets, self.synapses.shift, work)
        tasks = [
            self._counted(kernel, kernel.bind(self.source, firing, work)) for kernel in self.kernels
        ]
        if self.quiet is None:
            return tasks[0]
        assert isinstance(self.source, Spikes)
        by_quiet, by_busy = tasks
        array = work.arrays[self.source.buffer.name]
        words = self.source.word_slice
        needed = self.reads[0].rows
        height_in, height = self.source.layout.height, self.target.height
        values = work.steps * self.source.layout.width * self.source.layout.channels

        def run(rows: Rows, worker: int) -> None:
            for image, first, end in images(rows, height):
                low, high = needed(first, end)
                input_rows = array[image * height_in + low : image * height_in + max(low, high)]
                spikes = count_spikes(input_rows, words.start, words.stop)
                is_quiet = spikes <= self.crossover * values * len(input_rows)
                piece = image * height + first, image * height + end
                (by_quiet if is_quiet else by_busy)(piece, worker)

        return run

    def _counted(self, kernel: SumKernel, task: Task) -> Task:
        def run(rows: Rows, worker: int) -> None:
            self.usage[kernel.name] += 1
            task(rows, worker)

        return run
