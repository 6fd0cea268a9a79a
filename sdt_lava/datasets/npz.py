"""Samples from a NumPy ``.npz`` file of unknown origin."""

from __future__ import annotations

import math
import os
import zipfile
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from sdt_lava.datasets.base import LAYOUTS, LAYOUTS_TEXT, Dataset, IntArray
from sdt_lava.errors import DataError
from sdt_lava.files import open_regular
from sdt_lava.limits import limits, remedy

# Deflate cannot compress better than 1032:1 (zlib technical notes); more is a bomb.
_RATIO_LIMIT = 1100
# What numpy.savez and numpy.savez_compressed write.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
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
            zipfile.ZipFile(file) as archive,
        ):
            shapes = {name: _header(archive, name, where) for name in _members(archive, where)}
            _check_headers(shapes, where)
            for name, header in shapes.items():
                _check_stored(archive.getinfo(f"{name}.npy"), header, f"{where}: {name}")
            arrays = {name: _read(archive, name) for name in shapes}
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


Header = tuple[tuple[int, ...], np.dtype[Any]]


def _members(archive: zipfile.ZipFile, where: str) -> list[str]:
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    # Readers differ in which of two members of one name they take.
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise DataError(
            where,
            f"{len(twice)} names used twice, such as {twice[0][:40]!r}",
            "one member of a name",
            "save it again with numpy.savez",
        )
    if "x" not in names:
        raise DataError(
            where,
            f"arrays {[name[:40] for name in names[:5]]}",
            "'x', and optionally 'y'",
            "save it with numpy.savez(path, x=..., y=...)",
        )
    return ["x", "y"] if "y" in names else ["x"]


def _header(archive: zipfile.ZipFile, name: str, where: str) -> Header:
    with archive.open(f"{name}.npy") as member:
        version = npy_format.read_magic(member)
        # Later versions exist for headers of up to 4 GiB, which no plain array needs.
        if version != (1, 0):
            raise DataError(f"{where}: {name}", f"npy format {version}", "1.0")
        shape, _, dtype = npy_format.read_array_header_1_0(member)
    return shape, dtype


def _check_stored(entry: zipfile.ZipInfo, header: Header, where: str) -> None:
    """Refuse arrays that are larger than what is stored of them: they would be allocated first."""
    shape, dtype = header
    nbytes = math.prod(shape) * dtype.itemsize
    most = min(entry.file_size, entry.compress_size * _RATIO_LIMIT)
    if entry.compress_type not in _METHODS or min(shape, default=0) < 0 or nbytes > most:
        raise DataError(
            where,
            f"damaged: shape {shape}, {nbytes} bytes, where {entry.compress_size} are stored",
            f"what numpy.savez writes, at most {_RATIO_LIMIT} bytes for a stored one",
            "save it again with numpy.savez or numpy.savez_compressed",
        )


def _check_headers(headers: dict[str, Header], where: str) -> None:
    for name, (shape, dtype) in headers.items():
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
    shape = headers["x"][0]
    if len(shape) not in LAYOUTS or 0 in shape:
        raise DataError(f"{where}: x", f"shape {shape}", f"{LAYOUTS_TEXT} without empty axes")
    if "y" in headers and headers["y"][0] != shape[:1]:
        raise DataError(
            f"{where}: y", f"shape {headers['y'][0]}", f"({shape[0]},), a label for each sample"
        )


def _read(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with archive.open(f"{name}.npy") as member:
        array: npt.NDArray[Any] = npy_format.read_array(member, allow_pickle=False)
    return array


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
