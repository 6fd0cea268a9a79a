"""Several threads that work through the same list, each on its own rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
from threadpoolctl import ThreadpoolController

from sdt_lava.simulate.engine.plan.operation import Operation, Rows, Task


@dataclass(frozen=True)
class Step:
    """An operation bound to memory.

    Parameters
    ----------
    operation : Operation
        What it is.
    task : callable
        What computes rows of it.
    waits : bool
        Whether all threads have to have come here before.
    shares : tuple of tuple of int
        Rows of each thread.
    """

    operation: Operation
    task: Task
    waits: bool
    shares: tuple[Rows, ...]


def work_through(steps: Sequence[Step], workers: int) -> None:
    """Do all steps; the calling thread is the first worker.

    Threads are made for each call: a pool would be missing in a process that was forked.

    Raises
    ------
    Exception
        The first one that a step raised; the other threads have then ended, too.
    """
    if workers == 1:
        for step in steps:
            _do(step, 0)
        return
    barrier = threading.Barrier(workers)
    errors: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            with one_thread_each():
                for step in steps:
                    if step.waits:
                        barrier.wait()
                    _do(step, worker)
        except threading.BrokenBarrierError:
            # Another thread has failed and says why.
            return
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    helpers = [
        threading.Thread(target=work, args=(worker,), name=f"engine-{worker}", daemon=True)
        for worker in range(1, workers)
    ]
    for helper in helpers:
        helper.start()
    work(0)
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let torch's operators use the calling thread only, while there are several like it.

    `torch.set_num_threads` would do so for all threads, and takes milliseconds.
    """
    # A new thread takes over torch's number at its first use, and keeps its own from then on.
    torch.get_num_threads()
    with _openmp().limit(limits=1):
        yield


@cache
def _openmp() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="openmp")


def _do(step: Step, worker: int) -> None:
    rows = step.shares[worker]
    if rows[0] < rows[1]:
        step.task(rows, worker)
