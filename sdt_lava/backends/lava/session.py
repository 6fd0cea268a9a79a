"""Run a network of Lava Processes so that it always terminates, with a result or one error."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import RunConfig

from sdt_lava.backends.lava.compile import compile_processes, forget, remove_log_handlers
from sdt_lava.backends.lava.in_process import InProcessRuntime, obstacle
from sdt_lava.backends.lava.process_guard import deferred_signals, sigterm_raises
from sdt_lava.backends.lava.runtime import SupervisedRuntime
from sdt_lava.errors import ConfigError, LavaRuntimeError, LavaTimeoutError, SdtLavaError

# Two slots per channel are enough for a network in lockstep; Lava's 64 only cost memory.
_COMPILE_DEFAULTS: Mapping[str, Any] = {"pypy_channel_size": 2}
# [s] Approximate interval of progress reports.
_PROGRESS_PERIOD = 0.25
EXECUTORS = ("processes", "in-process")
_FALLBACK = "it runs in Lava's own runtime, with an operating system process for each Lava Process"

logger = logging.getLogger(__name__)


class LavaSession:
    """Context that compiles and runs a Lava network and frees all of its resources.

    Parameters
    ----------
    root_process : AbstractProcess
        Any Process of the network; all Processes connected to it are run.
    run_config : RunConfig
        Configuration that selects ProcessModels, such as ``Loihi2SimCfg(select_tag="fixed_pt")``.
    compile_config : Mapping[str, Any], optional
        Lava's compiler options; ``pypy_channel_size`` is 2 by default. The watchdog is always off
        because the session replaces it.
    timeout : float, optional
        Limit in seconds for the start, for each call of `run`, and for reading or setting a
        variable.
    executor : {'processes', 'in-process'}
        Run one forked operating system process for each leaf Process, or all of them in turn in the
        calling thread.

    Attributes
    ----------
    steps_done : int
        Number of time steps completed so far.
    executor : str
        Executor in use, which is 'processes' if 'in-process' was requested but the network does not
        allow it.
    note : str
        Reason why the network does not allow it; otherwise empty.
    num_processes : int
        Number of Processes with a ProcessModel.
    seconds : dict of str to float
        Wall-clock time of 'compile', 'start', 'run' and 'stop'.

    Notes
    -----
    With forked processes, the thread that enters the session must live until the session is closed,
    because on Linux its exit would terminate the children.

    Examples
    --------
    >>> with LavaSession(source, Loihi2SimCfg(select_tag="fixed_pt"), timeout=60) as session:
    ...     session.run(num_steps)
    """

    def __init__(
        self,
        root_process: AbstractProcess,
        run_config: RunConfig,
        compile_config: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        executor: str = "processes",
    ) -> None:
        if executor not in EXECUTORS:
            raise ConfigError("executor", repr(executor), f"one of {EXECUTORS}")
        if timeout is not None and not (math.isfinite(timeout) and timeout > 0):
            raise ConfigError("timeout", str(timeout), "a positive number of seconds or None")
        self.steps_done = 0
        self.executor, self.note = executor, ""
        self.num_processes = 0
        self.seconds = dict.fromkeys(("compile", "start", "run", "stop"), 0.0)
        self._root = root_process
        self._run_config = run_config
        self._compile_config = {
            **_COMPILE_DEFAULTS,
            **(compile_config or {}),
            "use_watchdog": False,
        }
        self._timeout = timeout
        self._runtime: SupervisedRuntime | InProcessRuntime | None = None
        self._processes: list[Any] = []
        self._stack = ExitStack()

    def __enter__(self) -> LavaSession:
        self._stack.enter_context(sigterm_raises())
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        start_time = time.monotonic()
        with _described_failure("starting the Lava network"), self._timed("compile"):
            executable, self._processes = compile_processes(
                self._root, self._run_config, self._compile_config
            )
        self.num_processes = len(executable.proc_builders)
        with self._timed("start"):
            with _described_failure("starting the Lava network"):
                self._runtime = self._make_runtime(executable)
                executable.assign_runtime_to_all_processes(self._runtime)
                self._runtime.initialize()
            self._limited(self._runtime.wait_until_built, start_time, "did not start")

    def _make_runtime(self, executable: Any) -> SupervisedRuntime | InProcessRuntime:
        if self.executor == "in-process":
            reason = obstacle(executable)
            if not reason:
                return InProcessRuntime(executable)
            self.executor = "processes"
            self.note = f"{reason}: {_FALLBACK}"
            logger.warning("%s", self.note)
        return SupervisedRuntime(executable, self._timeout)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start_time = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] += time.monotonic() - start_time

    def run(self, num_steps: int, on_progress: Callable[[int], None] | None = None) -> None:
        """Run a number of time steps; further calls continue where the last one ended.

        Parameters
        ----------
        num_steps : int
            Number of time steps, at least 1.
        on_progress : Callable[[int], None], optional
            Function called about four times a second, and at the end, with the number of steps that
            this call has completed.

        Raises
        ------
        LavaRuntimeError
            If a Lava process raises or dies. The error names it and contains its traceback.
        LavaTimeoutError
            If the run takes longer than the session's `timeout`.
        """
        if num_steps < 1:
            raise ConfigError("num_steps", str(num_steps), "at least 1")
        start_time = time.monotonic()
        done, chunk = 0, 1 if on_progress else num_steps
        while done < num_steps:
            size = min(chunk, num_steps - done)
            chunk_start = time.monotonic()
            self._run_chunk(size, start_time)
            done += size
            if on_progress:
                elapsed = max(time.monotonic() - chunk_start, 1e-6)
                # The factor is at most four, because the first steps may be faster than the rest.
                chunk = max(1, min(4 * size, int(size * _PROGRESS_PERIOD / elapsed)))
                on_progress(done)

    def _run_chunk(self, num_steps: int, began: float) -> None:
        runtime = self._runtime
        if runtime is None or not runtime.is_ready:
            raise LavaRuntimeError(
                "the Lava session",
                "is not running",
                "a session that was entered and has neither failed nor been closed",
            )
        after = f"did not finish; {self.steps_done} time steps were done before"

        def steps(deadline: float | None) -> None:
            runtime.run_steps(num_steps, deadline)

        with self._timed("run"):
            self._limited(steps, began, after)
        self.steps_done += num_steps

    def _limited(self, wait: Callable[[float | None], None], began: float, verb: str) -> None:
        deadline = None if self._timeout is None else began + self._timeout
        try:
            wait(deadline)
        except TimeoutError:
            raise LavaTimeoutError(
                "the Lava network",
                f"{verb} within {self._timeout:g} s",
                remedy="raise the time limit, or look for a process that waits forever",
            ) from None

    def close(self) -> None:
        """Stop the network and free all of its resources; may be called repeatedly.

        A healthy network is stopped by a command; one that failed or was interrupted is terminated.
        Either takes at most a few seconds.
        """
        with deferred_signals(), self._timed("stop"):
            if self._runtime is not None:
                self._runtime.stop()
            self._runtime = None
            forget(self._processes)
            self._processes = []
            remove_log_handlers()
        self._stack.close()


@contextmanager
def _described_failure(where: str) -> Iterator[None]:
    """Convert exceptions of Lava in this process to a single type of error."""
    try:
        yield
    except SdtLavaError:
        raise
    except Exception as error:
        raise LavaRuntimeError(where, f"{type(error).__name__}: {error}") from error
