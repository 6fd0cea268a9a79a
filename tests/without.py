"""Programs that run as if some packages were not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BLOCKER = """
import sys

class _Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, _Blocker())
"""


def run_without(
    packages: tuple[str, ...], program: str, *arguments: object, timeout: float = 250
) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a process that finds none of some packages.

    Parameters
    ----------
    packages : tuple of str
        Top-level packages that are blocked.
    program : str
        Source code.
    *arguments : object
        ``sys.argv[1:]``.
    timeout : float
        Limit in seconds.
    """
    return subprocess.run(
        [sys.executable, "-c", _BLOCKER.format(packages=packages) + program, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run_command_without(
    packages: tuple[str, ...], command: str, *arguments: object, timeout: float = 250
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours, such as 'main_sim', in such a process."""
    program = f"from sdt_lava import cli; cli.{command}()"
    return run_without(packages, program, *arguments, timeout=timeout)
