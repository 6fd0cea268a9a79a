"""Check how the arrays of an HDF5 file are stored before they are read.

Exceptions of the HDF5 library become a :class:`sdt_lava.errors.NetworkFileError` with the location.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import h5py

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.limits import limits, remedy
from sdt_lava.io.netx.schema import (
    CHUNKS_LIMIT,
    RANK_LIMIT,
    RATIO_FREE_BYTES,
    RATIO_LIMIT,
    SHARING_LIMIT,
)

_LIBRARY_ERRORS = (
    OSError,
    KeyError,
    IndexError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    SystemError,
    zlib.error,
)
_LAYOUTS = (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED)
# In the order in which they are applied on writing.
_FILTERS = {
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_DEFLATE: "gzip",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
}
_DAMAGED = "copy or export the file again"


@contextmanager
def library_errors(where: str) -> Iterator[None]:
    """Convert exceptions of the HDF5 library to `NetworkFileError`."""
    try:
        yield
    except _LIBRARY_ERRORS as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise NetworkFileError(
            where, f"HDF5 cannot read this: {type(error).__name__}: {reason}", "", _DAMAGED
        ) from error


@dataclass
class Budget:
    """Number of bytes that may still be read from a file of a given size."""

    file_size: int
    left: int = field(default_factory=lambda: limits().network_bytes)
    stored: int = 0

    def spend(self, nbytes: int, where: str) -> None:
        """Count the bytes of an array that is about to be read; raise if they are too many."""
        if nbytes > self.left:
            raise NetworkFileError(
                where,
                f"{nbytes} bytes of data where {self.left} are left",
                f"{limits().network_bytes} bytes in a file, uncompressed",
                remedy("network_bytes"),
            )
        self.left -= nbytes

    def take(self, stored: int, where: str) -> None:
        """Count an array's stored bytes; raise if hard links use the same array too many times."""
        self.stored += stored
        if self.stored > SHARING_LIMIT * self.file_size:
            raise NetworkFileError(
                where,
                f"arrays that share their data: {self.stored} bytes in a file of {self.file_size}",
                f"at most {SHARING_LIMIT} times the file's size",
                _DAMAGED,
            )


def check_storage(properties: Any, where: str) -> None:
    """Refuse data outside the file and filters that netx does not use."""
    if properties.get_layout() not in _LAYOUTS:
        raise NetworkFileError(where, "a virtual dataset", "data inside the file")
    if properties.get_external_count() > 0:
        raise NetworkFileError(where, "data in an external file", "data inside the file")
    count = properties.get_nfilters()
    filters = [properties.get_filter(index)[0] for index in range(min(count, len(_FILTERS) + 1))]
    if filters != [code for code in _FILTERS if code in filters]:
        problem = f"filters of codes {filters}"
        allowed = f"each at most once, in this order: {', '.join(_FILTERS.values())}"
        raise NetworkFileError(where, problem, allowed)


def check_size(dataset: h5py.Dataset, where: str, budget: Budget) -> None:
    """Compare the declared size of a dataset with the limits and with its stored size."""
    with library_errors(where):
        shape, chunks, itemsize = dataset.shape, dataset.chunks, dataset.dtype.itemsize
        stored_bytes = dataset.id.get_storage_size()
    if shape is None or len(shape) > RANK_LIMIT or 0 in shape:
        raise NetworkFileError(where, f"shape {shape}", f"1 to {RANK_LIMIT} axes, none empty")
    nbytes = prod(shape) * itemsize
    budget.spend(nbytes, where)
    if stored_bytes > budget.file_size:
        raise NetworkFileError(
            where, f"{stored_bytes} bytes stored", f"{budget.file_size}, all of the file"
        )
    budget.take(stored_bytes, where)
    if chunks is not None and prod(chunks) * itemsize > max(nbytes, RATIO_FREE_BYTES):
        raise NetworkFileError(
            where, f"chunks {chunks} for shape {shape}", "chunks within the array"
        )
    if nbytes > max(RATIO_FREE_BYTES, stored_bytes * RATIO_LIMIT) or not stored_bytes:
        raise NetworkFileError(
            where,
            f"{nbytes} bytes declared, {stored_bytes} stored",
            f"at most {RATIO_LIMIT} times as many as stored",
        )
    with library_errors(where):
        _check_inflation(dataset, where)


def _check_inflation(dataset: h5py.Dataset, where: str) -> None:
    """Refuse chunks that decompress to more than their size; HDF5 itself sets no limit."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(index)[0] for index in range(properties.get_nfilters())]
    if h5py.h5z.FILTER_DEFLATE not in filters:
        return
    deflate_bit = 1 << filters.index(h5py.h5z.FILTER_DEFLATE)
    limit = prod(dataset.chunks) * dataset.dtype.itemsize
    chunk_infos: list[Any] = []
    if dataset.id.get_num_chunks() > CHUNKS_LIMIT:
        raise NetworkFileError(where, "too many chunks", f"at most {CHUNKS_LIMIT}")
    dataset.id.chunk_iter(chunk_infos.append)
    for chunk in chunk_infos:
        if not chunk.filter_mask & deflate_bit:
            _, compressed = dataset.id.read_direct_chunk(chunk.chunk_offset)
            size = len(zlib.decompressobj().decompress(compressed, limit + 1))
            if size > limit:
                raise NetworkFileError(where, f"a chunk of more than {limit} bytes", f"{limit}")
