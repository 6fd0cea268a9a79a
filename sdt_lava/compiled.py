"""Functions that numba compiles, kept on disk where there is room."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

logger = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parent


@cache
def kernel_sources() -> tuple[Path, ...]:
    """Return the modules that code and constants of compiled functions come from."""
    shared = (_PACKAGE / "compiled.py", _PACKAGE / "numerics.py")
    return (*shared, *sorted(_PACKAGE.glob("**/kernels/*.py")))


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for path in kernel_sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _CacheIfPossible(FunctionCache):
    """Numba's cache, valid as long as no kernel has changed.

    Numba looks at the file of the function itself only, although its machine code contains that of
    all functions it calls. A disk that is full or read-only costs time and not the run.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(self._impl.locator.get_source_stamp(), _digest()),
        )

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
