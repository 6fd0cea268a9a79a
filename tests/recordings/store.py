"""Files of recordings: one ``.npz`` a subject, with several cases of named arrays each."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

FOLDER = Path(__file__).parents[1] / "data" / "lava"
MANIFEST = "manifest.json"
# A field that holds the bytes of an HDF5 file.
FILE = "file"
# Arrays by the name of their field, and these by the name of their case.
Case = dict[str, np.ndarray]
Cases = dict[str, Case]

_KINDS = (np.uint8, np.int8, np.uint16, np.int16, np.int32)


def _narrow(values: Any) -> np.ndarray:
    """Store integers in as few bits as hold them all, and bits as they are."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or not array.size:
        return array
    low, high = array.min(), array.max()
    for kind in _KINDS:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return array.astype(kind)
    return array.astype(np.int64)


def save(folder: Path, subject: str, cases: Cases) -> None:
    """Write the cases of a subject."""
    arrays = {
        f"{name}/{field}": _narrow(values)
        for name, case in cases.items()
        for field, values in case.items()
    }
    np.savez_compressed(folder / f"{subject}.npz", **arrays)


def load(subject: str, folder: Path = FOLDER) -> Cases:
    """Read the cases of a subject; integers, but for the bytes of files, have 64 bits."""
    cases: Cases = {}
    with np.load(folder / f"{subject}.npz", allow_pickle=False) as stored:
        for key in stored.files:
            name, field = key.rsplit("/", 1)
            values = stored[key]
            if values.dtype.kind in "iu" and field != FILE:
                values = values.astype(np.int64)
            cases.setdefault(name, {})[field] = values
    return cases


def names(subject: str) -> list[str]:
    """Return the names of the cases, for parameters of tests."""
    return list(load(subject))


def read_manifest() -> dict[str, Any]:
    """Return the versions and seeds that the recordings were made with."""
    return json.loads((FOLDER / MANIFEST).read_text())


def file_bytes(path: Path) -> np.ndarray:
    """Return a file as the values of a field."""
    return np.frombuffer(path.read_bytes(), np.uint8)


def write_file(case: Case, path: Path) -> Path:
    """Write the file of a case."""
    path.write_bytes(case[FILE].tobytes())
    return path


def difference(found: Cases, expected: Cases) -> str:
    """Say where two sets of cases differ first; '' if they do not."""
    if list(found) != list(expected):
        return f"cases {list(found)}, not {list(expected)}"
    for name, case in expected.items():
        if list(found[name]) != list(case):
            return f"{name}: fields {list(found[name])}, not {list(case)}"
        for field, values in case.items():
            other = np.asarray(found[name][field])
            same = _same_file if field == FILE else _same_values
            if not same(other, values):
                return f"{name}: {field}"
    return ""


def _same_values(found: np.ndarray, expected: np.ndarray) -> bool:
    return np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")


def _same_file(found: np.ndarray, expected: np.ndarray) -> bool:
    """Compare what two HDF5 files hold; how the library lays it out may differ."""
    left, right = _contents(found), _contents(expected)
    return left.keys() == right.keys() and all(
        np.array_equal(left[name], right[name]) for name in right
    )


def _contents(data: np.ndarray) -> dict[str, Any]:
    contents: dict[str, Any] = {}

    def collect(name: str, member: Any) -> None:
        if isinstance(member, h5py.Dataset):
            contents[name] = member[()]
        for key, value in member.attrs.items():
            contents[f"{name}@{key}"] = value

    with h5py.File(io.BytesIO(data.tobytes())) as file:
        contents.update({f"@{key}": value for key, value in file.attrs.items()})
        file.visititems(collect)
    # The version that wrote it.
    contents.pop("@generator", None)
    return contents


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for files that are recorded."""
    return tempfile.TemporaryDirectory(prefix="recordings-")
