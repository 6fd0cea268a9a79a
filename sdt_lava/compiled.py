"""Functions that numba compiles, kept on disk where there is room."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache

logger = logging.getLogger(__name__)


class _CacheIfPossible(FunctionCache):
    """Numba's cache, except that a disk that is full or read-only costs time and not the run."""

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            logger.info("%s is compiled again next time: %s", self, error)


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function with numba, without the interpreter's lock.

    The machine code is cached as with numba's ``cache=True``. Where nothing can be written, which
    numba answers with an exception, it is compiled in every process.
    """
    dispatcher: Any = njit(nogil=True)(function)
    with suppress(RuntimeError):  # no folder for the cache
        dispatcher._cache = _CacheIfPossible(function)
    return dispatcher
