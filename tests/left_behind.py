"""Search for what a program may have left behind: processes and shared memory."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

WAIT = 20.0  # [s] generous: the machine may be busy


def stat_fields(pid: str) -> list[str]:
    return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()


def processes_where(field: int, value: int) -> set[int]:
    """Find processes by a field of /proc/<pid>/stat after the name: 1 is parent, 3 is session.

    Not Python's resource tracker, and not what has ended and only waits for init to notice.
    """
    found = set()
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            command, fields = Path("/proc", pid, "cmdline").read_text(), stat_fields(pid)
            is_zombie_of_init = fields[0] == "Z" and fields[1] == "1"
            is_tracker = "resource_tracker" in command
            if int(fields[field]) == value and not is_tracker and not is_zombie_of_init:
                found.add(int(pid))
    return found


def children() -> set[int]:
    return processes_where(1, os.getpid())


def unused_shared_memory() -> set[str]:
    """Segments that nobody maps: other programs may be using theirs right now."""
    segments = {f"/dev/shm/{name}" for name in os.listdir("/dev/shm")}
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            maps = Path("/proc", pid, "maps").read_text()
            segments = {s for s in segments if s not in maps}
    return segments


def becomes(condition: Callable[[], object]) -> bool:
    limit = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True
