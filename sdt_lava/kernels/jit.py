"""Compile functions with numba and cache the machine code on disk if possible."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

import llvmlite
import numba
from llvmlite.binding import ffi
from numba import njit
from numba.core import config
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher

from sdt_lava.support.forks import PATIENCE

logger = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parents[1]
# Settings of numba that affect machine code.
_SETTINGS = ("BOUNDSCHECK", "DEBUGINFO_DEFAULT", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE")
_DIGEST_BYTES = hashlib.sha256().digest_size


@cache
def kernel_sources() -> tuple[Path, ...]:
    """Return the modules that contain code and constants of compiled functions."""
    return (_PACKAGE / "ir" / "numerics.py", *sorted(_PACKAGE.glob("kernels/*.py")))


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for path in kernel_sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _CheckedFiles(IndexDataCacheFile):
    """Numba's two kinds of cache files with digests, safe for concurrent processes.

    Numba unpickles any file content and numbers files in the order in which processes read the
    index. If two processes compile for different types or processors at the same time, one may find
    the machine code of the other under its own entry. Here, a file is named after its key and also
    contains it. Files that do not match their digest are ignored.
    """

    def save(self, key: Any, data: Any) -> None:
        """Save an entry. A concurrently written index loses at most one entry."""
        name = self._name_of(key)
        overloads = self._load_index()
        if overloads.get(key) != name:
            self._save_index({**overloads, key: name})
        self._write(self._data_path(name), (self._source_stamp, key, data))

    def load(self, key: Any) -> Any:
        """Load an entry; return None if it is missing, damaged or built from other sources."""
        if key not in self._load_index():
            return None
        content = self._read(self._data_path(self._name_of(key)))
        if not isinstance(content, tuple) or len(content) != 3:
            return None
        stamp, saved_key, data = content
        return data if (stamp, saved_key) == (self._source_stamp, key) else None

    def _name_of(self, key: Any) -> str:
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        return self._data_name_pattern.replace("{number:d}", digest)

    def _load_index(self) -> dict[Any, str]:
        content = self._read(self._index_path)
        if not isinstance(content, tuple) or len(content) != 2 or content[0] != self._source_stamp:
            return {}
        return dict(content[1])

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._source_stamp, overloads))

    def _write(self, path: str, content: Any) -> None:
        body = numba.__version__.encode() + b"\n" + self._dump(content)
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(body).digest() + body)

    def _read(self, path: str) -> Any:
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.info("compiled again, for %s cannot be read: %s", path, error)
            return None
        digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        version, _, content = body.partition(b"\n")
        if hashlib.sha256(body).digest() != digest:
            logger.info("compiled again, for %s is damaged", path)
            return None
        return pickle.loads(content) if version.decode() == numba.__version__ else None


class _CacheIfPossible(FunctionCache):
    """Numba's cache, which is invalid as soon as any kernel changes.

    Numba checks only the file of the function itself, although its machine code contains all
    functions that it calls. A full or read-only disk or damaged files only cost time and do not
    fail the run.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _CheckedFiles(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(self._impl.locator.get_source_stamp(), _digest()),
        )

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        # Numba's key contains types, processor and bytecode; settings also affect the machine code.
        settings = tuple((name, repr(getattr(config, name, None))) for name in _SETTINGS)
        return (*super()._index_key(sig, codegen), llvmlite.__version__, settings)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # intact, but written by a different numba or LLVM
            logger.info("%s is compiled again: %r", self, error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            logger.info("%s is compiled again next time: %s", self, error)


class _CompilersLocks:
    """Hooks that hold the locks of numba and LLVM during a fork.

    Otherwise, a child could neither compile nor load functions. A compilation in another thread is
    finished first.
    """

    def __init__(self) -> None:
        # Numba holds its own lock while it acquires LLVM's.
        self._places = [(global_compiler_lock, "_lock")]
        llvm = getattr(ffi.lib, "_lock", None)
        if hasattr(llvm, "_lock"):
            self._places.append((llvm, "_lock"))
        self._held = threading.local()
        os.register_at_fork(
            before=self._acquire, after_in_parent=self._release, after_in_child=self._renew
        )

    def _acquire(self) -> None:
        self._held.locks = [
            lock
            for place, name in self._places
            if (lock := getattr(place, name)).acquire(timeout=PATIENCE)
        ]

    def _release(self) -> None:
        for lock in reversed(self._held.locks):
            lock.release()

    def _renew(self) -> None:
        self._release()
        if len(self._held.locks) < len(self._places):
            for place, name in self._places:
                setattr(place, name, threading.RLock())


_compilers_locks = _CompilersLocks()


@cache
def combination() -> str:
    """Describe everything that affects machine code: compiler, processor, settings, sources."""
    from llvmlite import binding

    processor = config.CPU_NAME or binding.get_host_cpu_name()
    features = config.CPU_FEATURES
    if features is None:
        features = binding.get_host_cpu_features().flatten()
    settings = (f"{name}={getattr(config, name, None)!r}" for name in _SETTINGS)
    digest = hashlib.sha256(features.encode()).hexdigest()[:8]
    versions = f"numba {numba.__version__}, llvmlite {llvmlite.__version__}"
    return f"{versions}, {processor} {digest}, {' '.join(settings)}, sources {_digest()[:16]}"


def cache_folder(function: Any) -> Path | None:
    """Return the directory with the cached machine code of a function, or None."""
    path = getattr(function._cache, "cache_path", None)
    return None if path is None else Path(path)


def jit(function: Callable[..., Any]) -> Any:
    """Compile a function with numba to run without the interpreter lock.

    The machine code is cached as with numba's ``cache=True``. If the cache cannot be written, for
    which numba would raise an exception, the function is compiled in every process.
    """
    dispatcher: Any = njit(nogil=True)(function)
    with suppress(RuntimeError, OSError):  # no directory for the cache
        dispatcher._cache = _CacheIfPossible(function)
    return dispatcher


def resolved(kernel: Any, *examples: Any) -> Callable[..., Any]:
    """Return the machine code of a kernel for arguments of the types of some examples.

    A call of the kernel itself looks at the types of all arguments, which for named tuples takes
    longer than the rest of a call. The returned function does not check its arguments, which must
    have exactly these types, with arrays in the same memory order.
    """
    if not isinstance(kernel, Dispatcher):
        return cast(Callable[..., Any], kernel)
    return cast(Callable[..., Any], kernel.compile(tuple(kernel.typeof_pyval(x) for x in examples)))
