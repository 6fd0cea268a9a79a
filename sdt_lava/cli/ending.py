"""End commands cleanly on signals and when the machine runs out of resources."""

from __future__ import annotations

import errno
import mmap
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import FrameType
from typing import Any

from sdt_lava.backends.lava.process_guard import Terminated
from sdt_lava.errors import ResourceError

# [s] Maximum time of clean-up, with a Lava network to stop. During this time, a second Ctrl-C would
# only cut the clean-up short; afterwards, something hangs, and signals are handled again.
_CLEAN_UP = 10.0

# [bytes] OpenBLAS maps 32 MiB for each thread that calls it.
_BLAS_BUFFER = 64 << 20

# Operating-system errors about the machine rather than an argument, with remedies.
_EXHAUSTED = {
    errno.ENOSPC: "free some space, or choose another disk",
    errno.EDQUOT: "free some space, or choose another disk",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f), or choose another disk",
    errno.EROFS: "choose a disk that can be written",
    errno.EIO: "look after the disk",
    errno.ENOMEM: "free some memory, or raise its limit (ulimit -v)",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.EAGAIN: "close other programs, or raise the limit of processes (ulimit -u)",
}
_MORE_MEMORY = "use fewer samples at a time, free some memory, or raise its limit (ulimit -v)"
# Messages of torch 2.3, oneDNN, Python's threads, h5py and the dynamic loader, which have no
# exception class for lack of memory.
_OUT_OF_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|cannot allocate memory|bad_alloc|"
    r"failed to map segment|unable to allocate|memory allocation failed|"
    r"can't start new thread|could not create a primitive",
    re.IGNORECASE,
)


@contextmanager
def orderly_signals() -> Iterator[None]:
    """Convert Ctrl-C and SIGTERM to exceptions, so that a command cleans up before it ends.

    During clean-up, further signals are ignored: pressing Ctrl-C twice leaves no half-written files
    and no processes behind. Signals that are ignored or that the surrounding program handles are
    left alone. Outside the main thread, this function does nothing.

    Raises
    ------
    KeyboardInterrupt
        On SIGINT.
    Terminated
        On SIGTERM; the exit code is 143.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    clean_up_start = -_CLEAN_UP

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal clean_up_start
        now = time.monotonic()
        if now - clean_up_start < _CLEAN_UP:
            return
        clean_up_start = now
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(128 + number)

    defaults: dict[int, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    old_handlers = {
        number: default
        for number, default in defaults.items()
        if signal.getsignal(number) == default
    }
    for number in old_handlers:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number, default in old_handlers.items():
            signal.signal(number, default)


@contextmanager
def described_exhaustion() -> Iterator[None]:
    """Convert a lack of memory, disk space, files or processes to a typed error.

    Raises
    ------
    ResourceError
        If the machine, or a limit set for the command, does not provide a needed resource.
    """
    try:
        yield
    except MemoryError as error:
        problem = f"used up ({error})" if str(error) else "used up"
        raise ResourceError("memory", problem, remedy=_MORE_MEMORY) from error
    except BrokenPipeError:
        raise
    except (RuntimeError, ImportError, OSError) as error:
        if _OUT_OF_MEMORY.search(str(error)) or not _has_memory():
            problem = f"used up ({str(error)[:200]})"
            raise ResourceError("memory", problem, remedy=_MORE_MEMORY) from error
        remedy = _EXHAUSTED.get(getattr(error, "errno", None) or 0)
        if remedy is None or not isinstance(error, OSError):
            raise
        where = str(error.filename or "operating system")
        raise ResourceError(where, error.strerror or str(error), remedy=remedy) from error


def _has_memory() -> bool:
    """Return whether memory is available: extension modules fail in various ways without it."""
    try:
        mmap.mmap(-1, _BLAS_BUFFER).close()
    except OSError:
        return False
    return True


@cache
def reserve_buffers() -> None:
    """Make OpenBLAS allocate its buffer now, because without memory it would later hang forever.

    Raises
    ------
    OSError
        If the memory is not available.
    """
    import numpy as np

    mmap.mmap(-1, _BLAS_BUFFER).close()
    np.linalg.inv(np.eye(2))


def drop_output() -> None:
    """Discard further standard output, because Python would report errors on it at exit."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
