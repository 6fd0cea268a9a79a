"""Whether torch takes part in a run: it takes seconds to import, and most runs do without it.

Once somebody has imported it, all of its operators are used wherever they are the faster ones.
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
    """A plan cannot do without torch; the text says why."""


def torch_is_loaded() -> bool:
    """Whether the process has imported torch, or is about to."""
    return "torch" in sys.modules


@contextmanager
def exact_if_loaded() -> Iterator[None]:
    """Keep torch from trading exactness for speed, if it is there."""
    if not torch_is_loaded():
        yield
        return
    from sdt_lava.support.torch_state import exact_arithmetic

    with exact_arithmetic():
        yield


def default_threads() -> int:
    """Return as many threads as torch uses, or would use if it were there."""
    if torch_is_loaded():
        import torch

        return torch.get_num_threads()
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(told) if told.isdecimal() and int(told) else _cores()


def _cores() -> int:
    """Return the cores that this process may use; two threads of one core count once."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    try:
        return len({(_CPUS / f"cpu{number}" / _SIBLINGS).read_text() for number in allowed})
    except OSError:
        return len(allowed)
