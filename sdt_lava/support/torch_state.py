"""Change torch's process-wide state and restore it; no other module does so.

Some of torch's switches apply to the whole process, and all owners of a module share its mode. If
two threads save, set and restore such state independently, one of them may restore a value that
the other set temporarily. Here, the first thread that needs a change saves the original value, and
the last one restores it.
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
    """Changes that stay in effect for as long as at least one user needs them."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        # For each change: its users, as thread and number, and the function that undoes it.
        self._needed: dict[Hashable, tuple[set[tuple[int, int]], Undo]] = {}
        os.register_at_fork(after_in_child=self._forget_other_threads)

    @contextmanager
    def held(self, key: Hashable, change: Callable[[], Undo]) -> Iterator[None]:
        """Keep a change in effect inside the block.

        Parameters
        ----------
        key : hashable
            Identifies the change.
        change : callable
            Makes the change and returns a function that undoes it. Calling that function twice
            must be safe.
        """
        need = _Need(self, key)
        try:
            with Interruption():
                self.begin(key, need.user, change)
            yield
        finally:
            need.end()

    def begin(self, key: Hashable, user: tuple[int, int], change: Callable[[], Undo]) -> None:
        """Register a user of a change, and make the change if this is its first user."""
        with self._lock.held():
            if key not in self._needed:
                self._needed[key] = set(), change()
            self._needed[key][0].add(user)

    def end(self, key: Hashable, user: tuple[int, int]) -> None:
        """Remove a user of a change, and undo it after the last user; may be called twice."""
        with self._lock.held():
            users, undo = self._needed.get(key, (set(), None))
            users.discard(user)
            if undo is not None and not users:
                undo()
                self._needed.pop(key, None)

    def _forget_other_threads(self) -> None:
        """Undo, in a forked child, the changes that only threads of the parent needed."""
        this_thread = threading.get_ident()
        for key, (users, undo) in list(self._needed.items()):
            users -= {user for user in users if user[0] != this_thread}
            if not users:
                undo()
                del self._needed[key]


class _Need:
    """A user's need for a change, which ends with this object at the latest.

    A signal may also interrupt the end of a block; deleting this object then ends the need.
    """

    _numbers = count()
    # For an object whose constructor was interrupted: it needs nothing.
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


# Torch and its bundled libraries hold locks, too, while they prepare a kernel.
inside_torch = NoForkInside().block


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Keep torch from trading exactness for speed, whatever its current settings are."""
    # Autocast is a setting of the thread.
    with _changes.held("exact", _be_exact), _no_grad(), torch._C._DisableAutocast():
        yield


@contextmanager
def _no_grad() -> Iterator[None]:
    """Disable gradients, and restore their setting even if a signal interrupts torch's change."""
    before = torch.is_grad_enabled()
    try:
        try:
            torch.set_grad_enabled(False)
            yield
        finally:
            torch.set_grad_enabled(before)
    finally:  # if a signal has interrupted the line above
        torch.set_grad_enabled(before)


def _be_exact() -> Undo:
    was_enabled = torch.backends.nnpack.set_flags(False)
    put_back = multiply_exactly()

    def undo() -> None:
        put_back()
        torch.backends.nnpack.set_flags(*was_enabled)

    return undo


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode without gradients, and restore the mode of each module."""

    def evaluate() -> Undo:
        undo = modes_of(model)
        model.eval()
        return undo

    with _changes.held(("evaluating", id(model)), evaluate), _no_grad():
        yield


def modes_of(model: nn.Module) -> Undo:
    """Return a function that restores the current mode of every module of a model."""
    modes = [(module, module.training) for module in model.modules()]

    def undo() -> None:
        for module, training in modes:
            module.training = training

    return undo


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch compute with a given number of threads.

    Raises
    ------
    ConfigError
        If more than one thread is requested in a forked process: torch's threads do not exist
        there, and torch would wait for them.
    """
    if number > 1 and _is_forked:
        remedy = "1 thread, or start the process by 'spawn' instead of 'fork'"
        raise ConfigError("threads", f"{number} in a process that was forked", "1", remedy)

    with _changes.held("threads", _remember_threads):
        torch.set_num_threads(number)
        try:
            yield
        finally:
            # Each thread has its own setting, and a new thread inherits the one set last.
            torch.set_num_threads(_threads_before)


_threads_before = 1


def _remember_threads() -> Undo:
    global _threads_before
    before = _threads_before = torch.get_num_threads()
    return lambda: torch.set_num_threads(before)


_random_numbers = ForkSafeLock()


@contextmanager
def random_numbers_apart(seed: int | None = None) -> Iterator[None]:
    """Restore torch's random state after the block, which only one thread at a time can enter.

    Parameters
    ----------
    seed : int, optional
        Seed of the random numbers inside the block.
    """
    with _random_numbers.held(), torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        yield


_is_forked = False


def _use_one_thread() -> None:
    """Make torch use one thread in a forked child.

    OpenMP's threads exist in the parent only; torch would wait for them indefinitely.
    """
    global _is_forked
    _is_forked = True
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)


os.register_at_fork(after_in_child=_use_one_thread)
