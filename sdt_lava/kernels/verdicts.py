"""Which compiled kernels are exact on this machine: tried once, and noted.

LLVM decides by version and processor what becomes of a loop, and has been wrong before. So a kernel
is tried before its first use in every new combination of numba, llvmlite, processor, settings and
sources. What it got right is noted beside numba's machine code.
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
# What was found in this process, by kernel: '' where everything was right.
_VERDICTS: dict[str, str] = {}


def is_exact(name: str, problem: Callable[[], str]) -> bool:
    """Whether a kernel has been exact, here or in an earlier process.

    Parameters
    ----------
    name : str
        Name of the kernel.
    problem : callable
        Tries it, where that has not been done, and returns what is wrong; '' if nothing.
    """
    if name not in _VERDICTS:
        _VERDICTS[name] = "" if name in _noted() else _tried(name, problem)
    return not _VERDICTS[name]


def _tried(name: str, problem: Callable[[], str]) -> str:
    try:
        found = problem()
    # Whatever a compiler that does not fit may do.
    except Exception as error:
        found = f"fails ({type(error).__name__}: {str(error)[:200]})"
    if found:
        logger.warning("kernel %s is not used: it %s (%s)", name, found, combination())
    else:
        logger.info("kernel %s is exact on %s", name, combination())
        _note(name)
    return found


def _place() -> Path | None:
    """Return the file of what was right in this combination, if there is a folder for it."""
    folder = cache_folder(fire_rows)
    digest = sha256(combination().encode()).hexdigest()[:16]
    return None if folder is None else folder / _FILE.format(digest)


def _noted() -> frozenset[str]:
    """Return the kernels that were right; a file that is damaged says nothing."""
    path = _place()
    if path is None:
        return frozenset()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return frozenset(found["exact"]) if found["combination"] == combination() else frozenset()
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
