"""Running something that will fail in a process group of its own, and looking at the remains."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.left_behind import processes_where, unused_shared_memory

_SESSION = 3  # field of /proc/<pid>/stat
# [s] No case needs more; one that takes longer hangs.
LIMIT = 120.0
# [s] What the system may take to clear up after the end of a process.
_CLEARED = 10.0
CRASH = 70  # exit code of a child in which an exception reached the top

Event = Callable[[int], None]


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Parameters
    ----------
    code : int or None
        Exit code, minus the signal that killed it, or None if it hung.
    output, errors : str
        What it wrote.
    seconds : float
        How long it ran.
    remains : list of str
        Processes and shared memory that it left behind.
    """

    code: int | None
    output: str
    errors: str
    seconds: float
    remains: list[str] = field(default_factory=list)

    @property
    def crashed(self) -> bool:
        """Whether it ended in a way that no user should see."""
        return (
            self.code == CRASH
            or "Traceback" in self.errors
            or (self.code is not None and self.code < 0)
        )


class Signal:
    """Tells the parent that a child has come to some point."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def give(self) -> None:
        """In the child: go on only after the parent has had time to act."""
        os.write(self._write, b".")
        time.sleep(0.5)

    def wait(self, seconds: float) -> bool:
        """In the parent: whether the point was reached in this time."""
        import select

        if not select.select([self._read], [], [], seconds)[0]:
            return False
        os.read(self._read, 1)
        return True

    def close(self) -> None:
        """Close both ends."""
        os.close(self._read)
        os.close(self._write)


def run_child(body: Callable[[], object], on_start: Event | None = None) -> Outcome:
    """Fork, run a function there, and wait for it and all processes that it started.

    Parameters
    ----------
    body : callable
        Ends by itself or with SystemExit; anything else is a crash.
    on_start : callable, optional
        Called with the child's process id, while it runs.
    """
    shared = unused_shared_memory()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _be_child(body, output, errors)
        if on_start is not None:
            on_start(pid)
        code = _wait(pid, began + LIMIT)
        seconds = time.monotonic() - began
        remains = _remains(pid, shared)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return Outcome(code, *texts, seconds, remains)


def _be_child(body: Callable[[], object], output: IO[bytes], errors: IO[bytes]) -> None:
    code = CRASH
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(output.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        body()
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 0 if ending.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _wait(pid: int, deadline: float) -> int | None:
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    for member in processes_where(_SESSION, pid) | {pid}:
        os.kill(member, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _remains(session: int, shared: set[str]) -> list[str]:
    """Return what outlives a child, and end it."""
    deadline = time.monotonic() + _CLEARED
    while True:
        processes = processes_where(_SESSION, session)
        segments = unused_shared_memory() - shared
        if not (processes or segments) or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    found = [f"process {pid}" for pid in sorted(processes)] + sorted(segments)
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
    return found


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return every file below a folder, and None for every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }
