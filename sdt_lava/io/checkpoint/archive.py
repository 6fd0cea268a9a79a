"""Write torch's zip archives, and read untrusted ones."""

from __future__ import annotations

import os
import pickle
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

from sdt_lava.errors import CheckpointError
from sdt_lava.io.archives import ZipReader, open_zip
from sdt_lava.io.file_kinds import CHECKPOINT, misplaced
from sdt_lava.io.files import open_regular, replacing
from sdt_lava.io.limits import limits, remedy

if TYPE_CHECKING:
    from sdt_lava.io.checkpoint.unpickle import InertClasses

# torch.save does not compress: the members of an archive are no larger than the archive itself.
MAX_EXPANSION_RATIO = 1

_ZIP_MAGIC = b"PK\x03\x04"
_ALLOWED = "archives as torch.save has written them since torch 1.6 (zip)"
_RESAVE = (
    "if you trust the file, load it where it was made and save it again with torch.save(...) of "
    "torch >= 1.6 as a dict of tensors and numbers"
)


def read_archive(path: str | os.PathLike[str], inert: InertClasses | None = None) -> Any:
    """Read a file written by ``torch.save`` without executing code from it.

    Parameters
    ----------
    path : path-like
        The file.
    inert : mapping, optional
        See `TensorUnpickler`.

    Returns
    -------
    object
        Dicts, lists, tuples, numbers, strings and CPU tensors.

    Raises
    ------
    CheckpointError
        If the file is missing, unreadable, damaged, too large, in a format older than zip, or
        contains any other objects.
    """
    where = str(path)
    try:
        with open_regular(path, CheckpointError, "a checkpoint file") as file:
            return _read(file, where, inert)
    except OSError as error:
        raise CheckpointError(
            where, f"cannot be read ({error.strerror or error})", "a readable file"
        ) from error


def is_exactly(value: object, expected: str | int) -> bool:
    """Return whether an entry, possibly a tensor, has exactly the expected type and value."""
    return type(value) is type(expected) and value == expected


def write_archive(path: str | os.PathLike[str], content: Any) -> None:
    """Write plain containers and tensors with ``torch.save``, atomically.

    Raises
    ------
    CheckpointError
        If the file cannot be written; an existing file is then left unchanged.
    """
    import torch

    with replacing(path, CheckpointError) as temporary, open(temporary, "xb") as file:
        torch.save(content, file)


def _read(file: BinaryIO, where: str, inert: InertClasses | None) -> Any:
    magic = file.read(len(_ZIP_MAGIC))
    # Check the start as well: zip archives are recognized by their end, and a file that starts as
    # another format but ends as a zip archive is neither.
    if magic != _ZIP_MAGIC:
        raise _no_checkpoint(where) or CheckpointError(where, _describe(magic), _ALLOWED, _RESAVE)
    size = file.seek(0, os.SEEK_END)
    try:
        _check_limit("checkpoint_bytes", size, "bytes", where)
        limit, advice = limits().checkpoint_entries, remedy("checkpoint_entries")
        with open_zip(file, where, CheckpointError, limit, advice) as archive:
            return _load(archive, _checked_entries(archive, size, where), where, inert)
    except (CheckpointError, ImportError):
        raise
    except zipfile.BadZipFile as error:
        raise CheckpointError(
            where, f"an incomplete or damaged zip archive ({error})", _ALLOWED, "copy it again"
        ) from error
    # A malicious pickle or zip directory can raise any exception, including MemoryError and
    # RecursionError. At this boundary, all of them become CheckpointError.
    except Exception as error:
        reason = str(error)[:200] or type(error).__name__
        raise CheckpointError(
            where,
            f"damaged, or more than data: {reason}",
            "containers, numbers, text and tensors",
            _RESAVE,
        ) from error


def _no_checkpoint(where: str) -> CheckpointError | None:
    """Return an error for a file of another known kind, or None."""
    other = misplaced(where, CHECKPOINT)
    return other and CheckpointError(where, other[0], "a checkpoint", other[1])


def _describe(magic: bytes) -> str:
    if not magic:
        return "an empty file"
    if magic[:1] == b"\x80":
        return "a bare pickle (the format of torch before 1.6), which can run code when it is read"
    return "not a zip archive (perhaps the tar format of torch before 0.4, or another program's)"


def _checked_entries(archive: ZipReader, size: int, where: str) -> dict[str, zipfile.ZipInfo]:
    entries = archive.entries
    compressed_entries = [entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if compressed_entries:
        raise CheckpointError(
            where,
            f"{len(compressed_entries)} compressed entries",
            "entries stored without compression, as torch.save writes them",
            "unpack the archive and pack it again without compression (zip -0), if you trust it",
        )
    total_size = sum(entry.file_size for entry in entries)
    if total_size > size * MAX_EXPANSION_RATIO:
        raise CheckpointError(
            where,
            f"entries of {total_size} bytes together in a file of {size}",
            f"at most {MAX_EXPANSION_RATIO} times the file's size",
        )
    by_name = {entry.filename: entry for entry in entries}
    if len(by_name) != len(entries):
        raise CheckpointError(where, "two entries of one name", "each name once")
    return by_name


def _check_limit(name: str, found: int, what: str, where: str) -> None:
    limit = getattr(limits(), name)
    if found > limit:
        raise CheckpointError(where, f"{found} {what}", f"at most {limit}", remedy(name))


def _load(
    archive: ZipReader,
    entries: dict[str, zipfile.ZipInfo],
    where: str,
    inert: InertClasses | None,
) -> Any:
    pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise _no_checkpoint(where) or CheckpointError(
            where,
            "a zip archive that torch.save has not written",
            "one entry <name>/data.pkl",
            "pass the .pt file; TorchScript archives are not supported",
        )
    root = pickles[0].removesuffix("data.pkl")
    structure_size = entries[pickles[0]].file_size
    _check_limit("checkpoint_structure_bytes", structure_size, "bytes of structure", where)
    if f"{root}byteorder" in entries and archive.read(entries[f"{root}byteorder"]) != b"little":
        raise CheckpointError(where, "tensors in big-endian byte order", "little-endian", _RESAVE)

    def read_record(key: str) -> bytearray:
        name = f"{root}data/{key}"
        if name not in entries:
            raise pickle.UnpicklingError(f"storage {key[:20]!r} is missing")
        return archive.read(entries[name])

    # Imported here, so that files that are not checkpoints are refused without importing torch.
    from sdt_lava.io.checkpoint.unpickle import TensorUnpickler

    content = bytes(archive.read(entries[pickles[0]]))
    return TensorUnpickler(content, read_record, inert).load()
