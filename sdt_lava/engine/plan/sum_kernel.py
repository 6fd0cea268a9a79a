"""Define the base classes of kernels that sum a layer's weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from sdt_lava.engine.layout import LANES
from sdt_lava.engine.plan.buffers import Buffer, Spikes, Task
from sdt_lava.engine.plan.firing import Firing
from sdt_lava.engine.synapses import Synapses
from sdt_lava.kernels.windows import WindowGeometry
from sdt_lava.kernels.words import SpikeArray

if TYPE_CHECKING:
    from sdt_lava.engine.plan.workspace import Workspace


def geometry_of(synapses: Synapses) -> WindowGeometry:
    """Return the geometry of a layer's windows."""
    window = synapses.window
    return WindowGeometry(*window.kernel, *window.stride, *window.padding, *window.dilation)


def spike_array(spikes: Spikes, work: Workspace) -> SpikeArray:
    """Return the packed spikes that a layer reads, as arguments of a kernel."""
    array, layout = work.arrays[spikes.buffer.name], spikes.layout
    return SpikeArray(
        address=array.ctypes.data,
        height=layout.height,
        steps=work.steps,
        columns=layout.width,
        stride=array.shape[-1],
        first=spikes.first_word,
        used=layout.words,
    )


class SumKernel(ABC):
    """Kernel that computes synaptic sums and neurons of a layer, for some rows and all steps.

    Parameters
    ----------
    synapses : Synapses
        Synapses of the layer.
    """

    name: ClassVar[str]

    def __init__(self, synapses: Synapses) -> None:
        self.synapses = synapses

    @property
    @abstractmethod
    def table_bytes(self) -> int:
        """Memory of the weights in the kernel's format, which is built when the kernel is bound."""

    @abstractmethod
    def scratch_sizes(self, steps: int) -> dict[str, int]:
        """Return the sizes of a worker's scratch arrays in elements, by name."""

    def temporary_bytes(self, steps: int) -> int:
        """Return the memory that a worker allocates temporarily."""
        return 0

    @abstractmethod
    def bind(self, source: Spikes | Buffer, firing: Firing, work: Workspace) -> Task:
        """Return the task that computes rows in a workspace."""


class SmallWindowKernel(SumKernel):
    """Kernel for small windows, with tables or weights for 32 or 64 output channels.

    Parameters
    ----------
    synapses : Synapses
        Synapses of the layer.
    halves : int
        Number of half words of channels that the neurons need.
    """

    def __init__(self, synapses: Synapses, halves: int) -> None:
        super().__init__(synapses)
        self.width = LANES // 2 if halves == 1 else LANES
        self.tiles = -(-synapses.target.channels // self.width)
