"""Load Intel's extension of Lava, which is available to INRC members only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sdt_lava.backends.lava.presence import require_lava
from sdt_lava.errors import HardwareUnavailableError

# Modules of the extension in use. Lava itself detects the extension by the first one.
_MODULES = ("lava.utils.loihi2_profiler", "lava.proc.embedded_io.spike")
_PROFILERS = ("Loihi2Power", "Loihi2ExecutionTime", "Loihi2Activity", "Loihi2Memory")
_REMEDY = "join INRC and install lava-loihi (docs/loihi2.md), or simulate with --backend machine"


@dataclass(frozen=True)
class Extension:
    """The parts of the extension in use.

    Parameters
    ----------
    profiler : module
        Module ``lava.utils.loihi2_profiler``.
    """

    profiler: Any

    def profilers(self, num_steps: int) -> dict[str, Any]:
        """Create the profilers that this version has, by class name."""
        arguments: dict[str, Sequence[int]] = {"Loihi2Power": (num_steps,)}
        return {
            name: getattr(self.profiler, name)(*arguments.get(name, ()))
            for name in _PROFILERS
            if hasattr(self.profiler, name)
        }


def load_extension() -> Extension:
    """Import the extension.

    Raises
    ------
    LavaUnavailableError
        If Lava is not installed.
    HardwareUnavailableError
        If the extension is not installed or does not fit this version of Lava.
    """
    require_lava("Loihi 2")
    from lava.utils import loihi

    if not loihi.is_installed(_MODULES[0]):
        raise HardwareUnavailableError(
            "Loihi 2",
            "Intel's extension of Lava is not installed",
            "the package lava-loihi, which members of INRC get",
            _REMEDY,
        )
    try:
        profiler, _ = map(import_module, _MODULES)
    except ImportError as error:
        raise HardwareUnavailableError(
            "Loihi 2",
            f"Intel's extension cannot be imported: {error}",
            "a version that fits lava-nc 0.10",
            "install the lava-loihi that belongs to this version of Lava",
        ) from error
    return Extension(profiler)
