"""Check that no output file is also an input file or written twice."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sdt_lava.io.files import OutputError

_ALLOWED = "a path of its own for every file that is written, apart from what is read"
_REMEDY = "choose another name or folder"


@dataclass(frozen=True)
class Place:
    """A file or folder that a command reads or writes.

    Parameters
    ----------
    label : str
        Name in errors, such as '--out'.
    path : str
        The path as the user wrote it.
    beside : tuple of str
        For an output file: suffixes of other files that are written beside it.
    inside : tuple of str
        For an output folder: patterns of the files in it, relative to the folder.
    """

    label: str
    path: str
    beside: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.label} {self.path}"

    def files(self) -> Iterator[str]:
        """Yield the paths that are written; of the files in a folder, only existing ones."""
        yield self.path
        for suffix in self.beside:
            yield f"{self.path}{suffix}"
        folder = Path(self.path)
        for pattern in self.inside:
            with suppress(OSError, ValueError):
                yield from map(str, folder.glob(pattern))

    def will_hold(self, path: str) -> bool:
        """Return whether a path is one of the files that are written into this folder."""
        with suppress(OSError, ValueError):
            relative = os.path.relpath(os.path.realpath(path), os.path.realpath(self.path))
            return any(fnmatchcase(relative, pattern) for pattern in self.inside)
        return False


def check_separate(reads: Sequence[Place], writes: Sequence[Place]) -> None:
    """Check, before any work is done, that no output is also an input or written twice.

    Different paths may lead to the same file: through symbolic and hard links, or on a
    case-insensitive file system. Files that do not exist yet are compared by name, ignoring case.

    Parameters
    ----------
    reads : sequence of Place
        Input files, or folders into which nothing may be written.
    writes : sequence of Place
        Output files, or folders with the files that will be written into them.

    Raises
    ------
    OutputError
        If two of them conflict; the message names both.
    """
    for position, output in enumerate(writes):
        for path in output.files():
            for other in reads:
                if _is_same(path, other.path):
                    raise _clash(output, path, f"{other}, which is read")
                if _is_inside(path, other.path):
                    problem = f"inside {other}, which is read"
                    raise OutputError(_name(output, path), problem, _ALLOWED, _REMEDY)
            for other in writes[:position]:
                is_taken = other.will_hold(path) or any(
                    _is_same(path, file) for file in other.files()
                )
                if is_taken or output.will_hold(other.path):
                    raise _clash(output, path, f"{other}, which is also written")


def _clash(output: Place, path: str, other: str) -> OutputError:
    return OutputError(_name(output, path), f"the same file as {other}", _ALLOWED, _REMEDY)


def _name(output: Place, path: str) -> str:
    return str(output) if path == output.path else f"{output} ({path})"


def _is_same(first: str, second: str) -> bool:
    first_status, second_status = _status(first), _status(second)
    if first_status is not None and second_status is not None:
        return os.path.samestat(first_status, second_status)
    return first_status is second_status and _key(first) == _key(second) is not None


def _is_inside(path: str, folder: str) -> bool:
    """Return whether a path lies inside an existing folder, after resolving links."""
    if not os.path.isdir(folder):
        return False
    with suppress(OSError, ValueError):
        folder_status = os.stat(folder)
        for parent in Path(os.path.realpath(path)).parents:
            status = _status(str(parent))
            if status is not None and os.path.samestat(status, folder_status):
                return True
    return False


def _status(path: str) -> os.stat_result | None:
    with suppress(OSError, ValueError):
        return os.stat(path)
    return None


def _key(path: str) -> tuple[str, str] | None:
    """Return folder and name of a file that does not exist, without links and in lower case."""
    with suppress(OSError, ValueError):
        folder, name = os.path.split(os.path.realpath(path))
        return folder, unicodedata.normalize("NFC", name).casefold()
    return None
