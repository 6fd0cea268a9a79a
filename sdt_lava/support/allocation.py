"""Memory for the arrays of kernels: plain, or between pages that nobody may touch.

Kernels address memory themselves. Between *guards*, a kernel that reads or writes one byte beyond
an array ends the process at that instruction; without them, it gives a wrong result at times.
Pages have a fixed size and arrays have any, so only one side of an array lies at a guard and
the other one less than a page away: ``"end"`` finds what runs over, ``"start"`` what runs under.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import ConfigError, ResourceError

# Sides of an array that may lie at a guard.
GUARDS = ("end", "start")

Table = TypeVar("Table", bound=tuple[Any, ...])

_CACHE_LINE = 64
_NO_ACCESS = 0
# What new memory holds: a value that is nothing in particular, so that relying on it shows.
_FILL = 0xAB
_guard: ContextVar[str | None] = ContextVar("guard", default=None)


def check_guard(side: str | None) -> None:
    """Check that there are guards on this system.

    Parameters
    ----------
    side : {'end', 'start'}, optional
        Side of the arrays that lies at a guard; None for no guards.

    Raises
    ------
    ConfigError
        If there is no such side, or the system protects no pages.
    """
    if side is None:
        return
    if side not in GUARDS:
        raise ConfigError("guard", repr(side), f"one of {GUARDS}")
    if os.name != "posix":
        remedy = "leave guard out: it changes no result"
        raise ConfigError("guard", f"{side!r} on {os.name}", "a POSIX system", remedy)


@contextmanager
def guarding(side: str | None) -> Iterator[None]:
    """Put arrays that are allocated inside the block, in the same thread, between guards.

    Parameters
    ----------
    side : {'end', 'start'}, optional
        Side of the arrays that lies at a guard; None leaves it as it is.

    Raises
    ------
    ConfigError
        If there are no guards on this system.
    """
    check_guard(side)
    token = _guard.set(side or _guard.get())
    try:
        yield
    finally:
        _guard.reset(token)


def current_guard() -> str | None:
    """Return the side of the arrays that lies at a guard, or None."""
    return _guard.get()


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Allocate an array that starts with a cache line, or one between guards.

    Raises
    ------
    ResourceError
        If the system gives no more pages with guards.
    """
    side = _guard.get()
    if side is not None:
        return guarded_empty(shape, dtype, side)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + _CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % _CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def zeros(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Allocate an array of zeros, between guards if that is asked for."""
    if _guard.get() is None:
        return np.zeros(shape, dtype)
    made = aligned_empty(shape if isinstance(shape, tuple) else (shape,), dtype)
    made[...] = 0
    return made


def placed(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or a copy between guards if that is asked for.

    The copy is contiguous: in C order, unless the array is in Fortran's.
    """
    if _guard.get() is None:
        return array
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return placed(array.T).T
    made = aligned_empty(array.shape, array.dtype)
    made[...] = array
    return made


def placed_fields(table: Table) -> Table:
    """Return a named tuple whose arrays are `placed`."""
    fields = (placed(x) if isinstance(x, np.ndarray) else x for x in table)
    made: Table = table._make(fields)  # type: ignore[attr-defined]
    return made


def guarded_empty(shape: tuple[int, ...], dtype: Any, side: str) -> NDArray[Any]:
    """Allocate an array one side of which lies at a page that nobody may touch.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : dtype
        Its type. With ``"end"``, the array is aligned to its items only.
    side : {'end', 'start'}
        Which side.

    Raises
    ------
    ResourceError
        If the system gives no more pages.
    """
    page, dtype = mmap.PAGESIZE, np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    body = -(-max(size, 1) // page) * page
    try:
        # Private, so that a forked process has its own, as of any other memory.
        raw = mmap.mmap(-1, body + 2 * page, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory = np.frombuffer(raw, np.uint8)
        memory[page : page + body] = _FILL
        for offset in (0, page + body):
            _protect(memory.ctypes.data + offset, page)
    except OSError as error:
        found = f"no {body + 2 * page:,} bytes with guards: {error.strerror}"
        remedy = "a smaller network or batch, or a larger vm.max_map_count"
        raise ResourceError("guard", found, "memory for every array", remedy) from error
    start = page + (body - size if side == "end" else 0)
    # The array keeps the pages; they are given back with it.
    return memory[start : start + size].view(dtype).reshape(shape)


def _protect(address: int, size: int) -> None:
    """Forbid all access to some pages."""
    if _libc().mprotect(address, size, _NO_ACCESS):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@cache
def _libc() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return library
