"""Files of safetensors: what is written is read, and nothing else is believed."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sdt_lava.errors import CheckpointError, SdtLavaError
from sdt_lava.families import load_model, load_with_report
from sdt_lava.io.checkpoint.safetensors import read_safetensors
from sdt_lava.io.limits import allowing
from tests.families.sdt1.official_cases import (
    official_config,
    official_content,
    official_state,
    save,
)
from tests.families.sdt1.test_official import outputs

NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


def raw(tensor):
    return (
        tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        if tensor.numel()
        else b""
    )


def written(path, tensors, **changes):
    """Write a file as the format's description says, with changes to its parts."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        block = raw(tensor)
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(block)],
        }
        data += block
    header = changes.get("edit", lambda value: value)(header)
    text = changes.get("text", json.dumps(header).encode())
    text += b" " * (-len(text) % 8)
    length = changes.get("length", len(text))
    path.write_bytes(struct.pack("<Q", length) + text + changes.get("data", data))
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_a_network(path, tmp_path):
    config = official_config()
    model = load_model(save(tmp_path / "m.pth", official_content(config)))
    written(path, {f"module.{k}": v for k, v in official_state(config).items()})
    loaded, report = load_with_report(path, config)
    assert torch.equal(outputs(loaded), outputs(model)) and report.weights == "file"
    # Whatever its name is, and our own layout, too.
    plain = written(tmp_path / "weights.bin", dict(model.state_dict()))
    assert torch.equal(outputs(load_model(plain, model.config)), outputs(model))
    with pytest.raises(CheckpointError, match="--config"):
        load_model(path)
    with pytest.raises(CheckpointError, match="state_dict_ema"):
        load_model(path, config, ema=True)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_what_is_written_is_read(data, tmp_path):
    shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
    kinds = st.sampled_from(list(NAMES))
    names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
    names = names.filter(lambda name: name != "__metadata__")
    described = data.draw(st.dictionaries(names, st.tuples(kinds, shapes), max_size=6))
    seed = data.draw(st.integers(0, 1000))
    random = np.random.default_rng(seed)
    tensors = {
        name: torch.from_numpy(random.integers(0, 2, shape)).to(kind)
        for name, (kind, shape) in described.items()
    }
    found = read_safetensors(written(tmp_path / "t.safetensors", tensors))
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
        assert raw(found[name]) == raw(tensor)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0, 400), value=st.integers(0, 255), cut=st.integers(0, 400))
@example(place=1, value=0, cut=0)  # no damage: a file of less than 256 bytes of structure
def test_any_damage_is_one_kind_of_error(place, value, cut, tmp_path):
    path = written(tmp_path / "t.safetensors", {"a": torch.ones(3, 2), "b": torch.ones(5).half()})
    whole = path.read_bytes()
    content = bytearray(whole)
    content[place % len(content)] = value
    content = bytes(content[: len(content) - cut % len(content)])
    path.write_bytes(content)
    try:
        found = read_safetensors(path)
    except SdtLavaError:
        assert content != whole
    else:
        assert len(content) == len(whole)  # one that is shorter is refused
        assert sorted(tensor.numel() for tensor in found.values()) == [5, 6]


def entry(**changes):
    return lambda header: {**header, "a": {**header["a"], **changes}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"edit": entry(data_offsets=[0, 12])}, "12 bytes for F32"),
        ({"edit": entry(data_offsets=[8, 24])}, "at bytes 8 to 24"),
        ({"edit": entry(data_offsets=[-16, 0])}, "data_offsets"),
        ({"edit": entry(data_offsets=[0, 2**62], shape=[2**60])}, "of 16"),
        ({"edit": entry(shape=[2**40, 2**40])}, "bytes for"),
        ({"edit": entry(shape=[-2, -2])}, "shape"),
        ({"edit": entry(shape=[1] * 17)}, "shape"),
        ({"edit": entry(shape=[True, 4])}, "shape"),
        ({"edit": entry(dtype="F8_E4M3")}, "dtype 'F8_E4M3'"),
        ({"edit": entry(dtype=["F32"])}, "dtype"),
        ({"edit": entry(more=1)}, "no tensor"),
        ({"edit": lambda header: {**header, "b": header["a"]}}, "not from 16"),
        ({"edit": lambda header: [header]}, "a list"),
        ({"text": b'{"a": 1, "a": 2}'}, "used twice"),
        ({"text": b"[" * 4000}, "no JSON"),
        ({"text": b"\xff\xfe"}, "no JSON"),
        ({"text": b"{}"}, "16 bytes of tensors, of which 0"),
        ({"length": 2**62}, "a header of"),
        ({"length": 0}, "a header of 0"),
        ({"data": b"\0" * 15}, "of 15"),
        ({"data": b"\0" * 17}, "17 bytes of tensors"),
    ],
)
def test_what_contradicts_itself(changes, said, path):
    with pytest.raises(CheckpointError, match=said):
        read_safetensors(written(path, {"a": torch.ones(4)}, **changes))


def test_limits(path):
    written(path, {"a": torch.ones(4), "b": torch.ones(4)})
    for limit in ("checkpoint_bytes", "checkpoint_structure_bytes", "checkpoint_entries"):
        with allowing(**{limit: 1}), pytest.raises(CheckpointError, match=limit.replace("_", "-")):
            read_safetensors(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="a file of 0"):
        read_safetensors(path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_safetensors(path.with_name("missing.safetensors"))
    with pytest.raises(CheckpointError, match="directory"):
        read_safetensors(path.parent)
