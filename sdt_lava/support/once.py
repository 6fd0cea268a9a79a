"""A cached property without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functools import cached_property
else:

    class cached_property:
        """Cache the value of a property, like ``functools.cached_property`` but without its lock.

        Before Python 3.12, all instances share that lock. If another thread holds it while the
        process forks, the child deadlocks. Without the lock, two threads may compute the value
        at the same time; both then return the value that was stored first.

        Parameters
        ----------
        function : callable
            Computes the value from an immutable instance.
        """

        def __init__(self, function: Callable[[Any], Any]) -> None:
            self._function = function
            self.__doc__ = function.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self._name = name

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            values = instance.__dict__
            if self._name not in values:
                return values.setdefault(self._name, self._function(instance))
            return values[self._name]


__all__ = ["cached_property"]
