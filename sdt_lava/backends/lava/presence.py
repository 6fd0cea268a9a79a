"""Whether Lava is installed, asked without importing it, and what runs a network without it."""

from __future__ import annotations

import platform
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec

import numpy as np

from sdt_lava.errors import LavaUnavailableError
from sdt_lava.ir import LIF_KINDS, SIGMA_DELTA_KINDS, Graph

# The Python that the packages lava-nc 0.10.0 and lava-dl 0.6.0 ask for, and what installs them.
LAVA_PYTHON = (3, 10)
INSTALL_LAVA = "pip install 'sdt-lava[lava]'"
# Back ends that run Lava's own processes.
LAVA_BACKENDS = ("lava", "lava-inprocess")
# With so many neurons with memory the machine takes about half a second for a sample of four steps.
MOST_MACHINE_NEURONS = 100_000


def has_lava() -> bool:
    """Return whether Lava can be imported here; imports nothing."""
    try:
        package = find_spec("lava")
    except (ImportError, ValueError):  # something stands in its place
        return False
    if package is None or package.submodule_search_locations is None:
        return False
    # Other packages have this name, and lava-dl is a part of it. `find_spec` would import the
    # parent of a dotted name.
    return PathFinder.find_spec("magma", list(package.submodule_search_locations)) is not None


def require_lava(what: str) -> None:
    """Check that Lava is installed.

    Parameters
    ----------
    what : str
        What needs it, for the error.

    Raises
    ------
    LavaUnavailableError
        If it is not.
    """
    if has_lava():
        return
    version = ".".join(map(str, LAVA_PYTHON))
    install = INSTALL_LAVA
    found = "Lava is not installed"
    if sys.version_info[:2] != LAVA_PYTHON:
        found += f", and cannot be on Python {platform.python_version()}"
        install = f"make an environment with Python {version} and run {INSTALL_LAVA} there"
    raise LavaUnavailableError(
        what,
        found,
        f"Python {version}, the only one that lava-nc 0.10.0 and lava-dl 0.6.0 accept",
        f"{install}; or take back end 'machine', which sends the same spikes without Lava",
    )


def require_backend(name: str | None) -> None:
    """Check that Lava is installed if a back end needs it; errors as of `require_lava`."""
    if name in LAVA_BACKENDS:
        require_lava(f"back end {name!r}")


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
    kinds = (*LIF_KINDS, *SIGMA_DELTA_KINDS)
    return sum(int(np.prod(net.shapes[node.name])) for node in net if isinstance(node, kinds))
