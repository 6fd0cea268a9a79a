"""How all kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call, single threaded, and keep the machine code on disk."""
    kernel: Callable[..., Any] = njit(cache=True, nogil=True)(function)
    return kernel
