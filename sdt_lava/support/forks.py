"""Keep forked children from deadlocking on locks that other threads of the parent hold.

A forked child contains only the thread that called fork; a lock held by another thread is never
released there. Our own locks are recreated in the child. For locks that we do not control (of
imports, of LLVM, inside torch), a fork waits until no other thread holds one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import _bootstrap
from typing import Any

# Weak references to the locks of modules that are being imported.
_module_locks: dict[str, Any] = getattr(_bootstrap, "_module_locks", {})
# Longest time that a fork waits for other threads before it proceeds anyway [s].
PATIENCE = 30.0


class ForkSafeLock:
    """A reentrant lock that is always free in a newly forked child."""

    def __init__(self) -> None:
        self._owned = os.getpid(), threading.RLock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock inside the block."""
        pid = os.getpid()
        if self._owned[0] != pid:
            self._owned = pid, threading.RLock()
        with self._owned[1]:
            yield


class NoForkInside:
    """Delay forks by other threads while a block of code runs."""

    def __init__(self) -> None:
        self._gate = threading.RLock()
        self._inside: set[tuple[int, object]] = set()
        os.register_at_fork(
            before=self._close, after_in_parent=self._open, after_in_child=self._begin_anew
        )

    @contextmanager
    def block(self) -> Iterator[None]:
        """Make forks by other threads wait until the block ends."""
        entry = threading.get_ident(), object()
        try:
            with self._gate:
                self._inside.add(entry)
            yield
        finally:
            self._inside.discard(entry)

    def _close(self) -> None:
        self._is_closed = self._gate.acquire(timeout=PATIENCE)
        this_thread = threading.get_ident()
        wait_until(lambda: all(ident == this_thread for ident, _ in list(self._inside)))

    def _open(self) -> None:
        if self._is_closed:
            self._gate.release()

    def _begin_anew(self) -> None:
        this_thread = threading.get_ident()
        self._gate = threading.RLock()
        self._inside = {entry for entry in self._inside if entry[0] == this_thread}


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait until a condition holds, for at most `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.001)


def _nobody_imports() -> bool:
    this_thread = threading.get_ident()
    locks = [reference() for reference in list(_module_locks.values())]
    owners = {getattr(lock, "owner", None) for lock in locks}
    return owners <= {None, this_thread}


os.register_at_fork(before=lambda: wait_until(_nobody_imports))
