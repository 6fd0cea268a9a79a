"""Detect whether Lava is installed without importing it."""

from __future__ import annotations

import platform
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec

from sdt_lava._moved import old_names
from sdt_lava.errors import LavaUnavailableError

__getattr__ = old_names(__name__)


# Python version that lava-nc 0.10.0 and lava-dl 0.6.0 require, and command that installs them.
LAVA_PYTHON = (3, 10)
INSTALL_LAVA = "pip install 'sdt-lava[lava]'"


def has_lava() -> bool:
    """Return whether Lava can be imported, without importing it."""
    try:
        package = find_spec("lava")
    except (ImportError, ValueError):  # another object has this name
        return False
    if package is None or package.submodule_search_locations is None:
        return False
    # Other packages also have this name, and lava-dl is a part of it. `find_spec` would import the
    # parent of a dotted name.
    return PathFinder.find_spec("magma", list(package.submodule_search_locations)) is not None


def require_lava(what: str) -> None:
    """Check that Lava is installed.

    Parameters
    ----------
    what : str
        Feature that needs Lava, for the error.

    Raises
    ------
    LavaUnavailableError
        If Lava is not installed.
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
