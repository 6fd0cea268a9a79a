"""Run a network of Lava Processes such that every outcome is an end: a result or one error."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

from lava.magma.compiler.compiler_graphs import find_processes
from lava.magma.core.process.process import AbstractProcess, LogConfig, ProcessServer
from lava.magma.core.process.variable import VarServer
from lava.magma.core.run_configs import RunConfig

from sdt_lava.errors import ConfigError, LavaRuntimeError, LavaTimeoutError, SdtLavaError
from sdt_lava.simulate.lava_runtime import SupervisedRuntime
from sdt_lava.simulate.process_guard import deferred_signals, sigterm_raises

# Two slots for each channel are enough for a network in lock step; Lava's 64 only cost memory.
_COMPILE_DEFAULTS: Mapping[str, Any] = {"pypy_channel_size": 2}
# [s] Progress is reported about this often.
_PROGRESS_PERIOD = 0.25
_COMPILER_LOGGER = "lava.magma.compiler.compiler"


class LavaSession:
    """Compile a Lava network, run it, and leave nothing behind.

    Parameters
    ----------
    root_process : AbstractProcess
        Any Process of the network; all that are connected to it are run.
    run_config : RunConfig
        Selects the ProcessModels, e.g. ``Loihi2SimCfg(select_tag="fixed_pt")``.
    compile_config : Mapping[str, Any], optional
        Lava's compiler options; ``pypy_channel_size`` is 2 by default. The watchdog is always off,
        the session takes its place.
    timeout : float, optional
        Limit in seconds for the start and for each call of `run`.

    Attributes
    ----------
    steps_done : int
        Time steps completed so far.

    Notes
    -----
    Each leaf Process becomes one forked operating system process. The thread that enters the
    session has to live until the session is closed, as on Linux its end would end the children.

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
    ) -> None:
        if timeout is not None and not (math.isfinite(timeout) and timeout > 0):
            raise ConfigError("timeout", str(timeout), "a positive number of seconds or None")
        self.steps_done = 0
        self._root = root_process
        self._run_config = run_config
        self._compile_config = {
            **_COMPILE_DEFAULTS,
            **(compile_config or {}),
            "use_watchdog": False,
        }
        self._timeout = timeout
        self._runtime: SupervisedRuntime | None = None
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
        began = time.monotonic()
        with _described_failure("starting the Lava network"):
            executable = self._compile()
            self._runtime = SupervisedRuntime(executable)
            executable.assign_runtime_to_all_processes(self._runtime)
            self._runtime.initialize()
        self._limited(self._runtime.wait_until_built, began, "did not start")

    def _compile(self) -> Any:
        compiler_logger = logging.getLogger(_COMPILER_LOGGER)
        handlers = list(compiler_logger.handlers)
        # Before the compilation, which connects past the hierarchical Processes.
        self._processes += find_processes(self._root)
        first_new_id = ProcessServer()._next_id
        try:
            executable = self._root.compile(self._run_config, self._compile_config)
            self._processes += executable.process_list
            return executable
        finally:
            compiler_logger.handlers[:] = handlers  # each compilation adds one
            # The parts of hierarchical Processes came into being during the compilation.
            self._processes += [p for p in ProcessServer().processes if p.id >= first_new_id]
            # Before the fork: otherwise a log record appears once for each Process.
            _remove_lava_log_handlers()

    def run(self, num_steps: int, on_progress: Callable[[int], None] | None = None) -> None:
        """Run time steps; further calls continue where the last one ended.

        Parameters
        ----------
        num_steps : int
            Number of time steps, at least 1.
        on_progress : Callable[[int], None], optional
            Called about four times a second, and at the end, with the number of steps that this
            call has completed.

        Raises
        ------
        LavaRuntimeError
            A Lava process raised or died; the error names it and keeps its traceback.
        LavaTimeoutError
            The run took longer than the session's `timeout`.
        """
        if num_steps < 1:
            raise ConfigError("num_steps", str(num_steps), "at least 1")
        began = time.monotonic()
        done, chunk = 0, 1 if on_progress else num_steps
        while done < num_steps:
            size = min(chunk, num_steps - done)
            chunk_began = time.monotonic()
            self._run_chunk(size, began)
            done += size
            if on_progress:
                elapsed = max(time.monotonic() - chunk_began, 1e-6)
                # At most fourfold: the first steps may be faster than the rest.
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
                remedy="raise the time limit, or look for a process that waits for ever",
            ) from None

    def close(self) -> None:
        """Stop the network and free everything it holds; may be called more than once.

        A healthy network is asked to stop, one that failed or was interrupted is ended. Either
        way this takes a few seconds at most.
        """
        with deferred_signals():
            if self._runtime is not None:
                self._runtime.stop()
            self._runtime = None
            _forget(self._processes)
            self._processes = []
            _remove_lava_log_handlers()
        self._stack.close()


@contextmanager
def _described_failure(where: str) -> Iterator[None]:
    """Turn what Lava raises in this process into one kind of error."""
    try:
        yield
    except SdtLavaError:
        raise
    except Exception as error:
        raise LavaRuntimeError(where, f"{type(error).__name__}: {error}") from error


def _forget(processes: list[Any]) -> None:
    """Cut the references by which Lava keeps Processes, and their weights, for ever.

    Lava only ever appends to these two lists. Other networks' entries, and the counters that make
    ids unique, stay as they are; ``reset_server`` would hand out ids twice.
    """
    ours = {id(process) for process in processes}
    for process in processes:
        process.runtime = None  # its destructor would stop a runtime that is gone
    server, variables = ProcessServer(), VarServer()
    server.processes[:] = [p for p in server.processes if id(p) not in ours]
    variables.vars[:] = [v for v in variables.vars if id(v.process) not in ours]


def _remove_lava_log_handlers() -> None:
    """Remove the handler that each Lava Process adds to the root logger.

    They are told from a program's own handlers by their format, Lava's default.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        layout = handler.formatter
        if type(handler) is not logging.StreamHandler or layout is None:
            continue
        if (layout._fmt, layout.datefmt) == (LogConfig.format, LogConfig.date_format):
            root.removeHandler(handler)
