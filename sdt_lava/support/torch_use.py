"""Decide whether a run uses torch, which takes seconds to import and which most runs do not need.

Once torch is imported, its operators are used wherever they are faster.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_SIBLINGS = "topology/thread_siblings_list"


class TorchNeeded(Exception):
    """Raised when a plan requires torch; the message gives the reason."""


def torch_is_loaded() -> bool:
    """Return whether the process has imported torch, or is importing it."""
    return "torch" in sys.modules


@contextmanager
def exact_if_loaded() -> Iterator[None]:
    """Keep torch from trading exactness for speed, if it is loaded."""
    if not torch_is_loaded():
        yield
        return
    from sdt_lava.support.torch_state import exact_arithmetic

    with exact_arithmetic():
        yield


def default_threads() -> int:
    """Return the number of threads that torch uses, or would use if it were loaded."""
    if torch_is_loaded():
        import torch

        return torch.get_num_threads()
    setting = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(setting) if setting.isdecimal() and int(setting) else _cores()


def _cores() -> int:
    """Return the number of physical cores that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cpus = os.sched_getaffinity(0)
    try:
        return len({(_CPUS / f"cpu{number}" / _SIBLINGS).read_text() for number in cpus})
    except OSError:
        return len(cpus)
