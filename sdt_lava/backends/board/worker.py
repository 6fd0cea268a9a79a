"""Run functions in a child process that can be terminated with all its descendants.

On hardware, Lava's own Runtime drives the board, because that is what its developers test. The
Runtime may hang if a process raises an error or the board does not respond (lava-nc/lava#231,
#826), and the board's driver is also a process. Everything therefore runs in a child process with
its own session.
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

# [s] Grace period for a child to terminate, in which a driver may have to release the board.
_GRACE = 5.0
# [s] Interval at which termination is checked.
_PERIOD = 0.05
_STDOUT, _STDERR = 1, 2


def in_child(work: Callable[[], ResultT], timeout: float | None, what: str) -> ResultT:
    """Call a function in a forked child process and return its result.

    Parameters
    ----------
    work : callable
        Function whose result can be pickled.
    timeout : float, optional
        Limit in seconds.
    what : str
        Description of the work, for errors.

    Raises
    ------
    SdtLavaError
        The error that `work` raised.
    LavaRuntimeError
        If `work` raised any other exception, or its process died.
    LavaTimeoutError
        If the timeout expired.
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
    # The parent terminates this session. The session has its own resource tracker, which frees the
    # shared memory when all users have exited.
    os.setsid()
    tracker: Any = resource_tracker._resource_tracker
    tracker._fd = tracker._pid = None
    # Drivers write to the standard output, which is reserved for the command's own tables.
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
        pass  # the child exited without sending a result
    if kind == "result":
        return value
    if kind == "error":
        raise value
    if kind == "failure":
        summary, trace = value
        raise LavaRuntimeError(what, summary, traceback_text=trace)
    child.join(_GRACE)  # its ends of the pipe close shortly before it exits
    raise LavaRuntimeError(what, f"ended unexpectedly with exit code {child.exitcode}")


def _end(child: Any) -> None:
    """Terminate the child and the rest of its session, first with SIGTERM."""
    if child.pid is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        # The child may have exited while its descendants run on; they share its session.
        limit = time.monotonic() + _GRACE
        is_running = _send(child, number)
        while is_running and time.monotonic() < limit:
            child.join(_PERIOD)
            is_running = _send(child, 0)
    child.join(_GRACE)


def _send(child: Any, number: int) -> bool:
    """Send a signal to the child's session and return whether it has any processes left."""
    try:
        os.killpg(child.pid, number)
    except PermissionError:  # only processes are left that have exited but that we cannot reap
        return False
    except ProcessLookupError:
        if not child.is_alive():
            return False
        os.kill(child.pid, number)  # so early that the child has no session of its own yet
    return True
