"""Zip archives that are not what they declare."""

from __future__ import annotations

import bz2
import io
import struct
import tracemalloc
import zipfile
import zlib
from functools import cache

import numpy as np
import pytest
import torch

from sdt_lava.datasets import load_dataset
from sdt_lava.errors import CheckpointError, DataError
from sdt_lava.io.archives import open_zip
from sdt_lava.io.checkpoint.archive import read_archive
from sdt_lava.io.limits import allowing

MEBIBYTE = 2**20


def npy(shape, dtype="<f4", start=None, data=b""):
    buffer = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return (start or buffer.getvalue()) + data


def packed(files, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return bytearray(buffer.getvalue())


def declare(content, *, method=None, size=None, packed_size=None, flags=None, central_only=False):
    """Change what the headers of the first member declare."""
    local, central = content.find(b"PK\x03\x04"), content.find(b"PK\x01\x02")
    for value, form, at in (
        (flags, "<H", 6),
        (method, "<H", 8),
        (packed_size, "<I", 18),
        (size, "<I", 22),
    ):
        if value is not None:
            struct.pack_into(form, content, central + at + 2, value)
            if not central_only:
                struct.pack_into(form, content, local + at, value)
    return content


@pytest.fixture
def refused(tmp_path):
    """Return the error of a data file, which is raised before much memory is taken."""

    def load(content, most=8 * MEBIBYTE):
        path = tmp_path / "bomb.npz"
        path.write_bytes(content)
        tracemalloc.start()
        try:
            with pytest.raises(DataError) as caught:
                load_dataset(path)
            assert tracemalloc.get_traced_memory()[1] < most
        finally:
            tracemalloc.stop()
        assert caught.value.where and caught.value.found
        return str(caught.value)

    return load


def inflating(compressor, start=b"", mebibytes=32):
    parts = [compressor.compress(start)]
    parts += [compressor.compress(bytes(MEBIBYTE)) for _ in range(mebibytes)]
    return b"".join((*parts, compressor.flush()))


@cache
def squeezed():
    spaces = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + b" " * 118
    return inflating(bz2.BZ2Compressor(9), spaces)


def deflated(start=b"", mebibytes=32):
    return inflating(zlib.compressobj(9, wbits=-15), start, mebibytes)


@pytest.mark.parametrize("method", [12, 14, 1, 97])
@pytest.mark.parametrize("size", [100, 0xFFFFFF00])
def test_methods_without_a_bound_are_refused_before_a_byte_is_inflated(method, size, refused):
    content = packed({"x.npy": squeezed()})
    assert f"method {method}" in refused(declare(content, method=method, size=size))


def test_a_header_that_inflates_without_end(refused):
    start = npy((1, 1, 2, 2))[:10]
    content = packed({"x.npy": deflated(start)})
    assert "damaged" in refused(declare(content, method=8, size=2**24))


@pytest.mark.parametrize("declared", [17 + 128, 2**20, 0])
def test_more_bytes_than_declared(declared, refused):
    start = npy((1, 1, 2, 2))
    content = packed({"x.npy": deflated(start)})
    assert "damaged" in refused(declare(content, method=8, size=declared))


def test_fewer_bytes_than_declared(refused):
    content = packed({"x.npy": npy((64, 1, 8, 8), data=bytes(100))}, zipfile.ZIP_DEFLATED)
    size = len(npy((64, 1, 8, 8))) + 64 * 64 * 4
    assert "declared" in refused(declare(content, size=size))


def test_a_member_larger_than_its_array(refused):
    content = packed({"x.npy": npy((1, 1, 2, 2), data=bytes(2**25))}, zipfile.ZIP_DEFLATED)
    assert "header and all values" in refused(content)


def test_ratios_that_deflate_cannot_have(refused):
    content = packed({"x.npy": npy((1, 1, 2, 2), data=bytes(16))}, zipfile.ZIP_DEFLATED)
    assert "1100" in refused(declare(content, size=2**30))


def test_stored_members_have_one_size(refused):
    content = packed({"x.npy": npy((1, 1, 2, 2), data=bytes(16))})
    assert "as many as are stored" in refused(declare(content, size=2**30))


def test_headers_that_contradict_each_other(refused):
    files = {"x.npy": npy((1, 1, 2, 2), data=bytes(16))}
    content = declare(packed(files), method=8, central_only=True)
    assert "contradicts" in refused(content)
    renamed = packed(files)
    renamed[30] = ord("z")
    assert "contradicts" in refused(renamed)


def test_encrypted_entries(refused):
    content = packed({"x.npy": npy((1, 1, 2, 2), data=bytes(16))})
    assert "encrypted" in refused(declare(content, flags=1))
    assert "contradicts" in refused(declare(content, flags=0, central_only=True))


def test_members_that_overlap(refused):
    """One stored member contains the next: its bytes would be read twice."""
    data = npy((1, 1, 64, 64), data=bytes(4 * 64 * 64))
    content = packed({"x.npy": data, "y.npy": npy((1,), "<i8", data=bytes(8))})
    grown = len(data) + 40
    assert "another entry" in refused(declare(content, size=grown, packed_size=grown))


def test_a_wrong_checksum(refused):
    content = packed({"x.npy": npy((1, 1, 2, 2), data=bytes(16))})
    content[content.find(b"PK\x01\x02") - 1] ^= 1
    assert "checksum" in refused(content)


def test_a_directory_of_very_many_entries(refused):
    files = {f"{number}.npy": b"" for number in range(1001)}
    assert "1000 entries" in refused(packed({"x.npy": npy((1, 1, 1, 1)), **files}))


def test_entries_are_counted_before_they_are_kept(tmp_path):
    path = tmp_path / "many.zip"
    path.write_bytes(packed({str(number): b"" for number in range(20_000)}))
    tracemalloc.start()
    try:
        with (
            path.open("rb") as file,
            pytest.raises(DataError, match="more than 10 entries"),
            open_zip(file, "many.zip", DataError, 10),
        ):
            pass
        assert tracemalloc.get_traced_memory()[1] < 4 * MEBIBYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "header",
    [
        npy((2**40, 1, 1, 1)),
        npy((-1, 1, 2, 2), data=bytes(16)),
        npy((1, 1, 2, 2), "|O", data=bytes(16)),
        npy((2**62, 4, 1, 1)),
        npy((1,) * 500, data=bytes(4)),
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b" " * 64,
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 65_000) + b"(" * 65_000,
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 9_000) + b"-" * 8_999 + b"1",
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 9_000) + b"[" * 4_500 + b"]" * 4_500,
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 9_000) + b"9" * 9_000,
    ],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_headers_of_arrays_that_are_not_there(header, method, refused):
    refused(packed({"x.npy": header}, method))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "u1", "?", ">i2"])
def test_what_numpy_writes_is_read_as_numpy_reads_it(save, order, dtype, tmp_path):
    x = (np.arange(60).reshape(5, 2, 3, 2) % 7).astype(dtype, order)
    save(tmp_path / "data.npz", other=np.arange(3), y=np.arange(5), x=x)
    read = load_dataset(tmp_path / "data.npz")
    assert np.array_equal(read.x, x) and read.x.dtype == np.float32
    assert np.array_equal(read.y, np.arange(5))


def test_zip64_and_data_descriptors_are_read(tmp_path):
    x, path = np.ones((2, 1, 3, 3), np.float32), tmp_path / "data.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        np.save(member, x)
    assert np.array_equal(load_dataset(path).x, x)

    class Stream(io.BytesIO):
        def seekable(self):
            return False

    stream = Stream()
    np.savez_compressed(stream, x=x)
    path.write_bytes(stream.getvalue())
    assert np.array_equal(load_dataset(path).x, x)


def test_checkpoints_are_read_by_the_same_rules(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"a": torch.ones(3)}, path)
    original = bytearray(path.read_bytes())
    assert torch.equal(read_archive(path)["a"], torch.ones(3))
    path.write_bytes(declare(bytearray(original), flags=1))
    with pytest.raises(CheckpointError, match="encrypted"):
        read_archive(path)
    with allowing(checkpoint_entries=2), pytest.raises(CheckpointError, match="2 entries"):
        read_archive(path)
