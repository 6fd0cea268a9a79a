"""Choose the default back end for a network, and a back end that checks another."""

from __future__ import annotations

import numpy as np

from sdt_lava.backends.backend import find_backend
from sdt_lava.backends.lava.presence import has_lava
from sdt_lava.ir import Graph

# With this many neurons with memory, the machine takes about 0.5 s per sample of four steps.
MOST_MACHINE_NEURONS = 100_000


def default_backend(net: Graph) -> tuple[str, str]:
    """Return the default back end for a network, and the reason if it is not Lava.

    Parameters
    ----------
    net : Graph
        Integer graph.

    Returns
    -------
    backend : str
        'lava' if it is installed; otherwise 'machine' for networks with up to
        `MOST_MACHINE_NEURONS` neurons with memory, and 'engine' for larger ones.
    reason : str
        One sentence, or '' for Lava.
    """
    if has_lava():
        return "lava", ""
    neurons = memory_neurons(net)
    if neurons <= MOST_MACHINE_NEURONS:
        description = "runs the network step by step as Lava's processes would"
        return "machine", f"Lava is not installed: back end machine {description}"
    size = f"a network of more than {MOST_MACHINE_NEURONS:,} neurons ({neurons:,})"
    return "engine", f"Lava is not installed: back end engine runs {size}, with the same spikes"


def memory_neurons(net: Graph) -> int:
    """Return the number of spiking and sigma-delta neurons of a network."""
    return sum(int(np.prod(net.shapes[node.name])) for node in net if node.has_memory)


def other_backend(name: str) -> str:
    """Return an independent back end with the same spikes, to check the given one."""
    if find_backend("backend", name, with_hardware=True).traits.is_pipelined:
        return "engine"
    return "lava-inprocess" if has_lava() else "machine"
