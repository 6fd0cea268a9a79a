"""Writing files all or nothing."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sdt_lava.errors import SdtLavaError

_ALLOWED = "a path in an existing, writable folder"
_ALLOWED_FOLDER = "a folder that is writable, or can be made"


class OutputError(SdtLavaError):
    """A file that cannot be written."""


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
        temporary = target.with_name(f".{target.name[:64]}.{secrets.token_hex(8)}.tmp")
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
    target = _checked_target(path, OutputError)
    if not os.access(target.parent, os.W_OK):
        raise OutputError(str(path), "the folder is write-protected", _ALLOWED)


def check_folder(path: str | os.PathLike[str]) -> None:
    """Check that a folder is there or can be made, before work is done whose result it shall hold.

    Raises
    ------
    OutputError
        If it cannot.
    """
    folder = Path(os.path.realpath(os.fspath(path)))
    existing = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if not existing.is_dir():
        raise OutputError(str(path), f"{str(existing)!r} is not a folder", _ALLOWED_FOLDER)
    if not os.access(existing, os.W_OK):
        raise OutputError(str(path), f"{str(existing)!r} is write-protected", _ALLOWED_FOLDER)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder, and those around it, unless it exists.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            str(folder), f"cannot be made: {error.strerror}", _ALLOWED_FOLDER
        ) from error
    return folder


def _checked_target(path: str | os.PathLike[str], error_type: type[SdtLavaError]) -> Path:
    target = Path(os.path.realpath(os.fspath(path)))
    if target.exists() and not target.is_file():
        raise error_type(str(path), "exists and is not a regular file", _ALLOWED)
    if not target.parent.is_dir():
        raise error_type(
            str(path),
            f"the folder {str(target.parent)!r} does not exist",
            _ALLOWED,
            "create the folder first",
        )
    if target.exists() and not os.access(target, os.W_OK):
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
