"""What torch keeps for a whole process, changed in this module only, and put back.

Some of torch's switches belong to the process, and the mode of a module to whoever holds it. Two
threads that save, set and restore them by themselves leave them as one of them found them in the
middle. Here the first one that needs a change saves what there was, and the last one restores it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from itertools import count

import torch
from torch import nn

from sdt_lava.errors import ConfigError
from sdt_lava.support.forks import ForkSafeLock, NoForkInside
from sdt_lava.support.interruption import Interruption
from sdt_lava.support.torch_precision import multiply_exactly

Undo = Callable[[], None]


class SharedChanges:
    """Changes that last for as long as somebody needs them."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        # Who needs a change, as thread and number, and what undoes it.
        self._needed: dict[Hashable, tuple[set[tuple[int, int]], Undo]] = {}
        os.register_at_fork(after_in_child=self._forget_other_threads)

    @contextmanager
    def held(self, key: Hashable, change: Callable[[], Undo]) -> Iterator[None]:
        """Keep a change during the block.

        Parameters
        ----------
        key : hashable
            Which one.
        change : callable
            Makes it, and returns what undoes it, and may be called twice.
        """
        need = _Need(self, key)
        try:
            with Interruption():
                self.begin(key, need.user, change)
            yield
        finally:
            need.end()

    def begin(self, key: Hashable, user: tuple[int, int], change: Callable[[], Undo]) -> None:
        """Make a change, if nobody else has needed it so far."""
        with self._lock.held():
            if key not in self._needed:
                self._needed[key] = set(), change()
            self._needed[key][0].add(user)

    def end(self, key: Hashable, user: tuple[int, int]) -> None:
        """Undo a change if nobody else needs it; works twice."""
        with self._lock.held():
            users, undo = self._needed.get(key, (set(), None))
            users.discard(user)
            if undo is not None and not users:
                undo()
                self._needed.pop(key, None)

    def _forget_other_threads(self) -> None:
        """Undo in a forked child what threads needed that are not there."""
        alive = threading.get_ident()
        for key, (users, undo) in list(self._needed.items()):
            users -= {user for user in users if user[0] != alive}
            if not users:
                undo()
                del self._needed[key]


class _Need:
    """That somebody needs a change: it ends with this object at the latest.

    A signal may interrupt the end of a block, too; what is left of the block is then deleted.
    """

    _numbers = count()
    # An interruption may leave an object that was never made: it needs nothing.
    _has_ended = True

    def __init__(self, changes: SharedChanges, key: Hashable) -> None:
        self.user = threading.get_ident(), next(self._numbers)
        self._changes, self._key, self._has_ended = changes, key, False

    def end(self) -> None:
        self._changes.end(self._key, self.user)
        self._has_ended = True

    def __del__(self) -> None:
        if not self._has_ended:
            self.end()


_changes = SharedChanges()


# Torch and the libraries inside it have locks, too, which they hold while they prepare a kernel.
inside_torch = NoForkInside().block


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Keep torch from trading exactness for speed, whatever it was told before."""
    # Autocast belongs to the thread.
    with _changes.held("exact", _be_exact), torch.no_grad(), torch._C._DisableAutocast():
        yield


def _be_exact() -> Undo:
    was_enabled = torch.backends.nnpack.set_flags(False)
    put_back = multiply_exactly()

    def undo() -> None:
        put_back()
        torch.backends.nnpack.set_flags(*was_enabled)

    return undo


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Have a model in eval mode, without gradients; each of its modules is put back afterwards."""

    def evaluate() -> Undo:
        undo = modes_of(model)
        model.eval()
        return undo

    with _changes.held(("evaluating", id(model)), evaluate), torch.no_grad():
        yield


def modes_of(model: nn.Module) -> Undo:
    """Return what puts every module of a model back into the mode it is in now."""
    modes = [(module, module.training) for module in model.modules()]

    def undo() -> None:
        for module, training in modes:
            module.training = training

    return undo


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch compute with some threads.

    Raises
    ------
    ConfigError
        In a process that was forked, for more than one: torch's threads would not be there, and it
        would wait for them.
    """
    if number > 1 and _is_forked:
        remedy = "1 thread, or start the process by 'spawn' in place of 'fork'"
        raise ConfigError("threads", f"{number} in a process that was forked", "1", remedy)

    with _changes.held("threads", _remember_threads):
        torch.set_num_threads(number)
        try:
            yield
        finally:
            # Each thread has a number of its own, and a new one takes over the one set last.
            torch.set_num_threads(_threads_before)


_threads_before = 1


def _remember_threads() -> Undo:
    global _threads_before
    before = _threads_before = torch.get_num_threads()
    return lambda: torch.set_num_threads(before)


_random_numbers = ForkSafeLock()


@contextmanager
def random_numbers_apart(seed: int | None = None) -> Iterator[None]:
    """Leave torch's random numbers as they were, and those inside to one thread.

    Parameters
    ----------
    seed : int, optional
        Where they start.
    """
    with _random_numbers.held(), torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        yield


_is_forked = False


def _use_one_thread() -> None:
    """Let a forked child compute with its only thread.

    OpenMP's threads are those of the parent. Torch would wait for them for ever.
    """
    global _is_forked
    _is_forked = True
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)


os.register_at_fork(after_in_child=_use_one_thread)
