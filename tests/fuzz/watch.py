"""Watch what loading a file does beside loading it: other files, programs, code, network."""

from __future__ import annotations

import ctypes
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
# Events of Python that no reader of ours may raise.
_FORBIDDEN = {
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "pickle.find_class",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "webbrowser.open",
}
# Libraries and what the kernel tells about this process.
_SYSTEM = ("/proc", "/sys", "/dev/null", "/dev/urandom", "/dev/shm", "/etc/localtime", "/usr")
_IN_ACCESS, _IN_MODIFY, _IN_OPEN = 0x1, 0x2, 0x20


class AuditHook:
    """Notes forbidden events while it is armed; a hook cannot be removed again."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._folder: Path | None = None
        paths = sysconfig.get_paths().values()
        own = (sys.prefix, sys.base_prefix, os.path.realpath(sys.prefix), str(_REPOSITORY))
        self._readable = (*_SYSTEM, *own, *paths)
        sys.addaudithook(self._hook)

    @contextmanager
    def armed(self, folder: Path) -> Iterator[None]:
        """Note what happens; files below `folder` may be read and written."""
        self.found, self._folder = [], folder
        try:
            yield
        finally:
            self._folder = None

    def _hook(self, event: str, arguments: tuple) -> None:
        folder = self._folder
        if folder is None:
            return
        if event == "open":
            self._opened(folder, *arguments[:3])
        elif event in ("os.remove", "os.rename"):
            if not os.path.realpath(os.fsdecode(arguments[0])).startswith(str(folder)):
                self.found.append(f"{event} {arguments[0]!r}")
        elif event in _FORBIDDEN:
            self.found.append(f"{event} {arguments!r}"[:200])
        elif event == "exec" and getattr(arguments[0], "co_filename", "") == "<string>":
            self.found.append(f"code {arguments[0]!r}"[:200])

    def _opened(self, folder: Path, path: object, mode: object, flags: int | None) -> None:
        if not isinstance(path, (str, bytes)):
            return
        real = os.path.realpath(os.fsdecode(path))
        writes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if real.startswith(str(folder)):
            return
        if writes and not real.startswith(("/dev/null", "/dev/shm")):
            self.found.append(f"wrote {real!r}")
        elif not real.startswith(self._readable):
            self.found.append(f"opened {real!r}")


class Canary:
    """Files that nobody may open, watched by the kernel: C libraries raise no audit events."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify is not available")
        for file in files:
            mask = _IN_ACCESS | _IN_MODIFY | _IN_OPEN
            if libc.inotify_add_watch(self._descriptor, os.fsencode(file), mask) < 0:
                raise OSError(ctypes.get_errno(), f"cannot watch {file}")

    def touched(self) -> bool:
        """Tell whether a file was opened since the last call."""
        try:
            return bool(os.read(self._descriptor, 65_536))
        except BlockingIOError:
            return False
