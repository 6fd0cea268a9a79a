"""Choose the kernels that sum a layer's weights, and the firing rate between two of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sdt_lava.engine.options import DENSE_KERNELS, KERNELS
from sdt_lava.engine.plan.event_kernel import EventKernel
from sdt_lava.engine.plan.lookup_kernel import LookupKernel
from sdt_lava.engine.plan.product_kernel import ProductKernel
from sdt_lava.engine.plan.sum_kernel import SumKernel
from sdt_lava.engine.synapses import Synapses
from sdt_lava.support.torch_use import TorchNeeded

# Firing rates at which both kernels take the same time; see docs/performance.md.
_RATES = {"onednn": 0.4}


@dataclass(frozen=True)
class Candidates:
    """Exact kernels for a layer, whose tables are not yet built.

    Parameters
    ----------
    synapses : Synapses
        Synapses of the layer.
    general : SumKernel, optional
        Our kernel for any layer, which is faster for few spikes.
    small : SumKernel, optional
        Our kernel for small windows, which is faster than the others.
    dense : SumKernel, optional
        Kernel of torch that multiplies every input.
    rate : float
        Firing rate up to which the general kernel is faster than the dense one.
    """

    synapses: Synapses
    general: SumKernel | None = None
    small: SumKernel | None = None
    dense: SumKernel | None = None
    rate: float = 0.0


class TableRoom:
    """Memory limit of the tables of a plan's kernels.

    Parameters
    ----------
    size : int
        Limit in bytes. Tables beyond it are not built, unless a layer has no other kernel.
    """

    def __init__(self, size: int) -> None:
        self.left = size

    def choose(self, found: Candidates) -> tuple[SumKernel, SumKernel | None, float]:
        """Return a layer's kernels for many and for few spikes, and the rate between them.

        Parameters
        ----------
        found : Candidates
            Candidates for the layer.

        Raises
        ------
        TorchNeeded
            If no kernel fits, and kernels of torch have not been considered.
        """
        if found.small is not None and self._has_room(found.small):
            return self._taken(found.small), None, 0.0
        if found.general is not None and found.rate >= 1 and self._has_room(found.general):
            return self._taken(found.general), None, 0.0
        if found.dense is None:
            raise TorchNeeded("a layer for which no kernel of our own can be used")
        if found.general is not None and self._has_room(found.dense, found.general):
            return self._taken(found.dense), self._taken(found.general), found.rate
        others = [kernel for kernel in (found.dense, found.general, found.small) if kernel]
        fitting = [kernel for kernel in others if self._has_room(kernel)]
        smallest = min(others, key=lambda kernel: kernel.table_bytes)
        return self._taken(fitting[0] if fitting else smallest), None, 0.0

    def _has_room(self, *kernels: SumKernel) -> bool:
        return sum(kernel.table_bytes for kernel in kernels) <= self.left

    def _taken(self, kernel: SumKernel) -> SumKernel:
        self.left -= kernel.table_bytes
        return kernel


def own_kernels(
    synapses: Synapses, wanted: str, halves: int, packed: bool, refused: frozenset[str]
) -> Candidates:
    """Return our own kernels that are exact for a layer.

    Parameters
    ----------
    synapses : Synapses
        Synapses of the layer.
    wanted : str
        'auto', or a kernel to use wherever it is exact.
    halves : int
        Number of half words of channels that the neurons need.
    packed : bool
        Whether the layer reads spikes; otherwise, it reads the input's frames.
    refused : frozenset of str
        Kernels that are not exact on this machine.
    """

    def can(kernel: type[SumKernel], *names: str) -> bool:
        fits: bool = kernel.can_compute(synapses)  # type: ignore[attr-defined]
        return wanted in names and kernel.name not in refused and fits

    own_names = [name for name in KERNELS if name not in DENSE_KERNELS]
    if not packed:
        if not can(ProductKernel, *own_names):
            return Candidates(synapses)
        products = ProductKernel(synapses, halves)
        if products.has_small_windows:
            return Candidates(synapses, small=products)
        return Candidates(synapses, general=products, rate=1.0)
    small = LookupKernel(synapses, halves) if can(LookupKernel, "auto", "lookup") else None
    if not can(EventKernel, *own_names):
        return Candidates(synapses, small=small)
    return Candidates(synapses, EventKernel(synapses), small, rate=1.0)


def with_dense(own: Candidates, layer: str, wanted: str) -> Candidates:
    """Return a layer's kernels including an operator of torch.

    Parameters
    ----------
    own : Candidates
        Our own kernels.
    layer : str
        Name of the layer, for the log.
    wanted : str
        'auto', or a kernel to use wherever it is exact.
    """
    from sdt_lava.engine.exact import choose_dense
    from sdt_lava.engine.plan.dense_kernel import DenseRows

    synapses = own.synapses
    dense = DenseRows(synapses, choose_dense(synapses, layer, wanted))
    if not isinstance(own.general, EventKernel):
        # For large windows of payloads, general operators use blocking and are faster.
        return replace(own, general=None, dense=dense)
    # With groups, the event-driven kernel adds zeros for the channels of other groups.
    rate = 1.0 if wanted == "event" else _RATES.get(dense.name, 1.0) / synapses.window.groups
    return replace(own, dense=dense, rate=rate)
