"""Control signals and forks around Lava's operating system processes.

A Lava network consists of tens to hundreds of forked children. Three conditions must always hold:
only the parent handles Ctrl-C, which is sent to the whole process group; no child outlives the
parent; and no signal handler raises between a fork and the line that records the new child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_EXIT_CODE_SIGTERM = 128 + signal.SIGTERM  # exit code that a shell reports for SIGTERM
_GUARDED_SIGNALS: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM)


class Terminated(SystemExit):
    """SIGTERM as an exception, distinct from a SystemExit that a Lava model raises."""


class DeadlinePassed(BaseException):
    """Expiry of a time limit, which ``except Exception`` in a Lava model must not catch."""


class _ForkState(threading.local):
    """State that the forking thread passes to its children; the fork hooks ignore it if unset."""

    parent_pid: int | None = None
    old_mask: set[int | signal.Signals] | None = None


_state = _ForkState()
# Looked up before any fork, since a child of a threaded parent must not use the dynamic loader.
_prctl: Callable[..., int] | None = (
    getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
)
# Sessions fork one at a time. A child forked by one thread between another thread's pipe() and
# fork() would keep that pipe open, so the exit of the other child could not be detected.
_fork_lock = threading.Lock()


def _before_fork() -> None:
    if _state.parent_pid is not None:
        # Signals that arrive before the child has set its handlers stay pending.
        _state.old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _GUARDED_SIGNALS)


def _unblock() -> None:
    if _state.old_mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _state.old_mask)
        _state.old_mask = None


def _after_fork_in_child() -> None:
    global _fork_lock
    _fork_lock = threading.Lock()  # a thread that does not exist in the child may hold the old lock
    parent_pid = _state.parent_pid
    if parent_pid is None:
        return
    _state.parent_pid = None
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent_pid:  # the parent died before the line above took effect
            os._exit(1)
    _unblock()


os.register_at_fork(
    before=_before_fork, after_in_parent=_unblock, after_in_child=_after_fork_in_child
)


@contextmanager
def guarded_fork() -> Iterator[None]:
    """Make children forked by this thread in the context ignore SIGINT and die with the parent.

    Notes
    -----
    Linux binds the death signal to the parent *thread*, so the forking thread must live as long as
    the children are needed. On other systems, there is no death signal.
    """
    with _fork_lock:
        _state.parent_pid = os.getpid()
        try:
            yield
        finally:
            _state.parent_pid = None


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer SIGINT and SIGTERM until the end of the context, then deliver them.

    Outside the main thread, Python runs no signal handlers, so there is nothing to defer.
    """
    if not _in_main_thread():
        yield
        return
    received: list[int] = []
    previous: dict[signal.Signals, Any] = {}

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    try:
        for number in _GUARDED_SIGNALS:
            handler = signal.getsignal(number)
            if handler is not None and handler != signal.SIG_IGN:
                previous[number] = handler
                signal.signal(number, remember)
        yield
    finally:
        for number, handler in reversed(previous.items()):
            signal.signal(number, handler)
        for received_number in dict.fromkeys(received):
            signal.raise_signal(received_number)


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Convert SIGTERM to ``SystemExit(143)``, so that ``finally`` clauses run.

    A handler installed by the program, or an ignored SIGTERM, is not changed. Outside the main
    thread, handlers cannot be set, and the context has no effect.
    """
    if not _in_main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        raise Terminated(_EXIT_CODE_SIGTERM)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Alarm:
    """Timer that sends SIGALRM to the main thread at a deadline, unless it is cancelled."""

    def __init__(self, deadline: float) -> None:
        self.has_passed = False
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._ring)
        self._timer.daemon = True
        self._timer.start()

    def _ring(self) -> None:
        with self._lock:
            if not self._is_cancelled:
                self.has_passed = True
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    def cancel(self) -> None:
        """Ensure that no signal is sent from now on."""
        with self._lock:
            self._is_cancelled = True
        self._timer.cancel()
        self._timer.join()


@contextmanager
def interrupted_at(deadline: float | None) -> Iterator[None]:
    """Raise a TimeoutError if a deadline passes within the context.

    In the main thread, a signal interrupts Python code even if it sleeps. In other threads, the
    code must check the clock and raise `DeadlinePassed` itself.

    Parameters
    ----------
    deadline : float, optional
        Time limit in terms of ``time.monotonic()``.

    Raises
    ------
    TimeoutError
        If the deadline passes.
    """
    previous = signal.getsignal(signal.SIGALRM) if hasattr(signal, "SIGALRM") else None
    try:
        if deadline is None or previous is None or not _in_main_thread():
            yield
            return
        alarm = _Alarm(deadline)

        def ring(number: int, frame: FrameType | None) -> None:
            if alarm.has_passed:
                raise DeadlinePassed
            if callable(previous):  # an alarm of other code
                previous(number, frame)

        signal.signal(signal.SIGALRM, ring)
        try:
            yield
        finally:
            try:
                alarm.cancel()
            finally:
                signal.signal(signal.SIGALRM, previous)
    except DeadlinePassed:
        raise TimeoutError from None
