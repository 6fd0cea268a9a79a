"""Zip archives from anywhere: what is read of one is bounded before, and while, it is inflated.

Python's ``zipfile`` makes an object for every entry that the directory lists, knows methods whose
output has no bound, and believes the sizes. Here the directory is measured first, only members
that somebody asks for are looked at, and of each no more comes out than it declares.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from sdt_lava.errors import SdtLavaError

# Methods with a bounded output, as numpy.savez, numpy.savez_compressed and torch.save write them.
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate"}
# Deflate cannot compress better than 1032:1 (zlib technical notes); more is a bomb.
RATIO_LIMIT = 1100

# Header before each member: APPNOTE.TXT 6.3.10, section 4.3.7.
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_ENCRYPTED, _UTF8 = 0x1, 0x800
_STEP = 2**20  # [byte] read or inflated at once


class _TooManyError(Exception):
    """A directory lists one entry too many."""


class _Entries(list[zipfile.ZipInfo]):
    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def append(self, entry: zipfile.ZipInfo) -> None:
        if len(self) == self._most:
            raise _TooManyError
        super().append(entry)


class _Directory(zipfile.ZipFile):
    """A zip archive whose directory is read up to a number of entries."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._entries = _Entries(most)
        super().__init__(file)

    @property
    def filelist(self) -> list[zipfile.ZipInfo]:
        return self._entries

    @filelist.setter
    def filelist(self, empty: list[zipfile.ZipInfo]) -> None:
        """Keep our own list: the constructor assigns an empty one and then appends to it."""


class ZipReader:
    """The members of a zip archive, none of which is read unchecked.

    Parameters
    ----------
    archive : ZipFile
        The archive, of which the directory is used.
    file : file
        The same file.
    where : str
        The file, for errors.
    error_type : type of SdtLavaError
        Raised for everything that is wrong with it.
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
        # Where the next member, or the directory, starts: no member reaches beyond.
        ends = [*starts[1:], archive.start_dir]
        self._end = dict(zip(starts, ends, strict=True))

    def check(self, entry: zipfile.ZipInfo, methods: tuple[int, ...] = tuple(METHODS)) -> None:
        """Check how a member is stored, without reading it.

        Raises
        ------
        SdtLavaError
            If its method is not one of `methods`, it is encrypted, or its sizes are impossible.
        """
        where = f"{self.where}: {entry.filename[:80]!a}"
        if entry.compress_type not in methods:
            found = f"compression method {entry.compress_type}"
            allowed = " or ".join(f"{method} ({METHODS[method]})" for method in methods)
            raise self._error(where, found, allowed, "write it again without compression")
        if entry.flag_bits & _ENCRYPTED:
            raise self._error(where, "an encrypted entry", "entries without a password")
        stored = entry.compress_type == zipfile.ZIP_STORED
        most = entry.compress_size * (1 if stored else RATIO_LIMIT)
        if entry.file_size > most or (stored and entry.file_size != entry.compress_size):
            found = f"damaged: {entry.file_size} bytes, of which {entry.compress_size} are stored"
            allowed = "as many as are stored" if stored else f"at most {RATIO_LIMIT} for one stored"
            raise self._error(where, found, allowed)

    def chunks(self, entry: zipfile.ZipInfo, most: int | None = None) -> Iterator[bytes]:
        """Yield the content of a member; it has exactly the size that is declared.

        Parameters
        ----------
        entry : ZipInfo
            A member that `check` accepts.
        most : int, optional
            Bytes after which the caller has enough: what follows is neither inflated nor checked.

        Raises
        ------
        SdtLavaError
            If its own header contradicts the directory, it overlaps another one, or its content
            has another size or checksum than declared.
        """
        self.check(entry)
        where = f"{self.where}: {entry.filename[:80]!a}"
        self._file.seek(self._start(entry, where))
        source = self._deflated(entry) if entry.compress_type else self._raw(entry.compress_size)
        found, checksum = 0, 0
        for chunk in source:
            found += len(chunk)
            if found > entry.file_size:
                break
            checksum = zlib.crc32(chunk, checksum)
            yield chunk
            if most is not None and found >= most:
                return
        if found != entry.file_size:
            more = "more" if found > entry.file_size else f"{found}"
            raise self._error(where, f"damaged: {more} bytes", f"the {entry.file_size} declared")
        if checksum != entry.CRC:
            raise self._error(where, "damaged: a wrong checksum", "", "copy the file again")

    def read(self, entry: zipfile.ZipInfo) -> bytearray:
        """Return the content of a member, whose size the caller has limited."""
        content = bytearray()
        for chunk in self.chunks(entry):
            content += chunk
        return content

    def _start(self, entry: zipfile.ZipInfo, where: str) -> int:
        """Return where the data of a member start, after comparing its two headers."""
        self._file.seek(entry.header_offset)
        header = self._file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or header[:4] != _LOCAL_MAGIC:
            raise self._error(where, "damaged: no header where it should be")
        _, _, flags, method, _, _, _, _, _, length, extra = _LOCAL.unpack(header)
        name = self._file.read(length).decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        if method != entry.compress_type or flags & _ENCRYPTED or name != entry.orig_filename:
            found = "damaged: its header contradicts the directory of the archive"
            raise self._error(where, found, "the same name and method in both", "pack it again")
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
    """Open a zip archive that may come from anywhere.

    Parameters
    ----------
    file : file
        Opened for reading.
    where : str
        The file, for errors.
    error_type : type of SdtLavaError
        Raised for everything that is wrong with it.
    most_entries : int
        Entries that it may have.
    remedy : str
        What to do if it has more.

    Raises
    ------
    SdtLavaError
        If it has more entries.
    BadZipFile
        If it is no zip archive.
    """
    try:
        archive = _Directory(file, most_entries)
    except _TooManyError:
        found = f"more than {most_entries} entries"
        raise error_type(where, found, f"at most {most_entries}", remedy) from None
    with archive:
        yield ZipReader(archive, file, where, error_type)
