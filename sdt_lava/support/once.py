"""Properties that are computed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functools import cached_property
else:

    class cached_property:
        """``functools.cached_property`` without its lock, as from Python 3.12 on.

        That lock is one for all instances. If another thread holds it while the process is forked,
        the child waits for it for ever. Without it two threads may compute a value at the same
        time; both get the one that is there first.

        Parameters
        ----------
        function : callable
            Computes the value of an instance that never changes.
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
