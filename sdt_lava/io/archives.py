"""Read untrusted zip archives, limiting their size before and during decompression.

Python's ``zipfile`` creates an object for every entry in the directory, supports compression
methods with unbounded output, and trusts the declared sizes. Here, the number of entries is limited
while the directory is read, only requested members are accessed, and no member yields more bytes
than it declares.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from sdt_lava.errors import SdtLavaError

# Methods with bounded output, which numpy.savez, numpy.savez_compressed and torch.save use.
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate"}
# Deflate cannot compress better than 1032:1 (zlib technical notes); more is a bomb.
RATIO_LIMIT = 1100

# Local header in front of each member: APPNOTE.TXT 6.3.10, section 4.3.7.
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_ENCRYPTED, _UTF8 = 0x1, 0x800
_STEP = 2**20  # [byte] read or decompressed at a time


class _TooManyError(Exception):
    """Raised when a directory has too many entries."""


class _Entries(list[zipfile.ZipInfo]):
    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def append(self, entry: zipfile.ZipInfo) -> None:
        if len(self) == self._most:
            raise _TooManyError
        super().append(entry)


class _Directory(zipfile.ZipFile):
    """A zip archive with a limit on the number of entries in its directory."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._entries = _Entries(most)
        super().__init__(file)

    @property
    def filelist(self) -> list[zipfile.ZipInfo]:
        return self._entries

    @filelist.setter
    def filelist(self, empty: list[zipfile.ZipInfo]) -> None:
        """Keep the limited list: the constructor assigns an empty list and then appends to it."""


class ZipReader:
    """Checked access to the members of a zip archive.

    Parameters
    ----------
    archive : ZipFile
        The archive; only its directory is used.
    file : file
        The file of the archive.
    where : str
        Name of the file in errors.
    error_type : type of SdtLavaError
        Type of all errors about the archive.
    """

    def __init__(
        self,
        archive: _Directory,
        file: BinaryIO,
        where: str,
        error_type: type[SdtLavaError],
    ) -> None:
        self.entries = archive.infolist()
        self.where = where
        self._file, self._error = file, error_type
        starts = sorted({entry.header_offset for entry in self.entries})
        # Start of the next member or of the directory: no member may extend beyond it.
        ends = [*starts[1:], archive.start_dir]
        self._end = dict(zip(starts, ends, strict=True))

    def check(self, entry: zipfile.ZipInfo, methods: tuple[int, ...] = tuple(METHODS)) -> None:
        """Check the compression method and sizes of a member without reading it.

        Raises
        ------
        SdtLavaError
            If its method is not one of `methods`, it is encrypted, or its sizes are impossible.
        """
        where = f"{self.where}: {entry.filename[:80]!a}"
        if entry.compress_type not in methods:
            problem = f"compression method {entry.compress_type}"
            allowed = " or ".join(f"{method} ({METHODS[method]})" for method in methods)
            raise self._error(where, problem, allowed, "write it again without compression")
        if entry.flag_bits & _ENCRYPTED:
            raise self._error(where, "an encrypted entry", "entries without a password")
        is_stored = entry.compress_type == zipfile.ZIP_STORED
        largest = entry.compress_size * (1 if is_stored else RATIO_LIMIT)
        if entry.file_size > largest or (is_stored and entry.file_size != entry.compress_size):
            problem = f"damaged: {entry.file_size} bytes, of which {entry.compress_size} are stored"
            allowed = (
                "as many as are stored" if is_stored else f"at most {RATIO_LIMIT} for one stored"
            )
            raise self._error(where, problem, allowed)

    def chunks(self, entry: zipfile.ZipInfo, most: int | None = None) -> Iterator[bytes]:
        """Yield the content of a member, whose size must be exactly the declared one.

        Parameters
        ----------
        entry : ZipInfo
            A member that `check` accepts.
        most : int, optional
            Number of bytes that the caller needs: the rest is neither decompressed nor checked.

        Raises
        ------
        SdtLavaError
            If its local header contradicts the directory, it overlaps another member, or its
            content does not have the declared size or checksum.
        """
        self.check(entry)
        where = f"{self.where}: {entry.filename[:80]!a}"
        self._file.seek(self._start(entry, where))
        source = self._deflated(entry) if entry.compress_type else self._raw(entry.compress_size)
        size, checksum = 0, 0
        for chunk in source:
            size += len(chunk)
            if size > entry.file_size:
                break
            checksum = zlib.crc32(chunk, checksum)
            yield chunk
            if most is not None and size >= most:
                return
        if size != entry.file_size:
            actual = "more" if size > entry.file_size else f"{size}"
            raise self._error(where, f"damaged: {actual} bytes", f"the {entry.file_size} declared")
        if checksum != entry.CRC:
            raise self._error(where, "damaged: a wrong checksum", "", "copy the file again")

    def read(self, entry: zipfile.ZipInfo) -> bytearray:
        """Return the whole content of a member; the caller must have limited its size."""
        content = bytearray()
        for chunk in self.chunks(entry):
            content += chunk
        return content

    def _start(self, entry: zipfile.ZipInfo, where: str) -> int:
        """Return the offset of a member's data, after comparing its header with the directory."""
        self._file.seek(entry.header_offset)
        header = self._file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or header[:4] != _LOCAL_MAGIC:
            raise self._error(where, "damaged: no header where it should be")
        _, _, flags, method, _, _, _, _, _, length, extra = _LOCAL.unpack(header)
        name = self._file.read(length).decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        if method != entry.compress_type or flags & _ENCRYPTED or name != entry.orig_filename:
            problem = "damaged: its header contradicts the directory of the archive"
            raise self._error(where, problem, "the same name and method in both", "pack it again")
        start = entry.header_offset + _LOCAL.size + length + extra
        if start + entry.compress_size > self._end[entry.header_offset]:
            raise self._error(where, "data that reach into another entry", "entries one by one")
        return start

    def _raw(self, size: int) -> Iterator[bytes]:
        while size > 0 and (chunk := self._file.read(min(size, _STEP))):
            size -= len(chunk)
            yield chunk

    def _deflated(self, entry: zipfile.ZipInfo) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        for chunk in self._raw(entry.compress_size):
            while chunk and not inflater.eof:
                if inflated := inflater.decompress(chunk, _STEP):
                    yield inflated
                chunk = inflater.unconsumed_tail
        if rest := inflater.flush():
            yield rest


@contextmanager
def open_zip(
    file: BinaryIO, where: str, error_type: type[SdtLavaError], most_entries: int, remedy: str = ""
) -> Iterator[ZipReader]:
    """Open an untrusted zip archive.

    Parameters
    ----------
    file : file
        The archive, opened for reading.
    where : str
        Name of the file in errors.
    error_type : type of SdtLavaError
        Type of all errors about the archive.
    most_entries : int
        Maximum number of entries.
    remedy : str
        Remedy in the error about too many entries.

    Raises
    ------
    SdtLavaError
        If it has too many entries.
    BadZipFile
        If it is not a zip archive.
    """
    try:
        archive = _Directory(file, most_entries)
    except _TooManyError:
        problem = f"more than {most_entries} entries"
        raise error_type(where, problem, f"at most {most_entries}", remedy) from None
    with archive:
        yield ZipReader(archive, file, where, error_type)
