"""Lava networks of ours that stay open between measurements."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from sdt_lava.backends.lava.processes.run_config import run_config
from sdt_lava.backends.lava.run import build_processes
from sdt_lava.backends.lava.session import LavaSession
from sdt_lava.compiler.compile import CompiledNetwork


class OpenNetwork:
    """A compiled network with its input, started and run step by step.

    Parameters
    ----------
    compiled : CompiledNetwork
        What to run.
    frames : ndarray of int
        ``(T, B, *shape)``.
    folder : Path
        Folder for its files; made if it does not exist.
    models, executor : str
        As of ``run_lava``.
    """

    def __init__(
        self,
        compiled: CompiledNetwork,
        frames: np.ndarray,
        folder: Path,
        models: str,
        executor: str = "in-process",
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._lava = build_processes(compiled, frames, folder)
        self.session = LavaSession(self._lava.source, run_config(models), executor=executor)
        self._stack = ExitStack()

    def __enter__(self) -> OpenNetwork:
        self._stack.enter_context(self.session)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def run(self, steps: int) -> None:
        """Run time steps."""
        self.session.run(steps)

    def recorded(self, name: str) -> Any:
        """Return what was recorded of a population, ``(steps, n)``."""
        return self._lava.recorder.read(name)
