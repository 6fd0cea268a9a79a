"""Which kernels add up a layer's weights, and up to which firing rate the first of two does."""

from __future__ import annotations

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


def choose_kernels(
    synapses: Synapses, layer: str, wanted: str, *, halves: int, packed: bool
) -> tuple[SumKernel, SumKernel | None, float]:
    """Return a layer's kernel for many spikes, that for few, and the rate that divides them.

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
    if not packed:
        if wanted not in DENSE_KERNELS and ProductKernel.can_compute(synapses):
            return ProductKernel(synapses, halves), None, 0.0
        return DenseRows(synapses, choose_dense(synapses, layer, wanted)), None, 0.0
    if wanted in ("auto", "lookup") and LookupKernel.can_compute(synapses):
        return LookupKernel(synapses, halves), None, 0.0
    dense = DenseRows(synapses, choose_dense(synapses, layer, wanted))
    if wanted in DENSE_KERNELS or not EventKernel.can_compute(synapses):
        return dense, None, 0.0
    # With groups, the event-driven kernel adds zeros for the other groups' channels.
    rate = _RATES.get(dense.name, 1.0) / synapses.window.groups
    return dense, EventKernel(synapses), 1.0 if wanted == "event" else rate
