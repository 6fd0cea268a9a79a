"""Allocate the arrays of kernels, optionally between inaccessible guard pages.

Kernels compute memory addresses themselves. With *guards*, a kernel that reads or writes a single
byte outside an array crashes the process at that instruction; without them, it sometimes returns
a wrong result. Because the size of an array is rarely a multiple of the page size, only one side
of an array touches a guard; the other side is less than a page away from its guard. ``"end"``
catches overruns, ``"start"`` underruns.
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

# Sides of an array that can touch a guard.
GUARDS = ("end", "start")

Table = TypeVar("Table", bound=tuple[Any, ...])

_CACHE_LINE = 64
_NO_ACCESS = 0
# New memory is filled with an arbitrary value, so that code that relies on its content fails.
_FILL = 0xAB
_guard: ContextVar[str | None] = ContextVar("guard", default=None)


def check_guard(side: str | None) -> None:
    """Check that this system supports guards.

    Parameters
    ----------
    side : {'end', 'start'}, optional
        Side of the arrays that touches a guard; None for no guards.

    Raises
    ------
    ConfigError
        If the side is unknown, or the system cannot protect pages.
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
    """Allocate arrays between guards inside the block, in the current thread only.

    Parameters
    ----------
    side : {'end', 'start'}, optional
        Side of the arrays that touches a guard; None keeps the current setting.

    Raises
    ------
    ConfigError
        If this system does not support guards.
    """
    check_guard(side)
    token = _guard.set(side or _guard.get())
    try:
        yield
    finally:
        _guard.reset(token)


def current_guard() -> str | None:
    """Return the side of the arrays that touches a guard, or None without guards."""
    return _guard.get()


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Allocate an array aligned to a cache line, or between guards if they are enabled.

    Raises
    ------
    ResourceError
        If the system cannot allocate more guarded pages.
    """
    side = _guard.get()
    if side is not None:
        return guarded_empty(shape, dtype, side)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + _CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % _CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def zeros(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Allocate an array of zeros, between guards if they are enabled."""
    if _guard.get() is None:
        return np.zeros(shape, dtype)
    array = aligned_empty(shape if isinstance(shape, tuple) else (shape,), dtype)
    array[...] = 0
    return array


def placed(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array itself, or a copy between guards if they are enabled.

    The copy is contiguous, in C order unless the array is in Fortran order.
    """
    if _guard.get() is None:
        return array
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return placed(array.T).T
    copy = aligned_empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def placed_fields(table: Table) -> Table:
    """Return a copy of a named tuple after applying `placed` to each of its arrays."""
    fields = (placed(x) if isinstance(x, np.ndarray) else x for x in table)
    copy: Table = table._make(fields)  # type: ignore[attr-defined]
    return copy


def guarded_empty(shape: tuple[int, ...], dtype: Any, side: str) -> NDArray[Any]:
    """Allocate an array with one side adjacent to an inaccessible page.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    dtype : dtype
        Type of the array. With ``"end"``, the array is only aligned to its items.
    side : {'end', 'start'}
        Side that touches the guard.

    Raises
    ------
    ResourceError
        If the system cannot allocate more pages.
    """
    page, dtype = mmap.PAGESIZE, np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    body = -(-max(size, 1) // page) * page
    try:
        # A private mapping: a forked process gets its own copy, as with any other memory.
        raw = mmap.mmap(-1, body + 2 * page, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory = np.frombuffer(raw, np.uint8)
        memory[page : page + body] = _FILL
        for offset in (0, page + body):
            _protect(memory.ctypes.data + offset, page)
    except OSError as error:
        problem = f"no {body + 2 * page:,} bytes with guards: {error.strerror}"
        remedy = "a smaller network or batch, or a larger vm.max_map_count"
        raise ResourceError("guard", problem, "memory for every array", remedy) from error
    start = page + (body - size if side == "end" else 0)
    # The array keeps the pages alive; they are released together with it.
    return memory[start : start + size].view(dtype).reshape(shape)


def _protect(address: int, size: int) -> None:
    """Make a range of pages inaccessible."""
    if _libc().mprotect(address, size, _NO_ACCESS):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@cache
def _libc() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return library
