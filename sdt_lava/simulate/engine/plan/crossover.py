"""Up to which firing rate the event-driven kernel is the faster one."""

from __future__ import annotations

from sdt_lava.simulate.engine.synapses import Synapses

# Firing rates at which both kernels took the same time, see docs/performance.md.
_RATES = {"onednn": 0.4, "float32": 1.0, "float64": 1.0}


def crossover(synapses: Synapses, dense: str) -> float:
    """Return the rate up to which a layer's event-driven kernel beats a dense kernel.

    Parameters
    ----------
    synapses : Synapses
        The layer.
    dense : str
        Name of its dense kernel.
    """
    rate = _RATES[dense]
    # With groups, the event-driven kernel adds zeros for the other groups' channels.
    return rate / synapses.window.groups
