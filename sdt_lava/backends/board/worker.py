"""A run in a process of its own, which can be ended with all that it started.

On hardware Lava's own Runtime drives the board, as it was tested by its makers. It may wait for
ever, for a process that raised or for a board that hangs (lava-nc/lava#231, #826), and a board's
driver is a process, too. Everything therefore happens in a child with a session of its own.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from sdt_lava.backends.lava.process_guard import deferred_signals, guarded_fork, sigterm_raises
from sdt_lava.errors import LavaRuntimeError, LavaTimeoutError, SdtLavaError

ResultT = TypeVar("ResultT")

# [s] For a child that was asked to end; a board's driver may have to let go of the board.
_GRACE = 5.0
# [s] How often to look whether it has.
_PERIOD = 0.05
_STDOUT, _STDERR = 1, 2


def in_child(work: Callable[[], ResultT], timeout: float | None, what: str) -> ResultT:
    """Call a function in a forked child and return what it returns.

    Parameters
    ----------
    work : callable
        Returns something that can be pickled.
    timeout : float, optional
        Limit in seconds.
    what : str
        What runs, for errors.

    Raises
    ------
    SdtLavaError
        What `work` raised.
    LavaRuntimeError
        If it raised anything else, or its process died.
    LavaTimeoutError
        If it took too long.
    """
    receiver, sender = mp.Pipe(duplex=False)
    child = mp.get_context("fork").Process(target=_serve, args=(work, sender), name=what)
    with sigterm_raises():
        try:
            with deferred_signals(), guarded_fork():
                child.start()
            sender.close()
            if not wait([receiver, child.sentinel], timeout):
                raise LavaTimeoutError(
                    what, f"did not finish within {timeout:g} s", remedy="raise the limit"
                )
            result = _outcome(child, receiver, what)
            child.join(_GRACE)
            return result
        finally:
            _end(child)
            receiver.close()


def _serve(work: Callable[[], Any], sender: Connection) -> None:
    # What the parent ends is this session, and the tracker of its own that frees the shared
    # memory once everybody who uses it has gone.
    os.setsid()
    tracker: Any = resource_tracker._resource_tracker
    tracker._fd = tracker._pid = None
    # Drivers talk on the standard output, which belongs to the command's own tables.
    os.dup2(_STDERR, _STDOUT)
    try:
        sender.send(("result", work()))
    except SdtLavaError as error:
        sender.send(("error", error))
    except BaseException as error:
        summary = "".join(traceback.format_exception_only(type(error), error)).strip()
        sender.send(("failure", (summary, traceback.format_exc())))


def _outcome(child: Any, receiver: Connection, what: str) -> Any:
    kind: str = ""
    value: Any = None
    try:
        if receiver.poll():
            kind, value = receiver.recv()
    except EOFError:
        pass  # it ended without a word
    if kind == "result":
        return value
    if kind == "error":
        raise value
    if kind == "failure":
        summary, trace = value
        raise LavaRuntimeError(what, summary, traceback_text=trace)
    child.join(_GRACE)  # its ends of the pipe are closed a moment before it has ended
    raise LavaRuntimeError(what, f"ended unexpectedly with exit code {child.exitcode}")


def _end(child: Any) -> None:
    """End the child and what is left of its session, first politely."""
    if child.pid is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        # The child may be gone while what it started is not: they share its session.
        limit = time.monotonic() + _GRACE
        is_left = _send(child, number)
        while is_left and time.monotonic() < limit:
            child.join(_PERIOD)
            is_left = _send(child, 0)
    child.join(_GRACE)


def _send(child: Any, number: int) -> bool:
    """Signal the child's session; tell whether anybody is left there."""
    try:
        os.killpg(child.pid, number)
    except PermissionError:  # only what has ended, and is not ours to see the end of
        return False
    except ProcessLookupError:
        if not child.is_alive():
            return False
        os.kill(child.pid, number)  # so early that it has no session of its own yet
    return True
