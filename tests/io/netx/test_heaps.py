"""Heaps of strings that the HDF5 library would walk for ever."""

import struct

import h5py
import pytest

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx import load_network
from sdt_lava.io.netx.heaps import check_heaps


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "strings.h5", "w") as file:
        for index in range(300):
            file[f"text{index}"] = "a text of any length " * index
    return tmp_path / "strings.h5"


def heaps(content):
    """Return where each heap begins."""
    starts, start = [], content.find(b"GCOL")
    while start >= 0:
        starts.append(start)
        start = content.find(b"GCOL", start + 1)
    return starts


def test_intact_heaps(path):
    assert len(heaps(path.read_bytes())) > 1
    with path.open("rb") as file:
        check_heaps(file, str(path))


ENTRY = struct.Struct("<HHIQ")


@pytest.mark.parametrize(
    "entry",
    [
        (1, 1, 0, 2**64 - 16),  # overflows to no step at all: the library does not return
        (0, 0, 0, 0),  # free space without size: the same
        (1, 1, 0, 2**40),
        (0, 0, 0, 2**40),
        (0, 0, 0, 8),
    ],
)
@pytest.mark.parametrize("which", [0, -1])
def test_entries_that_lead_nowhere(path, entry, which):
    content = bytearray(path.read_bytes())
    ENTRY.pack_into(content, heaps(content)[which] + 16, *entry)
    path.write_bytes(content)
    with pytest.raises(NetworkFileError, match="heap of strings"):
        load_network(path)


@pytest.mark.parametrize("size", [0, 15, 2**63, 10**9])
def test_sizes_of_a_heap(path, size):
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, heaps(content)[0] + 8, size)
    path.write_bytes(content)
    with pytest.raises(NetworkFileError, match="heap of strings"):
        load_network(path)


def test_a_heap_cut_off(path):
    content = path.read_bytes()
    path.write_bytes(content[: heaps(content)[-1] + 10])
    with path.open("rb") as file, pytest.raises(NetworkFileError):
        check_heaps(file, str(path))


def test_other_sizes_of_offsets(tmp_path):
    """With them, heaps look different from what was checked."""
    properties = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    properties.set_sizes(4, 4)
    name = str(tmp_path / "short.h5")
    h5py.h5f.create(name.encode(), h5py.h5f.ACC_TRUNC, properties).close()
    with pytest.raises(NetworkFileError, match="offsets and lengths"):
        load_network(name)
