"""Pickles that would take time or memory out of all proportion to their size."""

from __future__ import annotations

import io
import struct
import zipfile
from collections import OrderedDict

import pytest
import torch

from sdt_lava import load_model
from sdt_lava.errors import CheckpointError, ConfigError, SdtLavaError
from sdt_lava.families.arguments import INERT_CLASSES
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.official_config import _FIELDS, read_settings
from sdt_lava.io.checkpoint.archive import read_archive
from sdt_lava.io.limits import allowing
from tests.families.sdt1.official_cases import official_config

START = b"\x80\x02"
# Python's hash of an integer is its remainder by this.
HASH_MODULUS = 2**61 - 1
STORAGE = (
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuM\x00\x01tQ"
)


def long(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def laughs(count=60):
    """A tuple of the tuple before, twice: as a tree, 2^count elements."""
    doubled = (b"h" + bytes([n - 1]) + b"\x86q" + bytes([n]) for n in range(1, count))
    return b"]q\x00" + b"".join(doubled)


def tensor(size=256, stride=1):
    arguments = (
        STORAGE + b"K\x00M" + struct.pack("<H", size) + b"\x85K" + bytes([stride]) + b"\x85\x89}"
    )
    return b"ctorch._utils\n_rebuild_tensor_v2\nq\x00(" + arguments + b"tq\x01R"


@pytest.fixture
def archive(tmp_path):
    def write(content):
        path = tmp_path / "model.pt"
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("a/data.pkl", START + content + b".")
            file.writestr("a/data/0", bytes(1024))
        return path

    return write


BOMBS = {
    "colliding keys": b"}("
    + b"".join(long(n * HASH_MODULUS) + b"N" for n in range(1, 50_000))
    + b"u",
    "integers as keys": b"}("
    + b"".join(b"J" + struct.pack("<i", n) + b"N" for n in range(20_000))
    + b"u",
    "keys of integers, one by one": b"}"
    + b"".join(b"J" + struct.pack("<i", n) + b"Ns" for n in range(20_000)),
    "tuples as keys": b"}(" + laughs() + b"Nu",
    "floats as keys": b"}(G" + struct.pack(">d", 1.0) + b"Nu",
    "a scattered memo": b"]" + b"".join(b"r" + struct.pack("<I", n << 12) for n in range(1, 9)),
    "a dict of attributes, again and again": b"cargparse\nNamespace\n)\x81}("
    + b"".join(text(f"key {n}") + b"N" for n in range(2_000))
    + b"uq\x00b"
    + b"h\x00b" * 1_000,
    "very long calls": tensor()[:-1] + b"(" + b"K\x00" * 1_000 + b"tR",
    "very many tensors": b"](" + tensor(1) + b"h\x00h\x01R" * 200_000 + b"e",
    "views of one storage": b"](" + tensor() + b"h\x00h\x01R" * 10_000 + b"e",
    "a storage of two types": b"](" + STORAGE + STORAGE.replace(b"Float", b"Int") + b"e",
    "a list set into a tensor": tensor() + b"(K\x00" + laughs() + b"u",
    "one value set into a tensor": tensor() + b"K\x00" + laughs() + b"s",
    "appended to a tensor": tensor() + b"Na",
    "appended to a dict": b"}(Ne",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(name, archive):
    with pytest.raises(CheckpointError) as caught:
        read_archive(archive(BOMBS[name]), INERT_CLASSES)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "content",
    [
        b"]" * 100_000 + b"a" * 99_999,
        b")" + b"\x85" * 300_000,
        b"}" + b"".join(text("k") + b"}" for _ in range(100_000)) + b"s" * 100_000,
        laughs(),
    ],
)
def test_deep_and_shared_structures_end_in_one_sentence(content, archive):
    for whole in (
        content,
        b"}(" + text("state_dict") + content + b"u",
        b"}(" + text("format") + content + b"u",
        b"}(" + text("state_dict") + b"}" + text("args") + content + b"u",
    ):
        with pytest.raises(SdtLavaError) as caught:
            load_model(archive(whole))
        assert len(str(caught.value)) < 2000


def shared(depth=60):
    value = ()
    for _ in range(depth):
        value = (value, value)
    return value


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_configuration_of_shared_values_is_not_walked(kind):
    own = official_config().to_dict()
    for key in own:
        with pytest.raises(ConfigError) as caught:
            SdtConfig.from_dict({**own, key: kind(shared())})
        assert len(str(caught.value)) < 2000
    for key in (*_FIELDS, "spike_mode"):
        with pytest.raises(ConfigError, match=key) as caught:
            read_settings({key: kind(shared())}, "args")
        assert len(str(caught.value)) < 2000


def saved(content, protocol):
    buffer = io.BytesIO()
    torch.save(content, buffer, pickle_protocol=protocol)
    return buffer.getvalue()


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_optimizers_save_is_read(protocol, tmp_path):
    """Integers as keys, shared storages, one storage of several tensors, many attributes."""
    whole = torch.arange(600, dtype=torch.float32)
    content = {
        "optimizer": {"state": {n: {"step": n, "mean": whole[n : n + 9]} for n in range(500)}},
        "ema": OrderedDict((f"w{n}", whole.view(20, 30)) for n in range(8)),
        "same": [whole, whole],
        "numbers": [2**200, -1, 1.5, True, None],
    }
    path = tmp_path / "model.pt"
    path.write_bytes(saved(content, protocol))
    read = read_archive(path)
    assert read["numbers"] == content["numbers"]
    assert list(read["optimizer"]["state"]) == list(range(500))
    assert torch.equal(read["optimizer"]["state"][77]["mean"], whole[77:86])
    assert all(torch.equal(value, whole.view(20, 30)) for value in read["ema"].values())


def test_the_limit_of_tensors_is_an_option(archive):
    path = archive(b"](" + tensor(1) + b"h\x00h\x01R" * 50 + b"e")
    with allowing(checkpoint_entries=20), pytest.raises(CheckpointError, match="20 tensors"):
        read_archive(path)
    assert len(read_archive(path)) == 51
