"""Whether a file that shall be written is one that is read, or is to be written twice."""

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
        What errors call it, such as '--out'.
    path : str
        As it was given.
    beside : tuple of str
        Of a file that is written: suffixes of others that are written beside it.
    inside : tuple of str
        Of a folder that is written: patterns of the files in it, relative to it.
    """

    label: str
    path: str
    beside: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.label} {self.path}"

    def files(self) -> Iterator[str]:
        """Yield the paths that are written, of a folder those that are there already."""
        yield self.path
        for suffix in self.beside:
            yield f"{self.path}{suffix}"
        folder = Path(self.path)
        for pattern in self.inside:
            with suppress(OSError, ValueError):
                yield from map(str, folder.glob(pattern))

    def will_hold(self, path: str) -> bool:
        """Tell whether a path is that of a file which is written into this folder."""
        with suppress(OSError, ValueError):
            relative = os.path.relpath(os.path.realpath(path), os.path.realpath(self.path))
            return any(fnmatchcase(relative, pattern) for pattern in self.inside)
        return False


def check_separate(reads: Sequence[Place], writes: Sequence[Place]) -> None:
    """Check that nothing which is written is read, or written twice, before anything is done.

    Two paths are one file whatever they look like: through symbolic and hard links, and where
    the file system does not distinguish letters. Files that are not there yet are compared by
    their names, without regard to case.

    Parameters
    ----------
    reads : sequence of Place
        Files, or folders into which nothing may be written.
    writes : sequence of Place
        Files, or folders with the files that will be in them.

    Raises
    ------
    OutputError
        Naming both.
    """
    for position, output in enumerate(writes):
        for path in output.files():
            for other in reads:
                if _is_same(path, other.path):
                    raise _clash(output, path, f"{other}, which is read")
                if _is_inside(path, other.path):
                    found = f"inside {other}, which is read"
                    raise OutputError(_name(output, path), found, _ALLOWED, _REMEDY)
            for other in writes[:position]:
                taken = other.will_hold(path) or any(_is_same(path, file) for file in other.files())
                if taken or output.will_hold(other.path):
                    raise _clash(output, path, f"{other}, which is also written")


def _clash(output: Place, path: str, other: str) -> OutputError:
    return OutputError(_name(output, path), f"the same file as {other}", _ALLOWED, _REMEDY)


def _name(output: Place, path: str) -> str:
    return str(output) if path == output.path else f"{output} ({path})"


def _is_same(first: str, second: str) -> bool:
    one, other = _status(first), _status(second)
    if one is not None and other is not None:
        return os.path.samestat(one, other)
    return one is other and _key(first) == _key(second) is not None


def _is_inside(path: str, folder: str) -> bool:
    """Tell whether a path lies below a folder that exists, whatever the two look like."""
    if not os.path.isdir(folder):
        return False
    with suppress(OSError, ValueError):
        of_folder = os.stat(folder)
        for parent in Path(os.path.realpath(path)).parents:
            status = _status(str(parent))
            if status is not None and os.path.samestat(status, of_folder):
                return True
    return False


def _status(path: str) -> os.stat_result | None:
    with suppress(OSError, ValueError):
        return os.stat(path)
    return None


def _key(path: str) -> tuple[str, str] | None:
    """Return folder and name of a file that is not there: links are followed, case is dropped."""
    with suppress(OSError, ValueError):
        folder, name = os.path.split(os.path.realpath(path))
        return folder, unicodedata.normalize("NFC", name).casefold()
    return None
