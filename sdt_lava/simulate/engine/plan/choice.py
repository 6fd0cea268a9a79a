"""Which kernels add up a layer's weights, and up to which firing rate the first of two does."""

from __future__ import annotations

from dataclasses import dataclass

from sdt_lava.simulate.engine.exact import choose_dense
from sdt_lava.simulate.engine.plan.dense_kernel import DenseRows
from sdt_lava.simulate.engine.plan.event_kernel import EventKernel
from sdt_lava.simulate.engine.plan.lookup_kernel import LookupKernel
from sdt_lava.simulate.engine.plan.product_kernel import ProductKernel
from sdt_lava.simulate.engine.plan.sum_kernel import SumKernel
from sdt_lava.simulate.engine.synapses import Synapses
from sdt_lava.simulate.engine_options import DENSE_KERNELS

# Firing rates at which both kernels took the same time, see docs/performance.md.
_RATES = {"onednn": 0.4}


@dataclass(frozen=True)
class Candidates:
    """Kernels that are exact for a layer; none has made its tables yet.

    Parameters
    ----------
    dense : SumKernel
        Multiplies every input.
    event : SumKernel, optional
        For few spikes.
    small : SumKernel, optional
        For small windows, better than the others.
    rate : float
        Firing rate that divides few spikes from many.
    """

    dense: SumKernel
    event: SumKernel | None = None
    small: SumKernel | None = None
    rate: float = 0.0


class TableRoom:
    """Memory that the tables of a plan's kernels may take.

    Parameters
    ----------
    size : int
        In bytes. What exceeds it is not made, unless there is no other kernel for a layer.
    """

    def __init__(self, size: int) -> None:
        self.left = size

    def choose(self, found: Candidates) -> tuple[SumKernel, SumKernel | None, float]:
        """Return a layer's kernel for many spikes, that for few, and the rate that divides them.

        Parameters
        ----------
        found : Candidates
            The layer's.
        """
        if found.small is not None and self._has_room(found.small):
            return self._taken(found.small), None, 0.0
        if found.event is not None and found.rate >= 1 and self._has_room(found.event):
            return self._taken(found.event), None, 0.0
        if found.event is not None and self._has_room(found.dense, found.event):
            return self._taken(found.dense), self._taken(found.event), found.rate
        others = [kernel for kernel in (found.dense, found.event, found.small) if kernel]
        fitting = [kernel for kernel in others if self._has_room(kernel)]
        smallest = min(others, key=lambda kernel: kernel.table_bytes)
        return self._taken(fitting[0] if fitting else smallest), None, 0.0

    def _has_room(self, *kernels: SumKernel) -> bool:
        return sum(kernel.table_bytes for kernel in kernels) <= self.left

    def _taken(self, kernel: SumKernel) -> SumKernel:
        self.left -= kernel.table_bytes
        return kernel


def find_kernels(
    synapses: Synapses, layer: str, wanted: str, *, halves: int, packed: bool
) -> Candidates:  # fmt: skip
    """Return the kernels that are exact for a layer.

    Parameters
    ----------
    synapses : Synapses
        The layer.
    layer : str
        Its name, for the log.
    wanted : str
        'auto', or a kernel that is used wherever it is exact.
    halves : int
        Half words of channels that its neurons want.
    packed : bool
        Whether it reads spikes; otherwise the input's frames.
    """
    dense = DenseRows(synapses, choose_dense(synapses, layer, wanted))
    if not packed:
        has_products = wanted not in DENSE_KERNELS and ProductKernel.can_compute(synapses)
        return Candidates(dense, small=ProductKernel(synapses, halves) if has_products else None)
    has_tables = wanted in ("auto", "lookup") and LookupKernel.can_compute(synapses)
    small = LookupKernel(synapses, halves) if has_tables else None
    if wanted in DENSE_KERNELS or not EventKernel.can_compute(synapses):
        return Candidates(dense, small=small)
    # With groups, the event-driven kernel adds zeros for the other groups' channels.
    rate = 1.0 if wanted == "event" else _RATES.get(dense.name, 1.0) / synapses.window.groups
    return Candidates(dense, EventKernel(synapses), small, rate)
