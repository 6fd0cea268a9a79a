"""Collect the installed versions, for bug reports."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sdt_lava._version import __version__
from sdt_lava.cli.console import console, print_plain_json

# The package of the extension has had several names.
_EXTENSION = ("lava-loihi", "lava-nc-loihi", "nxcore")
_PACKAGES = ("lava-nc", "lava-dl", *_EXTENSION, "torch", "numpy", "scipy", "h5py")
# Variables that select Lava's board; addresses are omitted from reports.
_VARIABLES = ("SLURM", "NOSLURM", "BOARD", "PARTITION", "LOIHI_GEN", "NXOPTIONS")


def collect_versions() -> dict[str, Any]:
    """Return the versions, the platform and the environment variables that select a board."""
    return {
        "sdt-lava": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "environment": {name: os.environ.get(name) for name in _VARIABLES},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def print_versions(json: bool) -> None:
    """Print the result of `collect_versions`."""
    versions = collect_versions()
    if json:
        print_plain_json(versions)
        return
    rows = {key: versions[key] for key in ("sdt-lava", "python", "platform")}
    rows |= {name: value or "not installed" for name, value in versions["packages"].items()}
    rows |= {name: value or "not set" for name, value in versions["environment"].items()}
    for name, value in rows.items():
        console.print(f"{name:14s} {value}")
