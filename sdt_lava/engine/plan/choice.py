"""Which kernels add up a layer's weights, and up to which firing rate the first of two does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sdt_lava.engine.options import DENSE_KERNELS, KERNELS
from sdt_lava.engine.plan.event_kernel import EventKernel
from sdt_lava.engine.plan.lookup_kernel import LookupKernel
from sdt_lava.engine.plan.product_kernel import ProductKernel
from sdt_lava.engine.plan.sum_kernel import SumKernel
from sdt_lava.engine.synapses import Synapses
from sdt_lava.support.torch_use import TorchNeeded

# Firing rates at which both kernels took the same time, see docs/performance.md.
_RATES = {"onednn": 0.4}


@dataclass(frozen=True)
class Candidates:
    """Kernels that are exact for a layer; none has made its tables yet.

    Parameters
    ----------
    synapses : Synapses
        The layer.
    general : SumKernel, optional
        Of our own, and the better one for few spikes.
    small : SumKernel, optional
        Of our own, for small windows, better than the others.
    dense : SumKernel, optional
        Multiplies every input, by torch.
    rate : float
        Firing rate up to which the general one is better than the dense one.
    """

    synapses: Synapses
    general: SumKernel | None = None
    small: SumKernel | None = None
    dense: SumKernel | None = None
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

        Raises
        ------
        TorchNeeded
            If there is none, or no room for it, and torch has not been tried.
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
    """Return the kernels of our own that are exact for a layer.

    Parameters
    ----------
    synapses : Synapses
        The layer.
    wanted : str
        'auto', or a kernel that is used wherever it is exact.
    halves : int
        Half words of channels that its neurons want.
    packed : bool
        Whether it reads spikes; otherwise the input's frames.
    refused : frozenset of str
        Kernels that are wrong on this machine.
    """

    def can(kernel: type[SumKernel], *names: str) -> bool:
        fits: bool = kernel.can_compute(synapses)  # type: ignore[attr-defined]
        return wanted in names and kernel.name not in refused and fits

    ours = [name for name in KERNELS if name not in DENSE_KERNELS]
    if not packed:
        if not can(ProductKernel, *ours):
            return Candidates(synapses)
        products = ProductKernel(synapses, halves)
        if products.has_small_windows:
            return Candidates(synapses, small=products)
        return Candidates(synapses, general=products, rate=1.0)
    small = LookupKernel(synapses, halves) if can(LookupKernel, "auto", "lookup") else None
    if not can(EventKernel, *ours):
        return Candidates(synapses, small=small)
    return Candidates(synapses, EventKernel(synapses), small, rate=1.0)


def with_dense(own: Candidates, layer: str, wanted: str) -> Candidates:
    """Return a layer's kernels with an operator of torch among them.

    Parameters
    ----------
    own : Candidates
        The kernels of our own.
    layer : str
        Its name, for the log.
    wanted : str
        'auto', or a kernel that is used wherever it is exact.
    """
    from sdt_lava.engine.exact import choose_dense
    from sdt_lava.engine.plan.dense_kernel import DenseRows

    synapses = own.synapses
    dense = DenseRows(synapses, choose_dense(synapses, layer, wanted))
    if not isinstance(own.general, EventKernel):
        # Large windows of payloads are cut into blocks by general operators.
        return replace(own, general=None, dense=dense)
    # With groups, the event-driven kernel adds zeros for the other groups' channels.
    rate = 1.0 if wanted == "event" else _RATES.get(dense.name, 1.0) / synapses.window.groups
    return replace(own, dense=dense, rate=rate)
