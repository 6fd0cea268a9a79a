"""Safe access to an HDF5 file that may be damaged or malicious.

Everything is checked before it is read: that a name is a hard link (so that no other file is
opened), that the data are stored in this file, and their size and type. Exceptions of the HDF5
library become a :class:`sdt_lava.errors.NetworkFileError` with the location.
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
    """Checked access to a group, or to the file itself.

    Parameters
    ----------
    group : h5py.Group
        The group.
    where : str
        Name of the file and path inside it, for errors.
    budget : Budget
        Remaining bytes, shared by all groups of a file.
    """

    group: h5py.Group
    where: str
    budget: Budget

    def at(self, name: str) -> str:
        """Return the name of a member in errors."""
        return f"{self.where}/{ascii(name)[1:-1]}"

    @property
    def address(self) -> int:
        """Address of the group in its file, which is the same for all links to it."""
        with library_errors(self.where):
            return int(h5py.h5o.get_info(self.group.id).addr)

    def names(self, limit: int = MEMBER_LIMIT, advice: str = "") -> tuple[str, ...]:
        """Return the names of the members, of which there may be at most `limit`."""
        with library_errors(self.where):
            count = len(self.group)
            if count <= limit:
                return tuple(self.group)
        raise NetworkFileError(self.where, f"{count} members", f"at most {limit}", advice)

    def layers(self) -> tuple[str, ...]:
        """Return the names of the members of a group that contains a network's layers."""
        return self.names(limits().network_layers, remedy("network_layers"))

    def expect(self, required: Collection[str], optional: Collection[str] = ()) -> None:
        """Check that all required members exist, and no others except the optional ones."""
        _compare(self.names(), required, optional, self.where, "member")

    def expect_attributes(self, required: Collection[str], optional: Collection[str] = ()) -> None:
        """Check that all required attributes exist, and no others except the optional ones."""
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
            is_hard = isinstance(link, h5py.HardLink)
            identifier = (
                h5py.h5o.open(self.group.id, name.encode("utf-8", "surrogateescape"))
                if is_hard
                else None
            )
        if identifier is None:
            raise NetworkFileError(
                where,
                f"a {type(link).__name__}",
                "data inside the file",
                "copy the data into the file",
            )
        return identifier

    def subgroup(self, name: str) -> SafeGroup:
        """Return a member that is a group."""
        identifier = self._open(name)
        if not isinstance(identifier, h5py.h5g.GroupID):
            raise NetworkFileError(self.at(name), "not a group", "a group")
        with library_errors(self.at(name)):
            return SafeGroup(h5py.Group(identifier), self.at(name), self.budget)

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
        """Read a dataset of one ASCII string, either a scalar (as Python writes) or an array."""
        dataset, where = self._dataset(name), self.at(name)
        with library_errors(where):
            dtype, shape = dataset.dtype, dataset.shape
            string_info = h5py.check_string_dtype(dtype)
        if string_info is None or shape is None or prod(shape) != 1 or len(shape) > RANK_LIMIT:
            raise NetworkFileError(where, f"type {dtype} of shape {shape}", "one string")
        check_size(dataset, where, self.budget)
        with library_errors(where):
            raw = dataset[(0,) * len(shape)] if shape else dataset[()]
        try:
            return bytes(raw).decode("ascii")
        except (UnicodeDecodeError, TypeError) as error:
            raise NetworkFileError(where, f"{raw!r}", "an ASCII string") from error

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the declared shape of a dataset without reading its data."""
        dataset = self._dataset(name)
        with library_errors(self.at(name)):
            return tuple(dataset.shape or ())

    def is_group(self, name: str) -> bool:
        """Return whether a member is a group."""
        return isinstance(self._open(name), h5py.h5g.GroupID)

    def is_text(self, name: str) -> bool:
        """Return whether a member is a dataset of strings."""
        dataset = self._dataset(name)
        with library_errors(self.at(name)):
            return h5py.check_string_dtype(dataset.dtype) is not None

    def strings(self, name: str, limit: int, count: int = 1) -> np.ndarray:
        """Read a dataset of up to `count` UTF-8 strings, each of up to `limit` bytes."""
        dataset, where = self._dataset(name), self.at(name)
        with library_errors(where):
            dtype, shape = dataset.dtype, dataset.shape
            string_info = h5py.check_string_dtype(dtype)
        if string_info is None:
            raise NetworkFileError(where, f"type {dtype}", "strings")
        if prod(shape or ()) > count:
            allowed = "one string" if count == 1 else f"at most {count}"
            raise NetworkFileError(where, f"{prod(shape)} strings", allowed)
        check_size(dataset, where, self.budget)
        texts = np.empty(shape, object)
        for index in np.ndindex(shape):
            # One at a time: many elements of a small array may refer to the same long string.
            with library_errors(where):
                raw = bytes(dataset[index])
            if len(raw) > limit:
                raise NetworkFileError(where, f"a string of {len(raw)} bytes", f"at most {limit}")
            try:
                texts[index] = raw.decode()
            except UnicodeDecodeError as error:
                raise NetworkFileError(where, f"{raw[:40]!r}", "text in UTF-8") from error
        return texts

    def _dataset(self, name: str) -> h5py.Dataset:
        identifier, where = self._open(name), self.at(name)
        if not isinstance(identifier, h5py.h5d.DatasetID):
            raise NetworkFileError(where, "not a dataset", "a dataset")
        with library_errors(where):
            # Check this first: even querying the shape of a virtual dataset may open other files.
            properties = identifier.get_create_plist()
            check_storage(properties, where)
            return h5py.Dataset(identifier)

    def attribute(self, name: str, kinds: str = "iu", limit: int = RANK_LIMIT) -> np.ndarray:
        """Read an attribute of up to `limit` numbers of the given dtype kinds."""
        where = f"{self.where}: attribute {name!r}"
        with library_errors(where):
            attribute_id = h5py.h5a.open(self.group.id, name.encode())
            dtype, shape = attribute_id.dtype, attribute_id.shape
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
            attribute_id = h5py.h5a.open(self.group.id, name.encode())
            dtype, shape = attribute_id.dtype, attribute_id.shape
            string_info = h5py.check_string_dtype(dtype)
        if string_info is None or shape != ():
            raise NetworkFileError(where, f"type {dtype} of shape {shape}", "one string")
        if string_info.length is not None and string_info.length > limit:
            raise NetworkFileError(where, f"{string_info.length} bytes", f"at most {limit}")
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
    unexpected = sorted(set(found) - set(required) - set(optional))
    allowed = ", ".join([*sorted(required), *(f"{name} (optional)" for name in sorted(optional))])
    if missing:
        raise NetworkFileError(where, f"no {what} {missing[0]!r}", allowed or "none")
    if unexpected:
        raise NetworkFileError(where, f"unexpected {what} {unexpected[0]!a}", allowed or "none")


@contextmanager
def open_safely(path: str | os.PathLike[str], what: str) -> Iterator[SafeGroup]:
    """Open an untrusted HDF5 file for reading.

    Parameters
    ----------
    path : path-like
        The file.
    what : str
        Description of the expected file in errors, such as 'an HDF5 network file'.

    Yields
    ------
    SafeGroup
        The root group of the file.

    Raises
    ------
    NetworkFileError
        If the file does not exist, is too large, or is not HDF5.
    """
    name = os.fsdecode(path)
    with opened_safely(path, what) as file, open_root(file, name, what) as root:
        yield root


@contextmanager
def open_root(file: BinaryIO, name: str, what: str) -> Iterator[SafeGroup]:
    """Read an open file as HDF5; results and errors are those of `open_safely`.

    Parameters
    ----------
    file : file object
        A regular file, opened for reading.
    name : str
        Name of the file in errors.
    what : str
        As in `open_safely`.
    """
    size = os.fstat(file.fileno()).st_size
    _check_file_size(name, size)
    # This path always leads to the open file, even if the original path has been replaced.
    link = f"/proc/self/fd/{file.fileno()}"
    link = link if os.path.exists(link) else name
    with library_errors(name):
        is_hdf5 = bool(h5py.is_hdf5(link))
    if not is_hdf5:
        problem, remedy = misplaced(name, NETWORK, NIR) or (
            "not an HDF5 file",
            "export the network again",
        )
        raise NetworkFileError(name, problem, what, remedy)
    with library_errors(name):
        check_heaps(file, name)
        hdf5_file = h5py.File(link, "r")
    try:
        _check_lengths(hdf5_file, name)
        yield SafeGroup(hdf5_file, name, Budget(size))
    except MemoryError as error:
        raise NetworkFileError(
            name, "more than fits in the memory that is left", what, "use a machine with more"
        ) from error
    finally:
        with library_errors(name):
            hdf5_file.close()


@contextmanager
def opened_safely(path: str | os.PathLike[str], what: str) -> Iterator[BinaryIO]:
    """Open a regular file for `open_root`; arguments and errors are those of `open_safely`."""
    name = os.fsdecode(path)
    with library_errors(name):
        try:
            file = open_regular(path, NetworkFileError, what)
        except FileNotFoundError as error:
            raise NetworkFileError(name, "no such file", what) from error
    with file:
        yield file


def _check_lengths(file: h5py.File, path: str) -> None:
    """Refuse sizes of offsets and lengths other than those that `check_heaps` assumes."""
    with library_errors(path):
        sizes = file.id.get_create_plist().get_sizes()
    if sizes != (8, 8):
        raise NetworkFileError(path, f"offsets and lengths of {sizes} bytes", "8 each, as usual")


def _check_file_size(path: str, size: int) -> None:
    """Refuse a file that is larger than all data that may be read from a file."""
    limit = limits().network_bytes + limits().metadata_bytes
    if size > limit:
        raise NetworkFileError(path, f"{size} bytes", f"at most {limit}", remedy("network_bytes"))
