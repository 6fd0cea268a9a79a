"""Exploits inside the authors' layout, whose reader accepts one class more than ours."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
import time
import zipfile
from argparse import Namespace

import numpy as np
import pytest
import torch

from sdt_lava.errors import CheckpointError, ConfigError
from sdt_lava.families import load_model
from tests.families.sdt1.official_cases import (
    official_config,
    official_content,
    official_state,
    save,
)
from tests.io.checkpoint import hostile


class Calls:
    """Pickles into a call of anything."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def touching(marker) -> str:
    return f"open({str(marker)!r}, 'w').close()"


def system(marker):
    return Calls(os.system, f"touch '{marker}'")


def evaluated(marker):
    return Calls(eval, touching(marker))


def executed(marker):
    return Calls(exec, touching(marker))


def attribute_chain(marker):
    """getattr(__import__('os'), 'system')(...): no dangerous name is in the file as a global."""
    module = Calls(builtins.__import__, "os")
    return CallsResult(Calls(getattr, module, "system"), f"touch '{marker}'")


class CallsResult:
    """Pickles into a call of what another call returned."""

    def __init__(self, inner, *arguments):
        self.inner, self.arguments = inner, arguments

    def __reduce__(self):
        # map(f, [x]) consumed by tuple(): calls f without naming it.
        return tuple, (Calls(map, self.inner, list(self.arguments)),)


def nested_pickle(marker):
    """torch's own helper reads a whole archive from bytes, with the ordinary unpickler."""
    buffer = io.BytesIO()
    torch.save({"a": system(marker)}, buffer)
    return Calls(torch.storage._load_from_bytes, buffer.getvalue())


def plain_nested_pickle(marker):
    return Calls(pickle.loads, pickle.dumps(system(marker)))


def file_opened(marker):
    return Calls(open, str(marker), "w")


def numpy_pickle(marker):
    array = np.empty(1, object)
    array[0] = system(marker)
    return array


PAYLOADS = [
    system,
    evaluated,
    executed,
    attribute_chain,
    nested_pickle,
    plain_nested_pickle,
    file_opened,
    numpy_pickle,
]


def in_arguments(payload):
    content = official_content(official_config())
    content["args"].dim = payload
    return content


def in_unused_arguments(payload):
    content = official_content(official_config())
    content["args"].resume = [payload]
    return content


def as_arguments(payload):
    return official_content(official_config(), args=payload)


def in_weights(payload):
    state = {**official_state(official_config()), "head.bias": payload}
    return official_content(official_config(), state_dict=state)


def in_optimizer(payload):
    return official_content(official_config(), optimizer={"state": {0: payload}})


def as_metric(payload):
    return official_content(official_config(), metric=payload)


PLACES = [in_arguments, in_unused_arguments, as_arguments, in_weights, in_optimizer, as_metric]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("place", PLACES, ids=lambda f: f.__name__)
def test_nothing_is_executed(place, payload, tmp_path):
    marker = tmp_path / "ran"
    path = save(tmp_path / "model_best.pth.tar", place(payload(marker)))
    assert not marker.exists()
    with pytest.raises(CheckpointError) as caught:
        load_model(path, official_config())
    assert str(path) in caught.value.where and caught.value.remedy
    assert not marker.exists()


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda f: f.__name__)
def test_the_exploits_work_elsewhere(payload, tmp_path):
    """Without this, the test above could pass for the wrong reason."""
    marker = tmp_path / "ran"
    path = save(tmp_path / "model_best.pth.tar", in_unused_arguments(payload(marker)))
    torch.load(path, weights_only=False)
    assert marker.exists()


def test_formats_before_zip(tmp_path):
    marker = tmp_path / "ran"
    path = tmp_path / "model_best.pth.tar"
    torch.save(as_metric(system(marker)), path, _use_new_zipfile_serialization=False)
    for make in (lambda: path, lambda: hostile.tar_that_runs(path, marker)):
        with pytest.raises(CheckpointError, match="zip"):
            load_model(make(), official_config())
    assert not marker.exists()


def test_a_zip_inside_the_zip_is_not_opened(tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "model_best.pth.tar"
    inner = hostile.zip_that_runs(tmp_path / "inner.zip", marker).read_bytes()
    files = hostile.entries(official_content(official_config()))
    hostile.write_zip(path, {**files, "archive/data/inner/data.pkl": inner, "inner.zip": inner})
    load_model(path)
    hostile.write_zip(path, {**files, "archive/data.pkl": inner})
    with pytest.raises(CheckpointError):
        load_model(path)
    hostile.write_zip(path, {**files, "other/data.pkl": inner})
    with pytest.raises(CheckpointError, match=r"torch\.save has not written"):
        load_model(path)
    assert not marker.exists()


def test_zip_bombs(tmp_path):
    path = tmp_path / "model_best.pth.tar"
    files = hostile.entries(official_content(official_config()))
    hostile.write_zip(path, {**files, "archive/data/bomb": bytes(10**7)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**6
    with pytest.raises(CheckpointError, match="compressed"):
        load_model(path)


def namespace_pickle(attributes: bytes) -> bytes:
    """Build {"args": Namespace with these attributes, "state_dict": {}} by hand."""
    return (
        b"\x80\x02}(X\x04\x00\x00\x00argscargparse\nNamespace\n)\x81"
        + attributes
        + b"bX\x0a\x00\x00\x00state_dict}u."
    )


@pytest.mark.parametrize(
    "attributes",
    [
        b"]",  # a state that is a list
        b"N",
        b"}K\x01K\x02s",  # an attribute without a name
        b"}N\x86",  # (dict, slots)
        b"cargparse\nNamespace\n)\x81",
        b"cos\nsystem\n",
        b"cargparse\nNamespace\n",
        b"cargparse\n_sys\n",
        b"cargparse\nNamespace.__init__\n",
        b"cargparse\nArgumentParser\n)\x81",
        b"cargparse\nNamespace\n}\x81",
        b"cargparse\nNamespace\n)R",
    ],
)
def test_malformed_namespaces(attributes, tmp_path):
    path = hostile.with_pickle(tmp_path / "model_best.pth.tar", namespace_pickle(attributes))
    with pytest.raises(CheckpointError):
        load_model(path, official_config())


@pytest.mark.parametrize("name", ["__class__", "__dict__", "__reduce__", "__init__", "__del__"])
def test_special_names_in_the_namespace_are_only_names(name, tmp_path):
    content = official_content(official_config())
    vars(content["args"])[name] = "os.system"
    path = save(tmp_path / "model_best.pth.tar", content)
    with pytest.raises(ConfigError, match=f"unknown arguments '{name}'"):
        load_model(path)


def deep_list(depth=60):
    """A few hundred bytes that stand for 2^60 elements."""
    value = [1]
    for _ in range(depth):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    "change",
    [
        lambda c: setattr(c["args"], "dim", deep_list()),
        lambda c: setattr(c["args"], "mean", deep_list()),
        lambda c: setattr(c["args"], "img_size", deep_list()),
        lambda c: setattr(c["args"], "spike_mode", deep_list()),
        lambda c: c.update(args=deep_list()),
        lambda c: c.update(state_dict=deep_list()),
        lambda c: c["state_dict"].update({"head.bias": deep_list()}),
        lambda c: c.update(format="sdt-lava-checkpoint", version=1, config={"dim": deep_list()}),
        lambda c: c.update(format="sdt-lava-checkpoint", version=1, config=with_lists()),
        lambda c: c.update(format=deep_list()),
        lambda c: c.update(format="sdt-lava-checkpoint", version=deep_list()),
    ],
)
def test_structures_that_are_larger_than_they_look(change, tmp_path):
    content = official_content(official_config())
    change(content)
    path = save(tmp_path / "model_best.pth.tar", content)
    began = time.perf_counter()
    with pytest.raises((CheckpointError, ConfigError)) as caught:
        load_model(path)
    assert time.perf_counter() - began < 5
    assert len(str(caught.value)) < 100_000


def with_lists():
    return {**official_config().to_dict(), "image_size": deep_list()}


def test_a_key_that_never_finishes_to_hash(tmp_path):
    """A tuple of the same tuple twice, fifty times over: hashing visits every path."""
    key = (
        b"K\x01"
        + b"\x85"
        + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(50))
    )
    for pickled in (b"\x80\x02}" + key + b"K\x02s.", b"\x80\x02}(" + key + b"K\x02u."):
        path = hostile.with_pickle(tmp_path / "model.pt", pickled)
        with pytest.raises(CheckpointError, match="neither text nor an integer"):
            load_model(path)


def test_tensors_that_reach_beyond_their_storage(tmp_path):
    path = tmp_path / "model_best.pth.tar"
    files = hostile.entries(official_content(official_config()))
    data = files["archive/data.pkl"]
    # The first convolution has 2 output channels: claim 250.
    claimed = data.replace(b"(K\x02K\x02K\x03K\x03t", b"(K\xfaK\x02K\x03K\x03t", 1)
    assert claimed != data
    with pytest.raises(CheckpointError, match="beyond its storage"):
        load_model(hostile.write_zip(path, {**files, "archive/data.pkl": claimed}))


def test_numbers_that_claim_too_much(tmp_path):
    content = official_content(official_config())
    huge = 10**4000
    for name in ("dim", "layer", "time_steps", "num_classes", "img_size", "mlp_ratio"):
        changed = {**content, "args": Namespace(**{**vars(content["args"]), name: huge})}
        with pytest.raises((CheckpointError, ConfigError)):
            load_model(save(tmp_path / "model_best.pth.tar", changed))
    state = {**content["state_dict"], "block.999999999.attn.q_conv.weight": torch.ones(1)}
    with pytest.raises((CheckpointError, ConfigError), match="1000000000"):
        load_model(save(tmp_path / "model_best.pth.tar", {**content, "state_dict": state}))


def test_damage_in_any_byte_of_the_structure(tmp_path):
    path = tmp_path / "model_best.pth.tar"
    files = hostile.entries(official_content(official_config()))
    data = files["archive/data.pkl"]
    whole = load_model(hostile.write_zip(path, files)).state_dict()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        changed = bytearray(data)
        changed[int(rng.integers(len(data)))] = int(rng.integers(256))
        hostile.write_zip(path, {**files, "archive/data.pkl": bytes(changed)})
        try:
            state = load_model(path).state_dict()
        except (CheckpointError, ConfigError):
            refused += 1
        else:  # the byte was in a text that nobody reads
            assert all(torch.equal(state[name], whole[name]) for name in whole)
    assert 50 <= refused < 60


def test_sizes_in_the_pickle(tmp_path):
    data = b"\x80\x02\x8e" + struct.pack("<Q", 2**62) + b"."
    with pytest.raises(CheckpointError):
        load_model(hostile.with_pickle(tmp_path / "model.pt", data))
