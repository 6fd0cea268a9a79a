"""Files that try to run code, exhaust memory or read beyond their data."""

from __future__ import annotations

import pickle
import struct
import zipfile

import pytest
import torch

from sdt_lava.errors import CheckpointError
from sdt_lava.families import load_checkpoint, load_model, read_archive
from sdt_lava.io.limits import allowing
from tests.io.checkpoint import hostile

RUNNERS = [
    hostile.zip_that_runs,
    hostile.pickle_that_runs,
    hostile.tar_that_runs,
    hostile.tar_with_zip_at_the_end,
    hostile.torch_module,
]


@pytest.mark.parametrize("make", RUNNERS, ids=lambda make: make.__name__)
def test_code_is_never_run(make, tmp_path):
    marker = tmp_path / "ran"
    path = make(tmp_path / "model.pt", marker)
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    assert str(path) in caught.value.where
    assert caught.value.remedy
    assert not marker.exists()


def test_the_hostile_pickle_would_run(tmp_path):
    """Without this, the test above could pass for the wrong reason."""
    marker = tmp_path / "ran"
    path = hostile.pickle_that_runs(tmp_path / "model.pt", marker)
    pickle.loads(path.read_bytes())
    assert marker.exists()


def test_every_global_but_the_listed_is_refused(tmp_path):
    for module, name in [("builtins", "eval"), ("torch", "load"), ("os", "system")]:
        data = b"\x80\x02" + f"c{module}\n{name}\n".encode() + b"."
        path = hostile.with_pickle(tmp_path / "model.pt", data)
        with pytest.raises(CheckpointError, match=rf"{module}\.{name}"):
            read_archive(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02}R.",
        b"\x80\x02}}b.",
        b"\x80\x02ccollections\nOrderedDict\n}b.",
        b"\x80\x02ccollections\nOrderedDict\n)\x81.",
        b"\x80\x02)Q.",
        b"\x80\x02h\x05.",
        b"(i__main__\nX\n.",
        b"\x80\x02X\xff\xff\xff\xff.",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
        b"\x80\x02" + b"(" * 1000 + b".",
        b"\x80\x02K\x01K\x02s.",
    ],
)
def test_malformed_pickles(data, tmp_path):
    path = hostile.with_pickle(tmp_path / "model.pt", data)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def longer_than_its_data(tmp_path, pattern, replacement):
    files = hostile.entries({"a": torch.zeros(4)})
    changed = files["archive/data.pkl"].replace(pattern, replacement)
    assert changed != files["archive/data.pkl"]
    return hostile.write_zip(tmp_path / "model.pt", {**files, "archive/data.pkl": changed})


def test_a_storage_that_claims_to_be_longer(tmp_path):
    """torch 2.3 reads such a tensor from whatever memory follows."""
    path = longer_than_its_data(tmp_path, b"K\x04tq", b"M\x10\x27tq")
    with pytest.raises(CheckpointError, match="should have 10000 numbers"):
        read_archive(path)


def test_a_view_that_reaches_beyond_its_storage(tmp_path):
    path = longer_than_its_data(tmp_path, b"K\x04\x85", b"M\x10\x27\x85")
    with pytest.raises(CheckpointError, match="beyond its storage"):
        read_archive(path)


def test_a_few_bytes_expanded_to_a_huge_tensor(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"a": torch.zeros(1).expand(2**40)}, path)
    with pytest.raises(CheckpointError, match="beyond its storage"):
        read_archive(path)


def test_compressed_entries(tmp_path):
    files = {**hostile.entries({"a": torch.zeros(4)}), "archive/data/9": bytes(10**7)}
    path = hostile.write_zip(tmp_path / "model.pt", files, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**5
    with pytest.raises(CheckpointError, match="compressed"):
        load_model(path)


def test_entries_that_share_their_bytes(tmp_path):
    """A stored bomb: many directory entries for one run of bytes."""
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}, 2))
        file.writestr("archive/data/0", bytes(10**5))
        shared = file.infolist()[-1]
        for number in range(1, 50):
            copy = zipfile.ZipInfo(f"archive/data/{number}")
            copy.header_offset, copy.CRC = shared.header_offset, shared.CRC
            copy.file_size = copy.compress_size = shared.file_size
            file.filelist.append(copy)
    with pytest.raises(CheckpointError, match="bytes together"):
        load_model(path)


def test_bounds_on_entries_structure_and_size(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"a": torch.zeros(4), "b": torch.zeros(4)}, path)
    for name, limit in [("entries", 3), ("structure_bytes", 10), ("bytes", 99)]:
        with (
            allowing(**{f"checkpoint_{name}": limit}),
            pytest.raises(CheckpointError, match=rf"\b{limit}\b.*--allow checkpoint-") as caught,
        ):
            read_archive(path)
        assert name.replace("_", "-") in caught.value.remedy
    assert set(read_archive(path)) == {"a", "b"}


@pytest.mark.parametrize("names", [["a.txt"], ["x/data.pkl", "y/data.pkl"], ["x/y/data.pkl"]])
def test_zips_of_other_programs(names, tmp_path):
    path = hostile.write_zip(tmp_path / "model.pt", dict.fromkeys(names, b"hello"))
    with pytest.raises(CheckpointError, match=r"torch\.save has not written"):
        load_model(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", b"1")
        file.writestr("archive/data.pkl", b"2")
    with pytest.raises(CheckpointError, match="two entries"):
        load_model(path)


def test_big_endian_tensors(tmp_path):
    files = {**hostile.entries({"a": torch.zeros(4)}), "archive/byteorder": b"big"}
    with pytest.raises(CheckpointError, match="big-endian"):
        read_archive(hostile.write_zip(tmp_path / "model.pt", files))


def test_attribute_bags_only_where_asked_for(tmp_path):
    from argparse import Namespace

    path = tmp_path / "model.pt"
    torch.save({"args": Namespace(dim=64, pooling_stat="0011")}, path)
    with pytest.raises(CheckpointError, match=r"argparse\.Namespace"):
        read_archive(path)
    content = read_archive(path, {("argparse", "Namespace"): Namespace})
    assert vars(content["args"]) == {"dim": 64, "pooling_stat": "0011"}


def test_ordinary_content_is_read_as_torch_reads_it(tmp_path):
    path = tmp_path / "model.pt"
    base = torch.arange(24.0).reshape(4, 6)
    content = {
        "view": base[1:, ::2],
        "transposed": base.T,
        "types": [torch.ones(3, dtype=kind) for kind in (torch.float64, torch.half, torch.bool)],
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(7),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "state": torch.nn.Linear(2, 3).state_dict(),
        "plain": (1, -5, 2**40, 0.5, True, None, "text", [1, {2: 3}]),
    }
    torch.save(content, path)
    read, expected = read_archive(path), torch.load(path, weights_only=True)
    assert read["plain"] == expected["plain"]
    for name in ("view", "transposed", "empty", "scalar", "parameter"):
        assert torch.equal(read[name], expected[name])
        assert read[name].dtype == expected[name].dtype
    assert all(map(torch.equal, read["types"], expected["types"]))
    assert all(torch.equal(read["state"][name], expected["state"][name]) for name in read["state"])


@pytest.mark.slow
def test_damaged_files_give_one_kind_of_error(tmp_path):
    """Every prefix of a file, and bytes changed at random: an error of ours or a result."""
    whole = tmp_path / "model.pt"
    torch.save({"a": torch.arange(5), "b": [1, "two"]}, whole)
    data = whole.read_bytes()
    damaged = tmp_path / "damaged.pt"
    for length in range(0, len(data), 7):
        damaged.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            read_archive(damaged)
    generator = torch.Generator().manual_seed(0)
    refused = 0
    for _ in range(1500):
        changed = bytearray(data)
        where, value = torch.randint(0, len(data), (2,), generator=generator).tolist()
        changed[where] = value % 256
        damaged.write_bytes(changed)
        try:
            assert isinstance(read_archive(damaged), dict)
        except CheckpointError:
            refused += 1
    assert 0 < refused < 1500


@pytest.mark.parametrize("content", [[{}], ({}, 3), torch.zeros(2)])
def test_content_that_is_no_dict_is_named(content, tmp_path):
    torch.save(content, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match=f"content of type {type(content).__name__};"):
        load_checkpoint(tmp_path / "c.pt")
