"""NumPy's numbers in a checkpoint: read as Python's, and everything else of NumPy refused."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch

from sdt_lava.errors import CheckpointError
from sdt_lava.families import read_archive
from tests.families.sdt1.test_hostile_official import Calls, system
from tests.io.checkpoint import hostile

PROTOCOLS = (2, 3, 4, 5)
NUMBERS = [
    np.float64(91.2),
    np.float32(0.1),
    np.float16(-2.5),
    np.float64(-0.0),
    np.float64("inf"),
    np.float64("nan"),
    np.int64(-(2**63)),
    np.uint64(2**64 - 1),
    np.int32(7),
    np.int16(-7),
    np.int8(-128),
    np.uint8(255),
    np.bool_(True),
    np.bool_(False),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_they_become_numbers_of_python(protocol, tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"numbers": NUMBERS, "again": NUMBERS[0]}, path, pickle_protocol=protocol)
    read = read_archive(path)
    assert read["again"] == 91.2
    for found, expected in zip(read["numbers"], NUMBERS, strict=True):
        assert type(found) is type(expected.item())
        same = found == expected.item() or (math.isnan(found) and np.isnan(expected))
        assert same and math.copysign(1, found) == math.copysign(1, expected.item())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_name_of_the_other_numpy(protocol, tmp_path):
    """The module was renamed in NumPy 2; this is the name that the NumPy at hand does not write."""
    old, new = b"numpy.core.multiarray", b"numpy._core.multiarray"
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        old, new = new, old
    data = pickle.dumps({"metric": np.float64(91.2)}, protocol)
    if protocol >= 4:  # names have their length in front
        # The frame's length would be wrong: it may be left out.
        data = data[:2] + data[11:]
        old, new = bytes([len(old)]) + old, bytes([len(new)]) + new
    changed = data.replace(old, new)
    assert changed != data
    assert read_archive(hostile.with_pickle(tmp_path / "m.pt", changed)) == {"metric": 91.2}


HOSTILE = {
    "an array": np.zeros(3),
    "an array of objects": np.array([{}], dtype=object),
    "a scalar of objects": Calls(np.core.multiarray.scalar, np.dtype("O"), {"any": "thing"}),
    "text": np.str_("text"),
    "bytes": np.bytes_(b"bytes"),
    "a date": np.datetime64("2023-07-04"),
    "a duration": np.timedelta64(5, "s"),
    "a complex number": np.complex128(1j),
    "a long double": np.longdouble(1),
    "a record": np.zeros(1, [("a", "f8")])[0],
    "a data type of objects": np.dtype("O"),
    "a data type of raw bytes": np.dtype("V8"),
    "a data type with fields": np.dtype([("a", "f8")]),
    "an aligned data type": np.dtype([("a", "f8")], align=True),
    "a data type with metadata": np.dtype("f8", metadata={"a": 1}),
    "a data type in big-endian": np.dtype(">f8"),
    "a data type in an array": np.dtype(("f8", 3)),
    "a class": np.float64,
    "a function": np.load,
    "a generator": np.random.default_rng(0),
    "a memory map": Calls(np.memmap, "/dev/null"),
    "a scalar of too many bytes": Calls(np.core.multiarray.scalar, np.dtype("V9"), b"123456789"),
    "another encoding": Calls(__import__("_codecs").encode, "a", "rot13"),
    "decoding": Calls(__import__("_codecs").decode, "61", "hex"),
    "long bytes": Calls(__import__("_codecs").encode, "a" * 9, "latin1"),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_else_of_numpy(name, protocol, tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"metric": HOSTILE[name]}, path, pickle_protocol=protocol)
    with pytest.raises(CheckpointError, match="more than data") as caught:
        read_archive(path)
    assert caught.value.remedy


def number(dtype: bytes = b"", state: bytes = b"", data: bytes = b"") -> bytes:
    """The pickle of numpy.float64(1.0), with parts replaced."""
    dtype = dtype or b"(X\x02\x00\x00\x00f8\x89\x88tR"
    state = state or b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    data = data or b"C\x08" + np.float64(1).tobytes()
    return (
        b"\x80\x03cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n" + dtype + state + data + b"tR."
    )


def test_the_pickle_by_hand_is_numpys(tmp_path):
    assert pickle.loads(number()) == 1.0
    assert read_archive(hostile.with_pickle(tmp_path / "m.pt", number())) == 1.0
    without = number(state=b"0cnumpy\ndtype\n(X\x02\x00\x00\x00f8\x89\x88tR")
    assert pickle.loads(without) == 1.0


DAMAGED = {
    "no byte order": number(state=b"0cnumpy\ndtype\n(X\x02\x00\x00\x00f8\x89\x88tR"),
    "one as true": number(dtype=b"(X\x02\x00\x00\x00f8\x89K\x01tR"),
    "aligned": number(dtype=b"(X\x02\x00\x00\x00f8\x88\x88tR"),
    "no name": number(dtype=b"(tR"),
    "a number as name": number(dtype=b"(K\x08\x89\x88tR"),
    "an unknown name": number(dtype=b"(X\x02\x00\x00\x00f9\x89\x88tR"),
    "objects": number(dtype=b"(X\x02\x00\x00\x00O8\x89\x88tR"),
    "a list as state": number(state=b"]b"),
    "an empty state": number(state=b")b"),
    "an attribute state": number(state=b"}b"),
    "big-endian": number(
        state=b"(K\x03X\x01\x00\x00\x00>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    ),
    "a version too far": number(
        state=b"(K\x04X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    ),
    "a subarray": number(
        state=b"(K\x03X\x01\x00\x00\x00<(K\x01tNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    ),
    "an own size": number(state=b"(K\x03X\x01\x00\x00\x00<NNNK\x10J\xff\xff\xff\xffK\x00tb"),
    "objects by flag": number(
        state=b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb"
    ),
    "true as flag": number(
        state=b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff\x89tb"
    ),
    "too few bytes": number(data=b"C\x07" + bytes(7)),
    "too many bytes": number(data=b"C\x09" + bytes(9)),
    "text for bytes": number(data=b"X\x08\x00\x00\x00abcdefgh"),
    "a list for bytes": number(data=b"]"),
    "no bytes": number(data=b"0cnumpy\ndtype\n"),
    "a type for bytes": number(data=b"2"),
    "no arguments": b"\x80\x03cnumpy.core.multiarray\nscalar\n)R.",
    "a symbol as type": b"\x80\x03cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\nC\x08"
    + bytes(8)
    + b"tR.",
    "a dict as type": b"\x80\x03cnumpy.core.multiarray\nscalar\n(}C\x08" + bytes(8) + b"tR.",
    "reconstruct": b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\ntR.",
    "a name in two parts": b"\x80\x04\x8c\x05numpy\x8c\x15core.multiarray.scalar\x93.",
    "a longer module": b"\x80\x04\x8c\x1cnumpy.core.multiarray.scalar\x8c\x00\x93.",
    "a number as module": b"\x80\x04K\x05\x8c\x06scalar\x93.",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_every_part_is_checked(name, tmp_path):
    with pytest.raises(CheckpointError):
        read_archive(hostile.with_pickle(tmp_path / "m.pt", DAMAGED[name]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_later_protocol_runs_anything(protocol, tmp_path):
    marker = tmp_path / "ran"
    path = tmp_path / "model.pt"
    torch.save({"metric": system(marker)}, path, pickle_protocol=protocol)
    with pytest.raises(CheckpointError, match=r"posix\.system"):
        read_archive(path)
    assert not marker.exists()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bytes_that_are_cut_off_or_too_long(protocol, tmp_path):
    """Any prefix of a pickle with NumPy's numbers is an error of ours."""
    data = pickle.dumps({"numbers": NUMBERS[:3]}, protocol)
    for length in range(0, len(data), 5):
        with pytest.raises(CheckpointError):
            read_archive(hostile.with_pickle(tmp_path / "m.pt", data[:length]))
