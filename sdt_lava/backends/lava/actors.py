"""Supervise the operating system processes of a Lava network and their shared memory."""

from __future__ import annotations

import logging
import multiprocessing as mp
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from lava.magma.runtime.message_infrastructure.multiprocessing import MultiProcessing

from sdt_lava.backends.lava.process_guard import deferred_signals, guarded_fork
from sdt_lava.errors import LavaRuntimeError

logger = logging.getLogger(__name__)

# [s] Limits for exiting after SIGTERM or SIGKILL, and for freeing the shared memory.
_TERMINATE_LIMIT = 2.0
_SHUTDOWN_LIMIT = 5.0


@dataclass(frozen=True)
class ActorFailure:
    """A failure in one operating system process.

    Parameters
    ----------
    process : str
        Lava Process or Lava service that ran in the process.
    summary : str
        Type and message of the exception, or how the process ended.
    traceback_text : str
        Traceback of the exception, if there was one.
    exception : bytes, optional
        Pickled exception, if it can be pickled.
    """

    process: str
    summary: str
    traceback_text: str = ""
    exception: bytes | None = None

    def error(self) -> LavaRuntimeError:
        """Return an error to raise with the original exception as its cause."""
        error = LavaRuntimeError(
            self.process,
            self.summary,
            process=self.process,
            traceback_text=self.traceback_text,
        )
        if self.exception is not None:
            error.__cause__ = pickle.loads(self.exception)  # written by our own child
        return error


def failure_of(label: str, error: BaseException) -> LavaRuntimeError:
    """Return an error to raise for an exception of a Lava Process in this process."""
    text = "".join(traceback.format_exception(error))
    return LavaRuntimeError(label, _summary(error), process=label, traceback_text=text)


def _summary(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip()


class Actor(mp.Process):
    """Operating system process of one Lava Process or service.

    Unlike Lava's class, it reports any exception, even one that cannot be pickled, and prints
    nothing.
    """

    def __init__(self, label: str, builder: Any) -> None:
        # If the interpreter exits without close(), a daemon is terminated instead of awaited.
        super().__init__(name=label, daemon=True)
        self.label = label
        self.is_built = False
        self.reports, self._report_end = mp.Pipe(duplex=False)
        self._builder = builder

    def start(self) -> None:
        """Fork the process, and release in the parent what only the child needs."""
        super().start()
        self._report_end.close()
        del self._builder

    def run(self) -> None:
        """Build the ProcessModel or service, report this, and run it until it is stopped."""
        try:
            model = self._builder.build()
            self._report_end.send(None)
            model.start()
        except BaseException as error:  # a model may also raise SystemExit
            self._report_end.send(self._failure(error))
            raise SystemExit(1) from None

    def _failure(self, error: BaseException) -> ActorFailure:
        pickled = _picklable(error)
        return ActorFailure(self.label, _summary(error), traceback.format_exc(), pickled)

    def ending(self) -> str:
        """Describe how the process ended."""
        code = self.exitcode
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended unexpectedly with exit code {code}"


class SupervisedInfrastructure(MultiProcessing):
    """Message infrastructure that starts each Lava process as an `Actor`.

    Parameters
    ----------
    label_of : Callable[[object], str]
        Function that returns the name of the Lava Process or service of a builder.
    """

    def __init__(self, label_of: Callable[[Any], str]) -> None:
        super().__init__()
        self._label_of = label_of

    def start(self) -> None:
        """Start the shared memory manager, which is also a child process."""
        with deferred_signals(), guarded_fork():
            super().start()

    def build_actor(self, target_fn: Any, builder: Any, exception_q: Any = None) -> Actor:
        """Fork an `Actor`; Lava's target function and exception queue are not used."""
        actor = Actor(self._label_of(builder), builder)
        with deferred_signals(), guarded_fork():
            actor.start()
            self._actors.append(actor)
        return actor

    def stop(self) -> None:
        """Terminate the actors, by force if necessary, and free the shared memory."""
        _end_actors(self._actors)
        self._actors.clear()
        if self.smm is not None:
            _free_shared_memory(self.smm)
            self._smm: Any = None


def _picklable(error: BaseException) -> bytes | None:
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)  # many exceptions can be pickled but not unpickled
    except Exception:
        return None
    return pickled


def quietly(step: Callable[[], None]) -> None:
    """Run one step of a clean-up and only log exceptions, so that later steps always run."""
    try:
        step()
    except Exception:
        logger.debug("cleaning up a Lava network", exc_info=True)


def _end_actors(actors: Iterable[Actor]) -> None:
    started = [actor for actor in actors if actor.pid is not None]
    for end in (Actor.terminate, Actor.kill):
        alive = [actor for actor in started if actor.is_alive()]
        for actor in alive:
            end(actor)
        limit = time.monotonic() + _TERMINATE_LIMIT
        for actor in alive:
            actor.join(max(0.0, limit - time.monotonic()))
    for actor in started:
        actor.reports.close()
        quietly(actor.close)


def _free_shared_memory(manager: Any) -> None:
    """Shut down the manager within a time limit and unlink any shared memory that it left."""
    handles = list(manager._shared_memory_handles)
    server = manager._manager._process if manager._manager is not None else None
    helper = threading.Thread(target=partial(quietly, manager.shutdown), daemon=True)
    helper.start()
    helper.join(_SHUTDOWN_LIMIT)
    if server is not None and server.is_alive():
        server.kill()
        server.join(_TERMINATE_LIMIT)
    for handle in handles:
        try:
            handle.unlink()
        except FileNotFoundError:
            continue  # the normal case: the manager unlinked it
