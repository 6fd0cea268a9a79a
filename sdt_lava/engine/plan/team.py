"""Run several threads on the same list of steps, each on its own rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sdt_lava.engine.plan.buffers import Rows, Task
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.errors import ConfigError
from sdt_lava.support.interruption import Interruption
from sdt_lava.support.torch_use import torch_is_loaded

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@dataclass(frozen=True)
class Step:
    """Operation that is bound to memory.

    Parameters
    ----------
    operation : Operation
        The operation.
    task : callable
        Function that computes rows of the operation.
    waits : bool
        Whether all threads must reach this step before any continues.
    shares : tuple of tuple of tuple of int
        Rows of each thread in pieces, between which a thread can be stopped.
    """

    operation: Operation
    task: Task
    waits: bool
    shares: tuple[tuple[Rows, ...], ...]


def work_through(steps: Sequence[Step], workers: int, memory: object) -> None:
    """Run all steps with a team of threads; the calling thread is the first worker.

    Threads are created for each call, because a pool would be missing in forked processes. They
    have always ended when this function returns or raises. After an exception, or a signal whose
    handler raises, each thread stops at its next piece.

    Parameters
    ----------
    steps : sequence of Step
        Steps to run.
    workers : int
        Number of threads.
    memory : object
        Memory that the steps write to by address, kept alive as long as threads run.

    Raises
    ------
    Exception
        The first exception that a step raised; the other threads have also ended.
    """
    if workers == 1:
        for step in steps:
            for rows in step.shares[0]:
                step.task(rows, 0)
        return
    with Interruption() as interruption:
        team = _Team(steps, workers, memory, interruption)
        team.work_through()
    if team.errors:
        raise team.errors[0]


class _Stopped(Exception):
    """Raised if another thread has failed or the program was interrupted."""


class _Team:
    def __init__(
        self, steps: Sequence[Step], workers: int, memory: object, interruption: Interruption
    ) -> None:
        self.errors: list[BaseException] = []
        self._steps, self._memory, self._interruption = steps, memory, interruption
        self._barrier = threading.Barrier(workers)
        self._is_stopped = False
        self._helpers = [
            threading.Thread(
                target=self._work, args=(worker,), name=f"engine-{worker}", daemon=True
            )
            for worker in range(1, workers)
        ]

    def work_through(self) -> None:
        """Run all steps with all threads and wait until the others end."""
        started = []
        try:
            for helper in self._helpers:
                helper.start()
                started.append(helper)
        except RuntimeError as error:
            self._stop()
            found = f"{len(self._helpers) + 1}, of which the system starts {len(started) + 1}"
            self.errors.append(ConfigError("threads", found, "fewer threads"))
            self.errors[0].__cause__ = error
        else:
            self._work(0)
        for helper in started:
            self._join(helper)

    def _join(self, helper: threading.Thread) -> None:
        while helper.is_alive():
            try:
                helper.join()
            except BaseException as error:  # an exception from another thread
                self.errors.append(error)
                self._is_stopped = True

    def _work(self, worker: int) -> None:
        try:
            with one_thread_each():
                for step in self._steps:
                    if step.waits:
                        self._barrier.wait()
                    for rows in step.shares[worker]:
                        if self._is_stopped or self._interruption.happened:
                            raise _Stopped
                        step.task(rows, worker)
        except (threading.BrokenBarrierError, _Stopped):
            # Another thread has failed and reports the error.
            self._stop()
        except BaseException as error:
            self.errors.append(error)
            self._stop()

    def _stop(self) -> None:
        self._is_stopped = True
        self._barrier.abort()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Restrict torch's operators to the calling thread within the context.

    `torch.set_num_threads` would affect all threads, and takes milliseconds.
    """
    if not torch_is_loaded():
        yield
        return
    import torch

    # A new thread inherits torch's number of threads on first use and keeps it from then on.
    torch.get_num_threads()
    with _openmp().limit(limits=1):
        yield


@cache
def _openmp() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="openmp")
