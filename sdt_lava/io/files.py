"""Open regular files safely, and write files atomically."""

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

# Names of the file types other than regular files.
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO (pipe)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}
# Device and inode of a command's input files, which its outputs must not replace.
_protected: ContextVar[frozenset[tuple[int, int]]] = ContextVar("protected", default=frozenset())


class OutputError(SdtLavaError):
    """A file that cannot be written."""


def open_regular(
    path: str | os.PathLike[str], error_type: type[SdtLavaError], allowed: str = "a regular file"
) -> BinaryIO:
    """Open a regular file for reading, without ever waiting for another process.

    The check applies to the opened file, even if the path is replaced in the meantime.

    Parameters
    ----------
    path : path-like
        The file.
    error_type : type of SdtLavaError
        Raised for a folder, FIFO, socket or device.
    allowed : str
        What the error states as allowed.

    Raises
    ------
    error_type
        If it is not a regular file.
    OSError
        If it cannot be opened, or the name is not valid.
    """
    # Check the path first: merely opening a device can have side effects.
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
    """Check that a path leads to a regular file, for another library to open; return its status.

    Parameters and errors are those of `open_regular`.
    """
    with _possible(path):
        status = os.stat(path)
    _check_kind(status, path, error_type, allowed)
    return status


@contextmanager
def _possible(path: str | os.PathLike[str]) -> Iterator[None]:
    """Convert Python's ValueError about a null byte or an unencodable character to OSError."""
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
        description = _KINDS.get(kind, "something else")
        raise error_type(str(path), f"not a regular file but {description}", allowed, remedy)


@contextmanager
def protecting(paths: Iterable[str | os.PathLike[str]]) -> Iterator[None]:
    """Prevent writes inside the block from replacing these files, a command's inputs.

    Paths that do not exist are ignored.
    """
    identities = set()
    for path in paths:
        with suppress(OSError, ValueError):
            status = os.stat(path)
            identities.add((status.st_dev, status.st_ino))
    token = _protected.set(_protected.get() | identities)
    try:
        yield
    finally:
        _protected.reset(token)


@contextmanager
def replacing(
    path: str | os.PathLike[str], error_type: type[SdtLavaError] = OutputError
) -> Iterator[Path]:
    """Yield a temporary path next to ``path``, and move that file to ``path`` after the block.

    On any failure, the temporary file is removed and ``path`` is left unchanged. If ``path`` is a
    symbolic link, its target is replaced.

    Parameters
    ----------
    path : path-like
        Final path of the file.
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
    """Check that a file can be written, before computing its content.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with _typed(path, _ALLOWED):
        target = _checked_target(path, OutputError)
        # Creating a file in a folder also requires permission to search the folder.
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise OutputError(str(path), "the folder is write-protected", _ALLOWED)


def check_folder(path: str | os.PathLike[str]) -> None:
    """Check that a folder exists or can be created, before computing its content.

    Raises
    ------
    OutputError
        If it cannot be created, or is not writable.
    """
    with _typed(path, _ALLOWED_FOLDER):
        folder = Path(_real(path))
        # Not `os.path.lexists`, which returns False for paths that may not be accessed.
        existing = next(parent for parent in (folder, *folder.parents) if _is_there(parent))
        _check_name(folder, existing)
        if not existing.is_dir():
            raise OutputError(str(path), f"{str(existing)!r} is not a folder", _ALLOWED_FOLDER)
        if not os.access(existing, os.W_OK | os.X_OK):
            raise OutputError(str(path), f"{str(existing)!r} is write-protected", _ALLOWED_FOLDER)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create a folder and its parents, unless it exists.

    Raises
    ------
    OutputError
        If it cannot be created.
    """
    folder = Path(path)
    with _typed(path, _ALLOWED_FOLDER, "cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _typed(
    path: str | os.PathLike[str], allowed: str, found: str = "cannot be written"
) -> Iterator[None]:
    """Convert the exceptions that Python raises for a path to `OutputError`."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise OutputError(str(path), f"{found}: {_reason(error)}", allowed) from error


def _real(path: str | os.PathLike[str]) -> str:
    """Resolve the symbolic links in a path.

    Raises
    ------
    OSError
        If the links form a loop, which `os.path.realpath` leaves unresolved.
    """
    text = os.fspath(path)
    if not text:
        raise OSError(errno.ENOENT, "an empty name")
    target = os.path.realpath(text)
    if os.path.islink(target):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _is_there(path: Path) -> bool:
    """Return whether a path exists; raise `OSError` if permissions hide the answer."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _check_name(folder: Path, existing: Path) -> None:
    """Raise `OSError` if a folder to be created has a name too long for the file system."""
    longest = os.pathconf(existing, "PC_NAME_MAX")
    if any(len(os.fsencode(part)) > longest for part in folder.relative_to(existing).parts):
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))


def _checked_target(path: str | os.PathLike[str], error_type: type[SdtLavaError]) -> Path:
    if os.fspath(path).endswith("/"):
        raise error_type(str(path), "ends like a folder", _ALLOWED, "leave the / at its end out")
    target = Path(_real(path))
    try:
        status = os.stat(target)
    except (FileNotFoundError, NotADirectoryError):
        status = None
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise error_type(str(path), "exists and is not a regular file", _ALLOWED)
    if not target.parent.is_dir():
        raise error_type(
            str(path),
            f"the folder {str(target.parent)!r} does not exist",
            _ALLOWED,
            "create the folder first",
        )
    if status is not None:
        if (status.st_dev, status.st_ino) in _protected.get():
            raise error_type(str(path), "a file that is read here", "another file than the inputs")
        if not os.access(target, os.W_OK):
            raise error_type(str(path), "the file there is write-protected", _ALLOWED)
    return target


def _reason(error: BaseException) -> str:
    """Return the operating system's reason, even if another error wraps it, as in torch.save."""
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
    """Write plain values as indented JSON, atomically.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
