"""The library's own checkpoint format."""

from __future__ import annotations

import json
import os

import pytest
import torch

from sdt_lava.errors import CheckpointError, ConfigError
from sdt_lava.families import load_model, resolve_config, save_checkpoint
from sdt_lava.model import PRESETS, SdtConfig, SpikeDrivenTransformer, preset

CONFIG = SdtConfig(
    image_size=(8, 8),
    in_channels=1,
    num_classes=3,
    dim=8,
    depth=1,
    timesteps=2,
    num_heads=1,
    mlp_ratio=2.0,
    pooling_stat="0010",
)
NAME = "block.0.attn.q_bn.running_var"


@pytest.fixture
def model():
    torch.manual_seed(0)
    return SpikeDrivenTransformer(CONFIG).eval()


@pytest.fixture
def path(tmp_path, model):
    save_checkpoint(tmp_path / "model.pt", model)
    return tmp_path / "model.pt"


def changed(path, tmp_path, **entries):
    content = torch.load(path, weights_only=True)
    content.update(entries)
    torch.save(content, tmp_path / "changed.pt")
    return tmp_path / "changed.pt"


def with_tensor(path, tmp_path, value, name=NAME):
    state = torch.load(path, weights_only=True)["state_dict"]
    state[name] = value
    return changed(path, tmp_path, state_dict=state)


def test_round_trip(path, model):
    loaded = load_model(path)
    assert not loaded.training
    assert loaded.config == CONFIG
    x = torch.rand(3, 1, 8, 8) * 3
    assert torch.equal(loaded(x), model(x))


def test_it_holds_plain_types_only(path):
    content = torch.load(path, weights_only=True)
    assert content["format"] == "sdt-lava-checkpoint"
    assert content["version"] == 1
    assert SdtConfig.from_dict(content["config"]) == CONFIG
    json.dumps(content["config"])


def test_loading_leaves_the_random_state_alone(path):
    before = torch.get_rng_state()
    load_model(path)
    assert torch.equal(before, torch.get_rng_state())


def test_other_float_types_are_converted(path, tmp_path):
    state = torch.load(path, weights_only=True)["state_dict"]
    wide = {k: v.double() if v.is_floating_point() else v for k, v in state.items()}
    loaded = load_model(changed(path, tmp_path, state_dict=wide))
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}


def test_a_state_dict_alone_needs_a_configuration(tmp_path, model):
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="--config"):
        load_model(tmp_path / "weights.pt")
    loaded = load_model(tmp_path / "weights.pt", CONFIG)
    x = torch.rand(1, 1, 8, 8)
    assert torch.equal(loaded(x), model(x))


def test_all_sources_of_a_configuration(path, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG.to_dict()))
    for source in (CONFIG, CONFIG.to_dict(), file, str(file)):
        assert load_model(path, source).config == CONFIG
    assert resolve_config("digits") is PRESETS["digits"]
    assert load_model(path, {**CONFIG.to_dict(), "timesteps": 9}).config.timesteps == 9


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("{", "not JSON"),
        ("[1]", "a list"),
        ("[" * 100_000, "not JSON"),
        ("{}", "missing keys"),
        (json.dumps({**CONFIG.to_dict(), "dim": 9}), "multiple of 8"),
        (json.dumps({**CONFIG.to_dict(), "dim": float("nan")}), "NaN is not a finite number"),
        (json.dumps({**CONFIG.to_dict(), "dim": 8.5}), "integer"),
        (json.dumps({**CONFIG.to_dict(), "colour": 1}), "colour"),
        (" " * (2**20 + 1), "large file"),
    ],
    ids=lambda value: value[:20],
)
def test_wrong_json(content, found, path, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=found):
        load_model(path, file)


@pytest.mark.parametrize("source", ["no-such-preset", "", "nul\0byte", 5])
def test_sources_that_are_none(source, path):
    with pytest.raises(ConfigError):
        load_model(path, source)


def test_a_configuration_that_does_not_fit(path):
    with pytest.raises(CheckpointError, match="shape"):
        load_model(path, preset("digits", depth=1))
    with pytest.raises(CheckpointError, match=r"missing tensors 'block\.1"):
        load_model(path, {**CONFIG.to_dict(), "depth": 2})


def test_a_huge_configuration_is_refused_before_anything_is_built(path, tmp_path):
    huge = {**CONFIG.to_dict(), "dim": 16384, "depth": 1024, "mlp_ratio": 64.0}
    with pytest.raises(CheckpointError):
        load_model(changed(path, tmp_path, config=huge))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (torch.full((8,), float("nan")), "NaN"),
        (torch.full((8,), float("inf")), "NaN or infinite"),
        (torch.full((8,), 1e300, dtype=torch.float64), "NaN or infinite"),
        (torch.full((8,), -1.0), "negative variances"),
        (torch.ones(9), "shape"),
        (torch.ones(8, dtype=torch.int32), "dtype"),
        ([1.0] * 8, "a list"),
        (None, "a NoneType"),
    ],
)
def test_the_wrong_tensor_is_named(value, found, path, tmp_path):
    with pytest.raises(CheckpointError, match=found) as caught:
        load_model(with_tensor(path, tmp_path, value))
    assert NAME in str(caught.value)


def test_unknown_and_missing_tensors_are_named(path, tmp_path):
    with pytest.raises(CheckpointError, match="unexpected tensors 'surprise'"):
        load_model(with_tensor(path, tmp_path, torch.ones(1), "surprise"))
    state = torch.load(path, weights_only=True)["state_dict"]
    del state[NAME]
    with pytest.raises(CheckpointError, match=f"missing tensors '{NAME}'"):
        load_model(changed(path, tmp_path, state_dict=state))


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ({"format": "other"}, "format 'other'"),
        ({"version": 2}, "version 2"),
        ({"state_dict": None}, "no state_dict"),
        ({"state_dict": [torch.ones(1)]}, "no state_dict"),
        ({"config": 5}, "config that is a int"),
    ],
)
def test_wrong_headers(entries, found, path, tmp_path):
    with pytest.raises(CheckpointError, match=found):
        load_model(changed(path, tmp_path, **entries))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (key, value)
        for key in sorted(CONFIG.to_dict())
        for value in (None, "text", [[]], -1, {"a": [1]}, 1e308)
        if (key, value) != ("dataset", "text")  # any text names a data set
    ],
)
def test_a_wrong_configuration_inside_is_a_typed_error(key, value, path, tmp_path):
    file = changed(path, tmp_path, config={**CONFIG.to_dict(), key: value})
    with pytest.raises((CheckpointError, ConfigError), match=key):
        load_model(file)


@pytest.mark.parametrize("content", [{}, [], 5, "text", {"a": 1}, {1: torch.ones(1)}])
def test_archives_with_something_else(content, tmp_path):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(CheckpointError):
        load_model(tmp_path / "model.pt")


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "empty.pt").touch()
    for name, found in [("missing.pt", "No such file"), ("", "directory"), ("empty.pt", "empty")]:
        with pytest.raises(CheckpointError, match=found):
            load_model(tmp_path / name)


def test_writing_is_all_or_nothing(path, model, monkeypatch):
    before = path.read_bytes()

    def fails(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(CheckpointError, match="disk full"):
        save_checkpoint(path, model)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_writing_into_a_missing_folder(tmp_path, model):
    with pytest.raises(CheckpointError, match="does not exist"):
        save_checkpoint(tmp_path / "no" / "model.pt", model)
