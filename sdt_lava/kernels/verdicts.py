"""Test once which compiled kernels are exact on this machine, and store the results.

The code that LLVM generates for a loop depends on version and processor, and has been wrong before.
Kernels are therefore tested before their first use in every new combination of numba, llvmlite,
processor, settings and sources. Exact kernels are recorded next to numba's machine code.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from sdt_lava.errors import SdtLavaError
from sdt_lava.io.files import replacing
from sdt_lava.kernels.jit import cache_folder, combination
from sdt_lava.kernels.neurons import fire_rows

logger = logging.getLogger(__name__)

_FILE = "exact-{}.json"
# Results in this process by kernel; '' if the kernel is exact.
_VERDICTS: dict[str, str] = {}


def is_exact(name: str, problem: Callable[[], str]) -> bool:
    """Return whether a kernel is exact, according to a test in this or an earlier process.

    Parameters
    ----------
    name : str
        Name of the kernel.
    problem : callable
        Function that tests the kernel and returns an error, or ''. It is called if there is no
        result yet.
    """
    if name not in _VERDICTS:
        _VERDICTS[name] = "" if name in _noted() else _tried(name, problem)
    return not _VERDICTS[name]


def _tried(name: str, problem: Callable[[], str]) -> str:
    try:
        problem_found = problem()
    # An incompatible compiler may raise any exception.
    except Exception as error:
        problem_found = f"fails ({type(error).__name__}: {str(error)[:200]})"
    if problem_found:
        logger.warning("kernel %s is not used: it %s (%s)", name, problem_found, combination())
    else:
        logger.info("kernel %s is exact on %s", name, combination())
        _note(name)
    return problem_found


def _place() -> Path | None:
    """Return the file of exact kernels of this combination, or None without a cache folder."""
    folder = cache_folder(fire_rows)
    digest = sha256(combination().encode()).hexdigest()[:16]
    return None if folder is None else folder / _FILE.format(digest)


def _noted() -> frozenset[str]:
    """Return the kernels recorded as exact; a damaged file is ignored."""
    path = _place()
    if path is None:
        return frozenset()
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return frozenset(record["exact"]) if record["combination"] == combination() else frozenset()
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def _note(name: str) -> None:
    path = _place()
    if path is None:
        return
    content = {"combination": combination(), "exact": sorted({name, *_noted()})}
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    except SdtLavaError as error:
        logger.info("kernel %s is tried again next time: %s", name, error)
