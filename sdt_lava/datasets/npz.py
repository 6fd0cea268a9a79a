"""Samples from a NumPy ``.npz`` file of unknown origin."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from sdt_lava.archives import ZipReader, open_zip
from sdt_lava.datasets.base import LAYOUTS, LAYOUTS_TEXT, Dataset, IntArray
from sdt_lava.errors import DataError
from sdt_lava.files import open_regular
from sdt_lava.limits import limits, remedy

# Entries that the directory may list, of which two are read.
_MOST_ENTRIES = 1000
# [byte] Magic, version and header of an .npy file of version 1.0, whose length has 16 bits.
_LONGEST_HEADER = 10 + 2**16
_FLOAT_TYPES = ("float16", "float32", "float64")


def load_npz(path: str | os.PathLike[str]) -> Dataset:
    """Read ``x`` and, if there, ``y`` from a file; headers are checked before data is read.

    Parameters
    ----------
    path : path-like
        A file as ``numpy.savez`` or ``numpy.savez_compressed`` writes it, with ``x`` of
        shape ``(B, C, H, W)``, ``(B, T, C, H, W)``, ``(B, features)`` or ``(B, T, features)``,
        integers, booleans or floats, and optionally integer labels ``y`` of shape ``(B,)``.

    Returns
    -------
    Dataset
        ``x`` as float32.

    Raises
    ------
    DataError
        If the file is missing, damaged or too large, or its arrays are not as described.
    """
    where = str(path)
    try:
        with (
            open_regular(path, DataError, "an .npz file") as file,
            open_zip(file, where, DataError, _MOST_ENTRIES) as archive,
        ):
            arrays = _read_arrays(archive, where)
    except OSError as error:
        raise DataError(where, f"cannot be read ({error.strerror or error})") from error
    except DataError:
        raise
    # zipfile, zlib and numpy raise many kinds of errors on damaged files.
    except Exception as error:
        raise DataError(
            where, f"damaged or not an .npz file ({str(error)[:200]})", "a file of numpy.savez"
        ) from error
    return _dataset(arrays, where)


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int  # of the values in the member [byte]


def _read_arrays(archive: ZipReader, where: str) -> dict[str, npt.NDArray[Any]]:
    members = _members(archive, where)
    headers = {name: _header(archive, entry, where) for name, entry in members.items()}
    _check_headers(headers, where)
    for name, entry in members.items():
        _check_stored(entry, headers[name], f"{where}: {name}")
    return {name: _read(archive, entry, headers[name]) for name, entry in members.items()}


def _members(archive: ZipReader, where: str) -> dict[str, zipfile.ZipInfo]:
    names = [entry.filename.removesuffix(".npy") for entry in archive.entries]
    # Readers differ in which of two members of one name they take.
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise DataError(
            where,
            f"{len(twice)} names used twice, such as {twice[0][:40]!r}",
            "one member of a name",
            "save it again with numpy.savez",
        )
    entries = dict(zip(names, archive.entries, strict=True))
    if "x" not in entries:
        raise DataError(
            where,
            f"arrays {[name[:40] for name in list(entries)[:5]]}",
            "'x', and optionally 'y'",
            "save it with numpy.savez(path, x=..., y=...)",
        )
    return {name: entries[name] for name in ("x", "y") if name in entries}


def _header(archive: ZipReader, entry: zipfile.ZipInfo, where: str) -> _Header:
    start = io.BytesIO(b"".join(archive.chunks(entry, _LONGEST_HEADER)))
    version = npy_format.read_magic(start)
    # Later versions exist for headers of up to 4 GiB, which no plain array needs.
    if version != (1, 0):
        raise DataError(f"{where}: {entry.filename[:-4]}", f"npy format {version}", "1.0")
    shape, fortran, dtype = npy_format.read_array_header_1_0(start)
    return _Header(shape, fortran, dtype, start.tell())


def _check_stored(entry: zipfile.ZipInfo, header: _Header, where: str) -> None:
    """Refuse arrays that are larger than their members: they would be allocated first."""
    nbytes = math.prod(header.shape) * header.dtype.itemsize
    if min(header.shape, default=0) < 0 or header.start + nbytes != entry.file_size:
        raise DataError(
            where,
            f"damaged: shape {header.shape}, {nbytes} bytes, in an entry of {entry.file_size} with "
            f"a header of {header.start}",
            "what numpy.savez writes: a header and all values",
            "save it again with numpy.savez or numpy.savez_compressed",
        )


def _check_headers(headers: dict[str, _Header], where: str) -> None:
    for name, header in headers.items():
        shape, dtype = header.shape, header.dtype
        kinds = "iu" if name == "y" else "iub"
        floats = () if name == "y" else _FLOAT_TYPES
        if dtype.kind not in kinds and dtype.name not in floats:
            allowed = (
                "integers" if name == "y" else f"integers, booleans, {', '.join(_FLOAT_TYPES)}"
            )
            raise DataError(f"{where}: {name}", f"dtype {dtype.name}", allowed)
        most = limits().data_values
        if math.prod(shape) > most:
            allowed = f"at most {most} numbers"
            raise DataError(f"{where}: {name}", f"shape {shape}", allowed, remedy("data_values"))
    shape = headers["x"].shape
    if len(shape) not in LAYOUTS or 0 in shape:
        raise DataError(f"{where}: x", f"shape {shape}", f"{LAYOUTS_TEXT} without empty axes")
    if "y" in headers and headers["y"].shape != shape[:1]:
        raise DataError(
            f"{where}: y", f"shape {headers['y'].shape}", f"({shape[0]},), a label for each sample"
        )


def _read(archive: ZipReader, entry: zipfile.ZipInfo, header: _Header) -> npt.NDArray[Any]:
    content = np.empty(entry.file_size, np.uint8)
    filled = 0
    for chunk in archive.chunks(entry):
        content[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)
    values = content[header.start :].view(header.dtype)
    return values.reshape(header.shape, order="F" if header.fortran else "C")


def _dataset(arrays: dict[str, npt.NDArray[Any]], where: str) -> Dataset:
    # Large doubles become infinite here, which the check below then reports.
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(arrays["x"], dtype=np.float32)
    if not np.isfinite(x).all():
        raise DataError(f"{where}: x", "NaN or infinite values", "finite float32")
    if "y" not in arrays:
        return Dataset(where, x, None, 0)
    labels = _labels(arrays["y"], where)
    return Dataset(where, x, labels, int(labels.max()) + 1)


def _labels(y: npt.NDArray[Any], where: str) -> IntArray:
    if y.min() < 0 or int(y.max()) > np.iinfo(np.int32).max:
        raise DataError(f"{where}: y", f"labels {y.min()} to {y.max()}", "labels from 0")
    return y.astype(np.int64)
