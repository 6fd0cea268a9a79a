"""Opening files that are read, and writing files all or nothing."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

from sdt_lava.errors import SdtLavaError

_ALLOWED = "a path in an existing, writable folder"
_ALLOWED_FOLDER = "a folder that is writable, or can be made"

# What a path may lead to instead of a regular file.
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO (pipe)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}
# Device and inode of the files that a command reads: none of its outputs may replace them.
_protected: ContextVar[frozenset[tuple[int, int]]] = ContextVar("protected", default=frozenset())


class OutputError(SdtLavaError):
    """A file that cannot be written."""


def open_regular(
    path: str | os.PathLike[str], error_type: type[SdtLavaError], allowed: str = "a regular file"
) -> BinaryIO:
    """Open a file for reading if it is a regular one, without ever waiting for another process.

    What is checked is what is opened, whatever becomes of the name in the meantime.

    Parameters
    ----------
    path : path-like
        The file.
    error_type : type of SdtLavaError
        Raised for a folder, FIFO, socket or device.
    allowed : str
        What the error says is allowed.

    Raises
    ------
    error_type
        If it is no regular file.
    OSError
        If it cannot be opened, or there cannot be such a name.
    """
    # Opening a device may already do something, so the name is looked at first.
    check_regular(path, error_type, allowed)
    with _possible(path):
        # Opening a FIFO would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _check_kind(os.fstat(descriptor), path, error_type, allowed)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_regular(
    path: str | os.PathLike[str], error_type: type[SdtLavaError], allowed: str = "a regular file"
) -> os.stat_result:
    """Check that a file which another library opens is a regular one, and return its status.

    Parameters and errors as of `open_regular`.
    """
    with _possible(path):
        found = os.stat(path)
    _check_kind(found, path, error_type, allowed)
    return found


@contextmanager
def _possible(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what Python says about a null byte, or a letter that no name can hold."""
    try:
        yield
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file name ({error})", str(path)) from error


def _check_kind(
    found: os.stat_result,
    path: str | os.PathLike[str],
    error_type: type[SdtLavaError],
    allowed: str,
) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        remedy = "" if kind == stat.S_IFDIR else "copy what it gives to a file, and name that"
        what = _KINDS.get(kind, "something else")
        raise error_type(str(path), f"not a regular file but {what}", allowed, remedy)


@contextmanager
def protecting(paths: Iterable[str | os.PathLike[str]]) -> Iterator[None]:
    """Let nothing that is written here replace these files: they are what a command reads.

    Names that lead nowhere protect nothing.
    """
    found = set()
    for path in paths:
        with suppress(OSError, ValueError):
            status = os.stat(path)
            found.add((status.st_dev, status.st_ino))
    token = _protected.set(_protected.get() | found)
    try:
        yield
    finally:
        _protected.reset(token)


@contextmanager
def replacing(
    path: str | os.PathLike[str], error_type: type[SdtLavaError] = OutputError
) -> Iterator[Path]:
    """Give a temporary name next to ``path``; it takes its place afterwards.

    On any failure the temporary file is removed and what was at ``path`` is left as it was. If
    ``path`` is a symbolic link, what it points to is replaced.

    Parameters
    ----------
    path : path-like
        Where the file shall be in the end.
    error_type : type of SdtLavaError
        Raised if it cannot be written.
    """
    temporary: Path | None = None
    try:
        target = _checked_target(path, error_type)
        temporary = target.with_name(f".{target.name[:32]}.{secrets.token_hex(8)}.tmp")
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, target)
        with suppress(OSError):  # some file systems cannot do this for a directory
            _flush_to_disk(target.parent)
    except (OSError, RuntimeError, ValueError) as error:
        raise error_type(str(path), f"cannot be written: {_reason(error)}", _ALLOWED) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check that a file can be written, before work is done whose result it shall hold.

    Raises
    ------
    OutputError
        If it cannot.
    """
    with _typed(path, _ALLOWED):
        target = _checked_target(path, OutputError)
        # Without the right to search it, nothing can be made in a folder, either.
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise OutputError(str(path), "the folder is write-protected", _ALLOWED)


def check_folder(path: str | os.PathLike[str]) -> None:
    """Check that a folder is there or can be made, before work is done whose result it shall hold.

    Raises
    ------
    OutputError
        If it cannot.
    """
    with _typed(path, _ALLOWED_FOLDER):
        folder = Path(_real(path))
        # Not `os.path.lexists`, which takes what may not be looked at for what is not there.
        existing = next(parent for parent in (folder, *folder.parents) if _is_there(parent))
        _check_name(folder, existing)
        if not existing.is_dir():
            raise OutputError(str(path), f"{str(existing)!r} is not a folder", _ALLOWED_FOLDER)
        if not os.access(existing, os.W_OK | os.X_OK):
            raise OutputError(str(path), f"{str(existing)!r} is write-protected", _ALLOWED_FOLDER)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder, and those around it, unless it exists.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    folder = Path(path)
    with _typed(path, _ALLOWED_FOLDER, "cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _typed(
    path: str | os.PathLike[str], allowed: str, found: str = "cannot be written"
) -> Iterator[None]:
    """Turn what the operating system, or Python, says about a name into an `OutputError`."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise OutputError(str(path), f"{found}: {_reason(error)}", allowed) from error


def _real(path: str | os.PathLike[str]) -> str:
    """Return the path without symbolic links.

    Raises
    ------
    OSError
        If links lead in a circle, which `os.path.realpath` returns as they are.
    """
    text = os.fspath(path)
    if not text:
        raise OSError(errno.ENOENT, "an empty name")
    target = os.path.realpath(text)
    if os.path.islink(target):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _is_there(path: Path) -> bool:
    """Tell whether a path exists; raises `OSError` if that may not be known."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _check_name(folder: Path, existing: Path) -> None:
    """Raise `OSError` if the file system cannot hold the names of folders that are to be made."""
    longest = os.pathconf(existing, "PC_NAME_MAX")
    if any(len(os.fsencode(part)) > longest for part in folder.relative_to(existing).parts):
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))


def _checked_target(path: str | os.PathLike[str], error_type: type[SdtLavaError]) -> Path:
    if os.fspath(path).endswith("/"):
        raise error_type(str(path), "ends like a folder", _ALLOWED, "leave the / at its end out")
    target = Path(_real(path))
    try:
        found = os.stat(target)
    except (FileNotFoundError, NotADirectoryError):
        found = None
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise error_type(str(path), "exists and is not a regular file", _ALLOWED)
    if not target.parent.is_dir():
        raise error_type(
            str(path),
            f"the folder {str(target.parent)!r} does not exist",
            _ALLOWED,
            "create the folder first",
        )
    if found is not None:
        if (found.st_dev, found.st_ino) in _protected.get():
            raise error_type(str(path), "a file that is read here", "another file than the inputs")
        if not os.access(target, os.W_OK):
            raise error_type(str(path), "the file there is write-protected", _ALLOWED)
    return target


def _reason(error: BaseException) -> str:
    """Return what the operating system said, if it is behind another error, as in torch.save."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError):
            return link.strerror or str(link)
        link = link.__context__
    return str(error)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write plain values as indented JSON, all or nothing.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
