"""What a forked child inherits from threads that it does not have: locks that nobody releases.

A child has one thread, the one that forked. Locks of our own are new there. For those of others
(of an import, of LLVM, inside torch) a fork waits until no other thread is in such a place.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import _bootstrap
from typing import Any

# Locks of modules that are being imported, by weak references.
_module_locks: dict[str, Any] = getattr(_bootstrap, "_module_locks", {})
# A fork waits so long for other threads, and then takes place all the same [s].
PATIENCE = 30.0


class ForkSafeLock:
    """A lock that nobody holds in a child that has just been forked."""

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
    """Blocks during which other threads do not fork."""

    def __init__(self) -> None:
        self._gate = threading.RLock()
        self._inside: set[tuple[int, object]] = set()
        os.register_at_fork(
            before=self._close, after_in_parent=self._open, after_in_child=self._begin_anew
        )

    @contextmanager
    def block(self) -> Iterator[None]:
        """Make forks wait for the end of the block."""
        me = threading.get_ident(), object()
        try:
            with self._gate:
                self._inside.add(me)
            yield
        finally:
            self._inside.discard(me)

    def _close(self) -> None:
        self._is_closed = self._gate.acquire(timeout=PATIENCE)
        own = threading.get_ident()
        wait_until(lambda: all(ident == own for ident, _ in list(self._inside)))

    def _open(self) -> None:
        if self._is_closed:
            self._gate.release()

    def _begin_anew(self) -> None:
        own = threading.get_ident()
        self._gate = threading.RLock()
        self._inside = {entry for entry in self._inside if entry[0] == own}


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait until something holds, for a limited time."""
    deadline = time.monotonic() + PATIENCE
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.001)


def _nobody_imports() -> bool:
    own = threading.get_ident()
    locks = [reference() for reference in list(_module_locks.values())]
    owners = {getattr(lock, "owner", None) for lock in locks}
    return owners <= {None, own}


os.register_at_fork(before=lambda: wait_until(_nobody_imports))
