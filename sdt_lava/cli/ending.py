"""How a command ends that does not get to its end: signals, and a machine that has run out."""

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

# [s] What clean-up takes at most, with a Lava network to end. A second Ctrl-C in this time would
# only cut the clean-up short; after it, something hangs, and the signal counts again.
_CLEAN_UP = 10.0

# [bytes] OpenBLAS maps 32 MiB for each thread that calls it.
_BLAS_BUFFER = 64 << 20

# Errors of the operating system that say something about the machine, not about an argument.
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
# What torch 2.3, oneDNN, Python's threads, h5py and the dynamic loader say, which have no class
# of their own for it.
_OUT_OF_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|cannot allocate memory|bad_alloc|"
    r"failed to map segment|unable to allocate|memory allocation failed|"
    r"can't start new thread|could not create a primitive",
    re.IGNORECASE,
)


@contextmanager
def orderly_signals() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into exceptions, so that a command cleans up before it ends.

    While it cleans up, further signals are ignored: a user who presses Ctrl-C twice leaves no
    half-written files and no processes behind. Signals that are ignored or handled by the
    program around stay so, and outside the main thread nothing is done.

    Raises
    ------
    KeyboardInterrupt
        At SIGINT.
    Terminated
        At SIGTERM; it exits with code 143.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    began = -_CLEAN_UP

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal began
        now = time.monotonic()
        if now - began < _CLEAN_UP:
            return
        began = now
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(128 + number)

    defaults: dict[int, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    replaced = {
        number: default
        for number, default in defaults.items()
        if signal.getsignal(number) == default
    }
    for number in replaced:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number, default in replaced.items():
            signal.signal(number, default)


@contextmanager
def described_exhaustion() -> Iterator[None]:
    """Turn a lack of memory, disk space, files or processes into a typed error.

    Raises
    ------
    ResourceError
        The machine, or a limit that was set for the command, does not have what it needs.
    """
    try:
        yield
    except MemoryError as error:
        found = f"used up ({error})" if str(error) else "used up"
        raise ResourceError("memory", found, remedy=_MORE_MEMORY) from error
    except BrokenPipeError:
        raise
    except (RuntimeError, ImportError, OSError) as error:
        if _OUT_OF_MEMORY.search(str(error)) or not _has_memory():
            found = f"used up ({str(error)[:200]})"
            raise ResourceError("memory", found, remedy=_MORE_MEMORY) from error
        remedy = _EXHAUSTED.get(getattr(error, "errno", None) or 0)
        if remedy is None or not isinstance(error, OSError):
            raise
        where = str(error.filename or "operating system")
        raise ResourceError(where, error.strerror or str(error), remedy=remedy) from error


def _has_memory() -> bool:
    """Look for some room: extension modules fail in their own ways when there is none."""
    try:
        mmap.mmap(-1, _BLAS_BUFFER).close()
    except OSError:
        return False
    return True


@cache
def reserve_buffers() -> None:
    """Let OpenBLAS take its buffer now, as it would wait for ever when there is no memory left.

    Raises
    ------
    OSError
        There is none now.
    """
    import numpy as np

    mmap.mmap(-1, _BLAS_BUFFER).close()
    np.linalg.inv(np.eye(2))


def drop_output() -> None:
    """Let nothing more go to standard output: Python would complain about it at its exit."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
