"""Extend Lava's Runtime to detect processes that raise, die or stop responding.

Lava 0.10 waits for its processes one after another without a time limit. If a process raises or is
killed, the others and the caller wait forever. The classes in this module replace the parts of Lava
that start, await and stop operating system processes. Compiler, channels and ProcessModels are
Lava's own.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from lava.magma.core.process.message_interface_enum import ActorType
from lava.magma.runtime.mgmt_token_enums import (
    MGMT_COMMAND,
    MGMT_RESPONSE,
    enum_equal,
    enum_to_np,
)
from lava.magma.runtime.runtime import Runtime

from sdt_lava.backends.lava.actors import Actor, ActorFailure, SupervisedInfrastructure, quietly
from sdt_lava.backends.lava.compile import process_label
from sdt_lava.backends.lava.process_guard import deferred_signals
from sdt_lava.errors import LavaRuntimeError, LavaTimeoutError

# [s] Waiting is event-driven; this only bounds a wait if an event is missed.
_LONGEST_WAIT = 1.0
# [s] Polling interval of a waiting sender, since there is no event for free space in a channel.
_SEND_PERIOD = 0.001
# [s] Limit for finding the failed process once a failure is detected.
_BLAME_GRACE = 2.0
# [s] Limit for a healthy network to stop before it is terminated by force.
_STOP_LIMIT = 5.0


class SupervisedRuntime(Runtime):
    """Lava's Runtime with waits that end on failure, time-out or a signal.

    Parameters
    ----------
    executable : lava.magma.compiler.executable.Executable
        Compiled network.
    timeout : float, optional
        Limit in seconds for reading or setting a variable.
    """

    def __init__(self, executable: Any, timeout: float | None = None) -> None:
        super().__init__(executable, ActorType.MultiProcessing)
        self._timeout = timeout
        self.service_to_runtime: list[Any] = []
        self.runtime_to_service: list[Any] = []
        self._owner_pid = os.getpid()
        self._selector: selectors.BaseSelector | None = None
        self._wake_read, self._wake_write = -1, -1
        self._failures: list[ActorFailure] = []
        self._ended: list[Actor] = []
        self._answers: dict[int, Any] = {}
        self._failed = False

    # -- start ---------------------------------------------------------------------------------

    def initialize(self, node_cfg_idx: int = 0) -> None:
        """Build channels and processes; `wait_until_built` waits until they are ready."""
        self._build_watchdog_manager()
        self._build_message_infrastructure()
        self._build_channels()
        self._build_sync_channels()
        self._build_processes()
        self._build_runtime_services()
        self.exception_q.clear()  # one queue per process, superseded by Actor.reports
        # Created after the last fork, so that no child inherits them.
        self._watch_actors()
        self._start_ports()
        for port in self.service_to_runtime:
            port.observer = self._wake
        self._is_initialized = True

    def _build_message_infrastructure(self) -> None:
        labels = {id(b): process_label(p) for p, b in self._executable.proc_builders.items()}
        self._messaging_infrastructure: Any = SupervisedInfrastructure(
            lambda builder: labels.get(id(builder)) or f"Lava's {builder.rs_class.__name__}"
        )
        self._messaging_infrastructure.start()

    def _watch_actors(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._on_wake)
        for actor in self._messaging_infrastructure.actors:
            on_report, on_end = partial(self._on_report, actor), partial(self._on_end, actor)
            self._selector.register(actor.reports, selectors.EVENT_READ, on_report)
            self._selector.register(actor.sentinel, selectors.EVENT_READ, on_end)

    def wait_until_built(self, deadline: float | None) -> None:
        """Wait until every ProcessModel is built.

        Parameters
        ----------
        deadline : float, optional
            Time limit in terms of ``time.monotonic()``.

        Raises
        ------
        LavaRuntimeError
            If a ProcessModel raises while it is built.
        TimeoutError
            If the deadline passes.
        """
        actors = self._messaging_infrastructure.actors
        self._wait(lambda: all(actor.is_built for actor in actors), deadline)
        self._is_started = True

    @property
    def is_ready(self) -> bool:
        """Whether the network is built, has not failed and waits for a command."""
        return self._is_started and not self._is_running and not self._failed

    # -- run -----------------------------------------------------------------------------------

    def run_steps(self, num_steps: int, deadline: float | None) -> None:
        """Run a number of time steps and wait until the last one has finished.

        Parameters
        ----------
        num_steps : int
            Number of steps, at least 1.
        deadline : float, optional
            Time limit in terms of ``time.monotonic()``.

        Raises
        ------
        LavaRuntimeError
            If a Lava process raises or dies.
        TimeoutError
            If the deadline passes.
        """
        self._answers.clear()
        self._is_running = True
        self.num_steps = num_steps
        for port in self.runtime_to_service:
            port.send(enum_to_np(num_steps))
        self._wait(self._all_answered, deadline)
        if not all(enum_equal(answer, MGMT_RESPONSE.DONE) for answer in self._answers.values()):
            self._blame()
        self._is_running = False

    def _all_answered(self) -> bool:
        for index, port in enumerate(self.service_to_runtime):
            if index not in self._answers and port.probe():
                self._answers[index] = port.recv()
        return len(self._answers) == len(self.service_to_runtime)

    # -- variables -----------------------------------------------------------------------------

    def get_var(self, var_id: int, idx: Any = None) -> Any:
        """Return the value of a variable between runs, as ``Var.get()`` does.

        Raises
        ------
        LavaRuntimeError
            If the network does not wait for a command, or a Lava process died.
        LavaTimeoutError
            If reading takes longer than `timeout`.
        """
        with self._supervised_ports("reading a variable"):
            return super().get_var(var_id, idx)

    def set_var(self, var_id: int, value: Any, idx: Any = None) -> None:
        """Set a variable between runs, as ``Var.set()`` does.

        Raises
        ------
        LavaRuntimeError, LavaTimeoutError
            As for `get_var`.
        """
        with self._supervised_ports("setting a variable"):
            super().set_var(var_id, value, idx)

    @contextmanager
    def _supervised_ports(self, doing: str) -> Iterator[None]:
        """Make Lava's sends and receives within the context wait as `_wait` does."""
        if not self.is_ready:
            raise LavaRuntimeError(
                "the Lava network",
                f"{doing} while it is not waiting for a command",
                "a network that was started and has neither failed nor been stopped",
            )
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        receiving, sending = self.service_to_runtime, self.runtime_to_service

        def wait(port: Any, longest: float) -> None:
            self._wait(port.probe, deadline, longest)

        self.service_to_runtime = [_SupervisedPort(port, wait, _LONGEST_WAIT) for port in receiving]
        self.runtime_to_service = [_SupervisedPort(port, wait, _SEND_PERIOD) for port in sending]
        try:
            yield
        except TimeoutError:
            raise LavaTimeoutError(
                "the Lava network",
                f"{doing} did not finish within {self._timeout:g} s",
                remedy="raise the time limit: Lava sends a variable value by value",
            ) from None
        except BaseException:
            self._failed = True  # part of a response may be left in a channel
            raise
        finally:
            self.service_to_runtime, self.runtime_to_service = receiving, sending

    # -- waiting -------------------------------------------------------------------------------

    def _wait(
        self, is_done: Callable[[], bool], deadline: float | None, longest: float = _LONGEST_WAIT
    ) -> None:
        while not is_done():
            if self._failures or self._ended:
                self._blame()
            remaining = longest if deadline is None else deadline - time.monotonic()
            if remaining <= 0:
                self._failed = True
                raise TimeoutError
            self._handle_events(min(remaining, longest))

    def _handle_events(self, timeout: float) -> None:
        assert self._selector is not None
        for key, _ in self._selector.select(timeout):
            key.data()

    def _wake(self) -> None:
        """Wake the waiting thread; called by the thread that listens to a service."""
        with suppress(BlockingIOError):  # the pipe is full of earlier wake-ups
            os.write(self._wake_write, b"\0")

    def _on_wake(self) -> None:
        os.read(self._wake_read, 4096)

    def _on_report(self, actor: Actor) -> None:
        assert self._selector is not None
        if actor.reports not in self._selector.get_map():
            return  # _on_end has already read it in the same batch of events
        try:
            report = actor.reports.recv()
        except (EOFError, OSError):  # the exit of the process provides the details
            self._selector.unregister(actor.reports)
            return
        if report is None:
            actor.is_built = True
        else:
            self._failures.append(report)

    def _on_end(self, actor: Actor) -> None:
        assert self._selector is not None
        self._selector.unregister(actor.sentinel)
        actor.join()  # it has exited; this fetches its exit code
        while actor.reports in self._selector.get_map():
            self._on_report(actor)  # until the end of the pipe
        self._ended.append(actor)

    def _blame(self) -> None:
        """Raise an error for the first process that failed, which may have ended its neighbours."""
        self._failed = True
        limit = time.monotonic() + _BLAME_GRACE
        while True:
            if self._failures:
                raise self._failures[0].error()
            crashed = [actor for actor in self._ended if actor.exitcode != 0]
            if crashed:
                raise ActorFailure(crashed[0].label, crashed[0].ending()).error()
            if time.monotonic() > limit:
                break
            self._handle_events(0.05)
        if self._ended:
            raise ActorFailure(self._ended[0].label, self._ended[0].ending()).error()
        raise LavaRuntimeError("Lava's runtime service", f"answered {self._answers}")

    # -- stop ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop the network and free its resources; never hangs or raises, may be called repeatedly.

        Lava also calls this from destructors, including those in forked children, where it must
        have no effect.
        """
        if os.getpid() != self._owner_pid:
            return
        with deferred_signals():
            infrastructure = self._messaging_infrastructure
            if self.is_ready:
                quietly(self._stop_regularly)
            self._is_started = self._is_running = False
            for port in self.service_to_runtime:
                port.observer = None
            quietly(self.join)
            if infrastructure is not None:
                quietly(infrastructure.stop)
                self._messaging_infrastructure = None
            self._close_selector()

    def _stop_regularly(self) -> None:
        for port in self.runtime_to_service:
            if port.probe():  # sending does not block
                port.send(MGMT_COMMAND.STOP)
        limit = time.monotonic() + _STOP_LIMIT
        count = len(self._messaging_infrastructure.actors)
        while len(self._ended) < count and time.monotonic() < limit:
            self._handle_events(0.1)

    def _close_selector(self) -> None:
        if self._selector is None:
            return
        self._selector.close()
        self._selector = None
        for port in self.service_to_runtime:
            if port.thread is not None:
                port.thread.join(1.0)  # it may be about to write to the pipe that is closed below
        os.close(self._wake_read)
        os.close(self._wake_write)


class _SupervisedPort:
    """A port of the runtime whose `send` and `recv` wait with a function that may raise."""

    def __init__(self, port: Any, wait: Callable[[Any, float], None], longest: float) -> None:
        self._port = port
        self._wait = wait
        self._longest = longest

    def send(self, data: Any) -> None:
        self._wait(self._port, self._longest)
        self._port.send(data)

    def recv(self) -> Any:
        self._wait(self._port, self._longest)
        return self._port.recv()
