"""Which back end runs a network if nobody says it, and which one checks another."""

from __future__ import annotations

import numpy as np

from sdt_lava.backends.backend import find_backend
from sdt_lava.backends.lava.presence import has_lava
from sdt_lava.ir import Graph

# With so many neurons with memory the machine takes about half a second for a sample of four steps.
MOST_MACHINE_NEURONS = 100_000


def default_backend(net: Graph) -> tuple[str, str]:
    """Return what simulates a network if nobody says what, and a sentence if that is not Lava.

    Parameters
    ----------
    net : Graph
        Integer graph.

    Returns
    -------
    backend : str
        'lava' where it is installed; otherwise 'machine' for networks of up to
        `MOST_MACHINE_NEURONS` neurons with memory, and 'engine' for larger ones.
    reason : str
        One sentence; empty for Lava.
    """
    if has_lava():
        return "lava", ""
    neurons = memory_neurons(net)
    if neurons <= MOST_MACHINE_NEURONS:
        said = "runs the network step by step as Lava's processes would"
        return "machine", f"Lava is not installed: back end machine {said}"
    size = f"a network of more than {MOST_MACHINE_NEURONS:,} neurons ({neurons:,})"
    return "engine", f"Lava is not installed: back end engine runs {size}, with the same spikes"


def memory_neurons(net: Graph) -> int:
    """Return the number of a network's spiking and sigma-delta neurons."""
    return sum(int(np.prod(net.shapes[node.name])) for node in net if node.has_memory)


def other_backend(name: str) -> str:
    """Return a back end that sends the same spikes, and whose run is a check of this one."""
    if find_backend("backend", name, with_hardware=True).traits.is_pipelined:
        return "engine"
    return "lava-inprocess" if has_lava() else "machine"
