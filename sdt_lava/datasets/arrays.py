"""Arrays in NumPy's files of unknown origin: headers are checked before data is read."""

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

# Entries that the directory may list.
_MOST_ENTRIES = 1000
# [byte] Magic, version and header of an .npy file of version 1.0, whose length has 16 bits.
_LONGEST_HEADER = 10 + 2**16
_NUMBERS = ("float16", "float32", "float64")
_STEP = 2**24  # [byte] read at once


@dataclass(frozen=True)
class Header:
    """What the header of an array says.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    fortran : bool
        Whether the first axis is the fastest.
    dtype : dtype
        Type of the values.
    start : int
        Where the values begin in the member [byte].
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
        If it is missing or damaged.
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
        A file as ``numpy.savez`` or ``numpy.savez_compressed`` writes it.
    wanted : iterable of str
        Names of the arrays, which must be there.
    check : callable, optional
        Checks the headers of all of them before any is read.

    Returns
    -------
    dict of str to ndarray
        Booleans, integers, float16, float32 or float64.

    Raises
    ------
    DataError
        If the file is missing, damaged or too large, an array is missing or not of numbers, or
        `check` raises it.
    """
    where = os.fspath(path)
    with _opened_npz(path) as (archive, entries):
        names = list(wanted)
        missing = [name for name in names if name not in entries]
        if missing:
            found = f"arrays {[name[:40] for name in list(entries)[:5]]}"
            raise DataError(where, found, f"{', '.join(map(repr, names))}")
        headers = {name: _npz_header(archive, entries[name], where) for name in names}
        for name, header in headers.items():
            _check_header(header, entries[name].file_size, f"{where}: {name}")
        if check is not None:
            check(headers)
        return {name: _filled(archive.chunks(entries[name]), headers[name]) for name in names}


def read_npy(path: str | os.PathLike[str], check: Callable[[Header], None]) -> np.ndarray:
    """Read an array of numbers from an ``.npy`` file; errors as for `read_arrays`.

    Parameters
    ----------
    path : path-like
        A file as ``numpy.save`` writes it.
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
    # zipfile, zlib and numpy raise many kinds of errors on damaged files.
    except Exception as error:
        found = f"damaged or not a file of NumPy ({str(error)[:200]})"
        raise DataError(where, found, "a file of numpy.savez or numpy.save") from error


def _entries(archive: ZipReader, where: str) -> dict[str, zipfile.ZipInfo]:
    names = [entry.filename.removesuffix(".npy") for entry in archive.entries]
    # Readers differ in which of two members of one name they take.
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise DataError(
            where,
            f"{len(twice)} names used twice, such as {twice[0][:40]!r}",
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
    # Later versions exist for headers of up to 4 GiB, which no plain array needs.
    if version != (1, 0):
        raise DataError(where, f"npy format {version}", "1.0")
    shape, fortran, dtype = npy_format.read_array_header_1_0(stream)
    return Header(shape, fortran, dtype, stream.tell())


def _check_header(header: Header, size: int, where: str) -> None:
    """Refuse what is no array of numbers, or larger than its member: it would be allocated."""
    if header.dtype.kind not in "iub" and header.dtype.name not in _NUMBERS:
        allowed = f"integers, booleans, {', '.join(_NUMBERS)}"
        raise DataError(where, f"dtype {header.dtype.name}", allowed)
    most = limits().data_values
    if math.prod(header.shape) > most:
        found, allowed = f"shape {header.shape}", f"at most {most} numbers"
        raise DataError(where, found, allowed, remedy("data_values"))
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
    filled = 0
    for chunk in chunks:
        content[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)
    if filled != size:
        raise ValueError(f"{filled} of {size} bytes")
    values = content[header.start :].view(header.dtype)
    return values.reshape(header.shape, order="F" if header.fortran else "C")
