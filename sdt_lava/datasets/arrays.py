"""Read arrays from untrusted NumPy files, checking headers before reading data."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from sdt_lava.errors import DataError
from sdt_lava.io.archives import ZipReader, open_zip
from sdt_lava.io.files import open_regular
from sdt_lava.io.limits import limits, remedy

# Maximum number of entries in the directory of an archive.
_MOST_ENTRIES = 1000
# [byte] Magic, version and header of an .npy file of version 1.0, whose length field has 16 bits.
_LONGEST_HEADER = 10 + 2**16
_NUMBERS = ("float16", "float32", "float64")
_STEP = 2**24  # [byte] read at a time


@dataclass(frozen=True)
class Header:
    """The header of an array.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    fortran : bool
        Whether the array is in Fortran order.
    dtype : dtype
        Type of the values.
    start : int
        Offset of the values in the member [byte].
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int


Headers = Mapping[str, Header]
Check = Callable[[Headers], None]


def array_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the names of the arrays in an ``.npz`` file.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    with _opened_npz(path) as (_, entries):
        return tuple(entries)


def read_arrays(
    path: str | os.PathLike[str], wanted: Iterable[str], check: Check | None = None
) -> dict[str, np.ndarray]:
    """Read some arrays of numbers from an ``.npz`` file.

    Parameters
    ----------
    path : path-like
        A file written by ``numpy.savez`` or ``numpy.savez_compressed``.
    wanted : iterable of str
        Names of the arrays, all of which must exist.
    check : callable, optional
        Checks the headers of all of them before any array is read.

    Returns
    -------
    dict of str to ndarray
        Booleans, integers, float16, float32 or float64.

    Raises
    ------
    DataError
        If the file is missing, damaged or too large, an array is missing or not numeric, or
        `check` raises the error.
    """
    where = os.fspath(path)
    with _opened_npz(path) as (archive, entries):
        names = list(wanted)
        missing = [name for name in names if name not in entries]
        if missing:
            problem = f"arrays {[name[:40] for name in list(entries)[:5]]}"
            raise DataError(where, problem, f"{', '.join(map(repr, names))}")
        headers = {name: _npz_header(archive, entries[name], where) for name in names}
        for name, header in headers.items():
            _check_header(header, entries[name].file_size, f"{where}: {name}")
        if check is not None:
            check(headers)
        return {name: _filled(archive.chunks(entries[name]), headers[name]) for name in names}


def read_npy(path: str | os.PathLike[str], check: Callable[[Header], None]) -> np.ndarray:
    """Read an array of numbers from an ``.npy`` file; errors are those of `read_arrays`.

    Parameters
    ----------
    path : path-like
        A file written by ``numpy.save``.
    check : callable
        Checks the header before the array is read.
    """
    where = os.fspath(path)
    with _described(where), open_regular(path, DataError, "an .npy file") as file:
        size = os.fstat(file.fileno()).st_size
        header = _header(file.read(_LONGEST_HEADER), where)
        _check_header(header, size, where)
        check(header)
        file.seek(0)
        return _filled(iter(lambda: file.read(_STEP), b""), header)


@contextmanager
def _opened_npz(
    path: str | os.PathLike[str],
) -> Iterator[tuple[ZipReader, dict[str, zipfile.ZipInfo]]]:
    where = os.fspath(path)
    with (
        _described(where),
        open_regular(path, DataError, "an .npz file") as file,
        open_zip(file, where, DataError, _MOST_ENTRIES) as archive,
    ):
        yield archive, _entries(archive, where)


@contextmanager
def _described(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(where, f"cannot be read ({error.strerror or error})") from error
    except DataError:
        raise
    # zipfile, zlib and numpy raise many types of errors for damaged files.
    except Exception as error:
        problem = f"damaged or not a file of NumPy ({str(error)[:200]})"
        raise DataError(where, problem, "a file of numpy.savez or numpy.save") from error


def _entries(archive: ZipReader, where: str) -> dict[str, zipfile.ZipInfo]:
    names = [entry.filename.removesuffix(".npy") for entry in archive.entries]
    # Readers disagree on which of two members with the same name they use.
    if duplicates := sorted(name for name, count in Counter(names).items() if count > 1):
        raise DataError(
            where,
            f"{len(duplicates)} names used twice, such as {duplicates[0][:40]!r}",
            "one member of a name",
            "save it again with numpy.savez",
        )
    return dict(zip(names, archive.entries, strict=True))


def _npz_header(archive: ZipReader, entry: zipfile.ZipInfo, where: str) -> Header:
    start = b"".join(archive.chunks(entry, _LONGEST_HEADER))
    return _header(start, f"{where}: {entry.filename.removesuffix('.npy')}")


def _header(start: bytes, where: str) -> Header:
    stream = io.BytesIO(start)
    version = npy_format.read_magic(stream)
    # Later versions support headers of up to 4 GiB, which no plain array needs.
    if version != (1, 0):
        raise DataError(where, f"npy format {version}", "1.0")
    shape, fortran, dtype = npy_format.read_array_header_1_0(stream)
    return Header(shape, fortran, dtype, stream.tell())


def _check_header(header: Header, size: int, where: str) -> None:
    """Refuse arrays that are not numeric or do not match their member's size, before allocation."""
    if header.dtype.kind not in "iub" and header.dtype.name not in _NUMBERS:
        allowed = f"integers, booleans, {', '.join(_NUMBERS)}"
        raise DataError(where, f"dtype {header.dtype.name}", allowed)
    limit = limits().data_values
    if math.prod(header.shape) > limit:
        problem, allowed = f"shape {header.shape}", f"at most {limit} numbers"
        raise DataError(where, problem, allowed, remedy("data_values"))
    nbytes = math.prod(header.shape) * header.dtype.itemsize
    if min(header.shape, default=0) < 0 or header.start + nbytes != size:
        raise DataError(
            where,
            f"damaged: shape {header.shape}, {nbytes} bytes, in {size} with a header of "
            f"{header.start}",
            "what NumPy writes: a header and all values",
            "save it again with numpy.savez, numpy.savez_compressed or numpy.save",
        )


def _filled(chunks: Iterator[bytes], header: Header) -> np.ndarray:
    size = header.start + math.prod(header.shape) * header.dtype.itemsize
    content = np.empty(size, np.uint8)
    position = 0
    for chunk in chunks:
        content[position : position + len(chunk)] = np.frombuffer(chunk, np.uint8)
        position += len(chunk)
    if position != size:
        raise ValueError(f"{position} of {size} bytes")
    values = content[header.start :].view(header.dtype)
    return values.reshape(header.shape, order="F" if header.fortran else "C")
