"""Check HDF5's heaps of variable-length strings before the library reads them.

HDF5 (observed in 1.14) trusts the sizes in a global heap: a size that overflows, or a free-space
entry of size 0, makes its loop over the entries run forever. Format: HDF5 File Format
Specification 3.0, III.E.
"""

from __future__ import annotations

import mmap
import struct
from typing import BinaryIO

from sdt_lava.errors import NetworkFileError

# Signature, version 1 and three reserved bytes; the size of the heap follows.
_START = b"GCOL\x01\x00\x00\x00"
_HEAP_HEADER = 16
# Index, references, four reserved bytes and size of an entry.
_ENTRY = struct.Struct("<HHIQ")


def check_heaps(file: BinaryIO, path: str) -> None:
    """Check every global heap of a file whose lengths have 8 bytes.

    Parameters
    ----------
    file : file object
        The open file.
    path : str
        Name of the file in errors.

    Raises
    ------
    NetworkFileError
        If entries of a heap overlap, extend beyond the heap, or have size 0.
    OSError, ValueError
        If the file cannot be read, or is empty.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(_START)
        while start >= 0:
            if not _is_sound(content, start):
                raise NetworkFileError(
                    path,
                    f"damaged: the heap of strings at byte {start} contradicts itself",
                    "an HDF5 file as it was written",
                    "copy or export the file again",
                )
            start = content.find(_START, start + len(_START))


def _is_sound(content: mmap.mmap, start: int) -> bool:
    """Walk the entries as HDF5 does; each must advance, and stay inside the heap."""
    if start + _HEAP_HEADER > len(content):
        return False
    (size,) = struct.unpack_from("<Q", content, start + 8)
    position, end = start + _HEAP_HEADER, start + size
    if not _HEAP_HEADER <= size <= len(content) - start:
        return False
    while position + _ENTRY.size <= end:
        index, _, _, length = _ENTRY.unpack_from(content, position)
        # Entry 0 is free space, whose size includes its header.
        step = length if index == 0 else _ENTRY.size + -(-length // 8) * 8
        if not _ENTRY.size <= step <= end - position:
            return False
        position += step
    return True
