"""Import SLAYER without its notices and without matplotlib, neither of which this library needs."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Stands for a module until something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or sys.modules.get(self.__name__) is self:
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)


@contextmanager
def _deferred_matplotlib() -> Iterator[None]:
    """Let SLAYER's curves and animations import matplotlib when they are drawn, not before."""
    names = ("matplotlib", "matplotlib.pyplot", "matplotlib.animation")
    before = {name: sys.modules[name] for name in names if name in sys.modules}
    if any(before.values()):  # it is there already
        yield
        return
    package, plots, animation = modules = [_Deferred(name) for name in names]
    vars(package).update(pyplot=plots, animation=animation)
    sys.modules.update(zip(names, modules, strict=True))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(before)


# Importing SLAYER prints that a toolbox for event-camera data and a CUDA compiler are missing.
# Programs whose output is read by other programs cannot have that.
with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), _deferred_matplotlib():
    from lava.lib.dl import slayer

__all__ = ["slayer"]
