"""Read ``.safetensors`` files, which contain a JSON header and raw tensors but no code.

Format: 8 bytes, the length N of the header as little-endian integer; N bytes of JSON, an object
with each tensor's ``dtype``, ``shape`` and ``data_offsets`` (begin and end, counted from the
end of the header) and optionally ``__metadata__``, which maps text to text; the bytes of all
tensors, little-endian and in C order, one after another without gap or overlap.
Source: huggingface/safetensors, README.md, and the checks of ``safetensors/src/tensor.rs``.
"""

from __future__ import annotations

import os
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO

from sdt_lava.errors import CheckpointError
from sdt_lava.io.files import open_regular
from sdt_lava.io.json_text import parse_json
from sdt_lava.io.limits import limits, remedy

if TYPE_CHECKING:
    import torch

SUFFIX = ".safetensors"
_LENGTH_BYTES = 8
_METADATA = "__metadata__"
# Names of torch's types, and their sizes in bytes; torch is only imported for a valid file.
_DTYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}
_FIELDS = {"dtype", "shape", "data_offsets"}
_MAX_DIMENSIONS = 16
_ALLOWED = "a .safetensors file: length, header in JSON, tensors without gap or overlap"


def is_safetensors(path: str | os.PathLike[str]) -> bool:
    """Return whether a file has the suffix ``.safetensors`` or starts like such a file.

    The result is False for a file that cannot be opened; reading it later raises the reason.
    """
    if str(path).lower().endswith(SUFFIX):
        return True
    try:
        with open_regular(path, CheckpointError) as file:
            head = file.read(_LENGTH_BYTES + 1)
            size = file.seek(0, os.SEEK_END)
    except (OSError, CheckpointError):
        return False
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    return head[_LENGTH_BYTES:] == b"{" and 2 <= length <= size - _LENGTH_BYTES


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Return the tensors of a ``.safetensors`` file by name.

    Parameters
    ----------
    path : path-like
        The file.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or too large, or has a data type that torch lacks.
    """
    where = str(path)
    try:
        with open_regular(path, CheckpointError, "a checkpoint file") as file:
            return _read(file, where)
    except OSError as error:
        raise CheckpointError(
            where, f"cannot be read ({error.strerror or error})", "a readable file"
        ) from error


def _read(file: BinaryIO, where: str) -> dict[str, torch.Tensor]:
    size = file.seek(0, os.SEEK_END)
    _check_limit("checkpoint_bytes", size, "bytes", where)
    file.seek(0)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if size < _LENGTH_BYTES or not 2 <= length <= size - _LENGTH_BYTES:
        raise CheckpointError(where, f"a header of {length} bytes in a file of {size}", _ALLOWED)
    _check_limit("checkpoint_structure_bytes", length, "bytes of structure", where)
    header = _header(file.read(length), where)
    _check_limit("checkpoint_entries", len(header), "tensors", where)
    tensors: dict[str, torch.Tensor] = {}
    available, end = size - _LENGTH_BYTES - length, 0
    for name, entry in sorted(header.items(), key=lambda item: _offsets(item[1])):
        kind, shape, begin, stop = _described(name, entry, where)
        if begin != end or stop > available:
            problem = f"{name[:80]!r} at bytes {begin} to {stop} of {available}, not from {end} on"
            raise CheckpointError(where, problem, _ALLOWED, "copy the file again, or save it again")
        tensors[name] = _tensor(file, kind, shape, stop - begin, f"{where}: {name[:80]}")
        end = stop
    if end != available:
        problem = f"{available} bytes of tensors, of which {end} are described"
        raise CheckpointError(where, problem, _ALLOWED, "copy the file again, or save it again")
    # In the order of the header.
    return {name: tensors[name] for name in header}


def _check_limit(name: str, found: int, what: str, where: str) -> None:
    limit = getattr(limits(), name)
    if found > limit:
        raise CheckpointError(where, f"{found} {what}", f"at most {limit}", remedy(name))


def _header(text: bytes, where: str) -> dict[str, Any]:
    try:
        header = parse_json(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = str(error)[:100]
        raise CheckpointError(where, f"a header that is no JSON ({reason})", _ALLOWED) from error
    if not isinstance(header, dict):
        raise CheckpointError(where, f"a header that is a {type(header).__name__}", _ALLOWED)
    header.pop(_METADATA, None)
    return header


def _offsets(entry: Any) -> tuple[int, int]:
    """Return the offsets of a tensor; (0, 0) if they are invalid, which is checked later."""
    offsets: Any = entry.get("data_offsets") if isinstance(entry, dict) else None
    return (offsets[0], offsets[1]) if _are_natural(offsets) and len(offsets) == 2 else (0, 0)


def _described(name: str, entry: Any, where: str) -> tuple[str, tuple[int, ...], int, int]:
    """Return the type, shape, begin and end of a tensor after checking their consistency."""
    location = f"{where}: {name[:80]}"
    if not isinstance(entry, dict) or set(entry) != _FIELDS:
        raise CheckpointError(location, "no tensor", f"an object with {sorted(_FIELDS)}")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise CheckpointError(location, f"dtype {str(kind)[:20]!r}", f"one of {sorted(_DTYPES)}")
    if not _are_natural(shape) or len(shape) > _MAX_DIMENSIONS:
        raise CheckpointError(location, "an invalid shape", "natural numbers")
    if not _are_natural(offsets) or len(offsets) != 2:
        raise CheckpointError(location, "data_offsets that are none", "begin and end")
    begin, end = offsets
    size = prod(shape) * _DTYPES[kind][1]
    if end - begin != size:
        problem = f"{end - begin} bytes for {kind} of shape {tuple(shape)}"
        raise CheckpointError(location, problem, f"{size} bytes")
    return kind, tuple(shape), begin, end


def _are_natural(values: Any) -> bool:
    return isinstance(values, list) and all(map(_is_natural, values))


def _is_natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _tensor(
    file: BinaryIO, kind: str, shape: tuple[int, ...], count: int, place: str
) -> torch.Tensor:
    import torch

    dtype: torch.dtype = getattr(torch, _DTYPES[kind][0])
    data = bytearray(count)
    if file.readinto(data) != count:  # type: ignore[attr-defined]
        raise CheckpointError(place, "less bytes than described", _ALLOWED, "copy the file again")
    if dtype is torch.bool and any(byte > 1 for byte in data):
        raise CheckpointError(place, "numbers other than 0 and 1", "false and true")
    return (
        torch.frombuffer(data, dtype=dtype).reshape(shape)
        if data
        else torch.empty(shape, dtype=dtype)
    )
