"""Access to an HDF5 file that may be damaged or hostile.

Everything is checked before it is read: that a name is a hard link (so nothing outside the file is
opened), that data lie in this file, how large they are, and what type they have. Whatever the HDF5
library raises becomes a :class:`sdt_lava.errors.NetworkFileError` that says where.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import h5py
import numpy as np

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.file_kinds import NETWORK, NIR, misplaced
from sdt_lava.io.files import open_regular
from sdt_lava.io.limits import limits, remedy
from sdt_lava.io.netx.heaps import check_heaps
from sdt_lava.io.netx.schema import MEMBER_LIMIT, RANK_LIMIT
from sdt_lava.io.netx.storage import Budget, check_size, check_storage, library_errors


@dataclass(frozen=True)
class SafeGroup:
    """A group, or the file itself, of which nothing is read unchecked.

    Parameters
    ----------
    group : h5py.Group
        The group.
    where : str
        File and path inside it, for errors.
    budget : Budget
        Shared by all groups of a file.
    """

    group: h5py.Group
    where: str
    budget: Budget

    def at(self, name: str) -> str:
        """Return how errors name a member."""
        return f"{self.where}/{ascii(name)[1:-1]}"

    @property
    def address(self) -> int:
        """Where the group is in its file: the same for all links to it."""
        with library_errors(self.where):
            return int(h5py.h5o.get_info(self.group.id).addr)

    def names(self, limit: int = MEMBER_LIMIT, advice: str = "") -> tuple[str, ...]:
        """Return the names of the members, of which there may be `limit`."""
        with library_errors(self.where):
            count = len(self.group)
            if count <= limit:
                return tuple(self.group)
        raise NetworkFileError(self.where, f"{count} members", f"at most {limit}", advice)

    def layers(self) -> tuple[str, ...]:
        """Return the names of the members of a group that holds a network's layers."""
        return self.names(limits().network_layers, remedy("network_layers"))

    def expect(self, required: Collection[str], optional: Collection[str] = ()) -> None:
        """Check that the members are the required ones and no others than the optional ones."""
        _compare(self.names(), required, optional, self.where, "member")

    def expect_attributes(self, required: Collection[str], optional: Collection[str] = ()) -> None:
        """Check the names of the attributes."""
        _compare(self.attributes(), required, optional, self.where, "attribute")

    def attributes(self) -> tuple[str, ...]:
        """Return the names of the attributes."""
        with library_errors(self.where):
            count = len(self.group.attrs)
            if count <= MEMBER_LIMIT:
                return tuple(self.group.attrs)
        raise NetworkFileError(self.where, f"{count} attributes", f"at most {MEMBER_LIMIT}")

    def _open(self, name: str) -> Any:
        where = self.at(name)
        with library_errors(where):
            link = self.group.get(name, getlink=True)
            hard = isinstance(link, h5py.HardLink)
            opened = (
                h5py.h5o.open(self.group.id, name.encode("utf-8", "surrogateescape"))
                if hard
                else None
            )
        if opened is None:
            raise NetworkFileError(
                where,
                f"a {type(link).__name__}",
                "data inside the file",
                "copy the data into the file",
            )
        return opened

    def subgroup(self, name: str) -> SafeGroup:
        """Return a member that is a group."""
        opened = self._open(name)
        if not isinstance(opened, h5py.h5g.GroupID):
            raise NetworkFileError(self.at(name), "not a group", "a group")
        with library_errors(self.at(name)):
            return SafeGroup(h5py.Group(opened), self.at(name), self.budget)

    def numbers(self, name: str, kinds: str = "iu") -> np.ndarray:
        """Read a dataset of numbers of the given dtype kinds ('i', 'u', 'f', 'b')."""
        dataset, where = self._dataset(name), self.at(name)
        with library_errors(where):
            dtype = dataset.dtype
        if dtype.kind not in kinds or dtype.itemsize > 8:
            raise NetworkFileError(where, f"type {dtype}", _kind_names(kinds))
        check_size(dataset, where, self.budget)
        with library_errors(where):
            return np.asarray(dataset[()])

    def text(self, name: str) -> str:
        """Read a dataset of one ASCII string: a scalar, as Python writes it, or an array of one."""
        dataset, where = self._dataset(name), self.at(name)
        with library_errors(where):
            dtype, shape = dataset.dtype, dataset.shape
            string = h5py.check_string_dtype(dtype)
        if string is None or shape is None or prod(shape) != 1 or len(shape) > RANK_LIMIT:
            raise NetworkFileError(where, f"type {dtype} of shape {shape}", "one string")
        check_size(dataset, where, self.budget)
        with library_errors(where):
            raw = dataset[(0,) * len(shape)] if shape else dataset[()]
        try:
            return bytes(raw).decode("ascii")
        except (UnicodeDecodeError, TypeError) as error:
            raise NetworkFileError(where, f"{raw!r}", "an ASCII string") from error

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape that a dataset declares; nothing is read."""
        dataset = self._dataset(name)
        with library_errors(self.at(name)):
            return tuple(dataset.shape or ())

    def is_group(self, name: str) -> bool:
        """Tell whether a member is a group."""
        return isinstance(self._open(name), h5py.h5g.GroupID)

    def is_text(self, name: str) -> bool:
        """Tell whether a member is a dataset of strings."""
        dataset = self._dataset(name)
        with library_errors(self.at(name)):
            return h5py.check_string_dtype(dataset.dtype) is not None

    def strings(self, name: str, limit: int, count: int = 1) -> np.ndarray:
        """Read a dataset of up to `count` strings in UTF-8 of up to `limit` bytes, as objects."""
        dataset, where = self._dataset(name), self.at(name)
        with library_errors(where):
            dtype, shape = dataset.dtype, dataset.shape
            string = h5py.check_string_dtype(dtype)
        if string is None:
            raise NetworkFileError(where, f"type {dtype}", "strings")
        if prod(shape or ()) > count:
            few = "one string" if count == 1 else f"at most {count}"
            raise NetworkFileError(where, f"{prod(shape)} strings", few)
        check_size(dataset, where, self.budget)
        found = np.empty(shape, object)
        for index in np.ndindex(shape):
            # One at a time: many elements of a small array may refer to one long string.
            with library_errors(where):
                raw = bytes(dataset[index])
            if len(raw) > limit:
                raise NetworkFileError(where, f"a string of {len(raw)} bytes", f"at most {limit}")
            try:
                found[index] = raw.decode()
            except UnicodeDecodeError as error:
                raise NetworkFileError(where, f"{raw[:40]!r}", "text in UTF-8") from error
        return found

    def _dataset(self, name: str) -> h5py.Dataset:
        opened, where = self._open(name), self.at(name)
        if not isinstance(opened, h5py.h5d.DatasetID):
            raise NetworkFileError(where, "not a dataset", "a dataset")
        with library_errors(where):
            # Before anything else: even asking a virtual dataset for its shape may open files.
            properties = opened.get_create_plist()
            check_storage(properties, where)
            return h5py.Dataset(opened)

    def attribute(self, name: str, kinds: str = "iu", limit: int = RANK_LIMIT) -> np.ndarray:
        """Read an attribute of up to `limit` numbers of the given dtype kinds."""
        where = f"{self.where}: attribute {name!r}"
        with library_errors(where):
            opened = h5py.h5a.open(self.group.id, name.encode())
            dtype, shape = opened.dtype, opened.shape
        if dtype.kind not in kinds or dtype.itemsize > 8:
            raise NetworkFileError(where, f"type {dtype}", _kind_names(kinds))
        if shape is None or len(shape) > 1 or prod(shape) > limit:
            raise NetworkFileError(where, f"shape {shape}", f"at most {limit} numbers")
        with library_errors(where):
            return np.asarray(self.group.attrs[name])

    def text_attribute(self, name: str, limit: int) -> str:
        """Read an attribute of one string of up to `limit` bytes."""
        where = f"{self.where}: attribute {name!r}"
        with library_errors(where):
            opened = h5py.h5a.open(self.group.id, name.encode())
            dtype, shape = opened.dtype, opened.shape
            string = h5py.check_string_dtype(dtype)
        if string is None or shape != ():
            raise NetworkFileError(where, f"type {dtype} of shape {shape}", "one string")
        if string.length is not None and string.length > limit:
            raise NetworkFileError(where, f"{string.length} bytes", f"at most {limit}")
        with library_errors(where):
            raw = self.group.attrs[name]
        try:
            encoded = raw.encode() if isinstance(raw, str) else bytes(raw)
            text = encoded.decode()
        except (UnicodeError, TypeError) as error:
            raise NetworkFileError(where, f"{raw[:40]!r}", "text in UTF-8") from error
        if len(encoded) > limit:
            raise NetworkFileError(where, f"{len(encoded)} bytes", f"at most {limit}")
        return text


def _kind_names(kinds: str) -> str:
    names = {"i": "integers", "u": "unsigned integers", "f": "floats", "b": "booleans"}
    return " or ".join(names[kind] for kind in kinds) + " of at most 64 bits"


def _compare(
    found: Collection[str],
    required: Collection[str],
    optional: Collection[str],
    where: str,
    what: str,
) -> None:
    missing = sorted(set(required) - set(found))
    extra = sorted(set(found) - set(required) - set(optional))
    allowed = ", ".join([*sorted(required), *(f"{name} (optional)" for name in sorted(optional))])
    if missing:
        raise NetworkFileError(where, f"no {what} {missing[0]!r}", allowed or "none")
    if extra:
        raise NetworkFileError(where, f"unexpected {what} {extra[0]!a}", allowed or "none")


@contextmanager
def open_safely(path: str | os.PathLike[str], what: str) -> Iterator[SafeGroup]:
    """Open an HDF5 file that may come from anywhere, for reading.

    Parameters
    ----------
    path : path-like
        The file.
    what : str
        What it should be, for errors, such as 'an HDF5 network file'.

    Yields
    ------
    SafeGroup
        The file's root.

    Raises
    ------
    NetworkFileError
        If there is no such file, it is too large, or not HDF5.
    """
    name = os.fsdecode(path)
    with opened_safely(path, what) as file, open_root(file, name, what) as root:
        yield root


@contextmanager
def open_root(file: BinaryIO, name: str, what: str) -> Iterator[SafeGroup]:
    """Read a file that is open as HDF5; arguments and errors as of `open_safely`.

    Parameters
    ----------
    file : file object
        A regular file, opened for reading.
    name : str
        What errors call it.
    what : str
        As in `open_safely`.
    """
    size = os.fstat(file.fileno()).st_size
    _check_file_size(name, size)
    # This name leads to what is open, whatever has become of the file's own.
    link = f"/proc/self/fd/{file.fileno()}"
    link = link if os.path.exists(link) else name
    with library_errors(name):
        is_hdf5 = bool(h5py.is_hdf5(link))
    if not is_hdf5:
        found, remedy = misplaced(name, NETWORK, NIR) or (
            "not an HDF5 file",
            "export the network again",
        )
        raise NetworkFileError(name, found, what, remedy)
    with library_errors(name):
        check_heaps(file, name)
        opened = h5py.File(link, "r")
    try:
        _check_lengths(opened, name)
        yield SafeGroup(opened, name, Budget(size))
    except MemoryError as error:
        raise NetworkFileError(
            name, "more than fits in the memory that is left", what, "use a machine with more"
        ) from error
    finally:
        with library_errors(name):
            opened.close()


@contextmanager
def opened_safely(path: str | os.PathLike[str], what: str) -> Iterator[BinaryIO]:
    """Open a regular file, for `open_root`; arguments and errors as of `open_safely`."""
    name = os.fsdecode(path)
    with library_errors(name):
        try:
            file = open_regular(path, NetworkFileError, what)
        except FileNotFoundError as error:
            raise NetworkFileError(name, "no such file", what) from error
    with file:
        yield file


def _check_lengths(file: h5py.File, path: str) -> None:
    """Refuse other sizes of offsets and lengths than those with which heaps were checked."""
    with library_errors(path):
        sizes = file.id.get_create_plist().get_sizes()
    if sizes != (8, 8):
        raise NetworkFileError(path, f"offsets and lengths of {sizes} bytes", "8 each, as usual")


def _check_file_size(path: str, size: int) -> None:
    """Refuse a file that alone is larger than everything that may be read from one."""
    limit = limits().network_bytes + limits().metadata_bytes
    if size > limit:
        raise NetworkFileError(path, f"{size} bytes", f"at most {limit}", remedy("network_bytes"))
