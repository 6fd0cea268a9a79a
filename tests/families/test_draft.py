"""Networks to be trained: what a configuration says, and what data add to it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from sdt_lava.datasets import Dataset, MemorySource
from sdt_lava.datasets.normalisation import NORMALISATION, image_levels
from sdt_lava.errors import ConfigError, DataError
from sdt_lava.families import resolve_config
from sdt_lava.families.draft import count_weights, read_draft
from sdt_lava.model import PRESETS, SdtConfig, SpikeDrivenTransformer, preset
from tests.families.sdt1.official_cases import YML

SIZE = {"dim": 32, "depth": 1}
WHOLE = {
    "image_size": [9, 7], "in_channels": 1, "num_classes": 4, "dim": 32, "depth": 1,
    "timesteps": 4, "mlp_ratio": 2.5, "pooling_stat": "0110", "neuron": "lif", "threshold": 0.75,
    "input_scale": 3, "input_range": [-5, 9],
}  # fmt: skip
AS_YAML = """image_size: [9, 7]
in_channels: 1
num_classes: 4
dim: 32
depth: 1
timesteps: 4
mlp_ratio: 2.5
pooling_stat: 0110
neuron: lif
threshold: 0.75
input_scale: 3
input_range: [-5, 9]
input_mean:
"""
AS_TOML = """image_size = [9, 7]
in_channels = 1
num_classes = 4
dim = 32
depth = 1
timesteps = 4
mlp_ratio = 2.5
pooling_stat = "0110"
neuron = "lif"
threshold = 0.75
input_scale = 3
input_range = [-5, 9]
"""


@pytest.fixture
def file(tmp_path):
    """Write a configuration and return its path."""

    def write(content, name="own.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def samples(*shape, classes=3, count=6):
    x = np.zeros((count, *shape), np.float32)
    return MemorySource(Dataset("samples", x, np.arange(count) % classes))


def from_data(draft, data, test=None):
    test = test or data
    return draft.with_samples(data).with_samples(test).with_classes(data, test)


def test_every_notation_says_the_same(file):
    """YAML has text for all values, 0110 among them, which other readers take for a number."""
    expected = SdtConfig.from_dict(WHOLE)
    for name, content in (("o.json", WHOLE), ("o.yaml", AS_YAML), ("o.toml", AS_TOML)):
        path = file(content, name)
        config, assumes = read_draft(None, path).config()
        assert config == resolve_config(path) == expected, name
        assert not assumes


def test_the_authors_file_means_their_network(file):
    path = file(YML, "conf.yml")
    config, _ = read_draft(None, path).config()
    assert config == resolve_config(path)
    assert (config.neuron, config.downsampling) == ("lif", "max")


def test_a_preset_by_either_option():
    assert read_draft("digits", None) == read_draft(None, "digits")
    assert read_draft("digits", None).config() == (PRESETS["digits"], False)


def test_data_say_what_is_left_out(file):
    draft = read_draft(None, file(SIZE))
    frames = from_data(draft, samples(5, 2, 16, 12), samples(5, 2, 16, 12, classes=4))
    config, assumes = frames.config()
    assert (config.timesteps, config.in_channels, config.image_size) == (5, 2, (16, 12))
    assert config.num_classes == 4 and assumes
    assert set(frames.inferred) == {"timesteps", "in_channels", "image_size", "num_classes"}
    given = from_data(read_draft(None, file({**SIZE, "timesteps": 2})), samples(1, 9, 9))
    assert given.config()[0].timesteps == 2
    assert "timesteps" not in given.inferred


def test_single_images_do_not_say_for_how_long_they_are_shown(file):
    path = file(SIZE)
    with pytest.raises(ConfigError, match="missing") as caught:
        from_data(read_draft(None, path), samples(1, 9, 9)).config()
    assert f'add "timesteps": 4 to {path}' in caught.value.remedy


@pytest.mark.parametrize(
    ("said", "shape", "advice"),
    [
        ({"in_channels": 3}, (1, 9, 9), '"in_channels": 1'),
        ({"image_size": [8, 8]}, (1, 9, 7), '"image_size": [9, 7]'),
        ({"timesteps": 4}, (5, 1, 9, 9), '"timesteps": 5'),
        ({"num_classes": 2}, (1, 9, 9), '"num_classes": 3'),
    ],
)
def test_contradictions_are_found_and_the_advice_ends_them(said, shape, advice, file):
    path = file({"timesteps": shape[0] if len(shape) == 4 else 4, **SIZE, **said})
    with pytest.raises(DataError, match="own.json") as caught:
        from_data(read_draft(None, path), samples(*shape))
    assert advice in caught.value.remedy
    entry = json.loads("{" + caught.value.remedy.split("write ")[1].split(" into ")[0] + "}")
    path = file({"timesteps": 4, **SIZE, **said, **entry})
    assert from_data(read_draft(None, path), samples(*shape)).config()


def test_both_parts_have_one_shape(file):
    draft = read_draft(None, file(SIZE))
    with pytest.raises(DataError, match=r"\(5, 1, 8, 8\)"):
        from_data(draft, samples(4, 1, 8, 8), samples(5, 1, 8, 8))


@pytest.mark.parametrize("shape", [(20,), (4, 20)])
def test_vectors_are_no_images(shape, file):
    with pytest.raises(DataError, match="images"):
        read_draft(None, file(SIZE)).with_samples(samples(*shape))


def test_data_without_labels(file):
    data = MemorySource(Dataset("bare", np.zeros((3, 1, 8, 8)), None))
    with pytest.raises(DataError, match="no labels"):
        from_data(read_draft(None, file({**SIZE, "timesteps": 2})), data)


@pytest.mark.parametrize(
    ("changes", "where", "said"),
    [
        ({"dimm": 3}, "own.json", "write dim"),
        ({"nothing_like_it": 3}, "own.json", "leave it out"),
        ({"dim": "32"}, "own.json: dim", "set dim in"),
        ({"dim": 30}, "own.json: dim", "multiple of 8"),
        ({"dim": -8}, "own.json: dim", "above 0"),
        ({"dim": 1e300}, "own.json: dim", "an integer"),
        ({"depth": True}, "own.json: depth", "an integer"),
        ({"depth": 0}, "own.json: depth", "above 0"),
        ({"image_size": 28}, "own.json: image_size", "two integers"),
        ({"image_size": [28, 0]}, "own.json: image_size", "sides of 1"),
        ({"image_size": [30, 30], "downsampling": "max"}, "own.json: image_size", "divisible"),
        ({"pooling_stat": 1100}, "own.json: pooling_stat", "a string"),
        ({"pooling_stat": "11"}, "own.json: pooling_stat", "four characters"),
        ({"num_heads": 7}, "own.json: num_heads", "a divisor"),
        ({"neuron": "izhikevich"}, "own.json: neuron", "one of"),
        ({"input_scale": "x"}, "own.json: input_scale", "a finite number"),
        ({"input_range": [5, 9]}, "own.json: input_range", "low <= 0"),
        ({"input_mean": [0.5]}, "own.json: mean, std", "both, or none"),
        ({"input_mean": [0.5], "input_std": [0]}, "own.json: mean, std", "positive"),
        ({"dataset": 3}, "own.json: dataset", "a string"),
        ({"dim": 16384, "depth": 1024}, "own.json", "of this machine"),
    ],
)
def test_what_cannot_be_is_refused_before_data_are_read(changes, where, said, file):
    with pytest.raises(ConfigError) as caught:
        read_draft(None, file({**SIZE, **changes}))
    error = caught.value
    assert error.where.endswith(where) and error.found and error.allowed and error.remedy
    assert said in str(error)


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ({"depth": 1}, "own.json", 'add "dim": 64'),
        ({}, "own.json", 'add "dim": 64, "depth": 1'),
        ("[1]", "own.json", "mapping"),
        ("{", "own.json", "not JSON"),
        ("dim = ", "own.toml", "no TOML"),
        ("depth = 1", "own.toml", "add dim = 64"),
        ("image_size: [8, 8]\ndepth: 1", "own.yml", "add dim: 64"),
        ("dim: 32\ntime_steps: 4", "conf.yml", "add depth: 1, pooling_stat: '1111'"),
        ("dim: 32\nlayer: 1\nimg_size: 9\npooling_stat: 1100", "conf.yml", "divisible"),
        ("depth: one\ndim: 32", "own.yml", "an integer"),
        ("dim: 32\nlayer: one", "conf.yml", "set layer in"),
        ("dim: 32\nlayer: 1\nspike_mode: plif", "conf.yml", "set spike_mode in"),
    ],
)
def test_files_that_are_incomplete_or_no_configuration(content, name, said, file):
    with pytest.raises(ConfigError) as caught:
        read_draft(None, file(content, name))
    assert said in str(caught.value)
    assert caught.value.found and caught.value.allowed and caught.value.remedy


@pytest.mark.parametrize(("named", "advice"), [("digit", "--preset digits"), ("own.json", "")])
def test_names_of_no_preset(named, advice):
    with pytest.raises(ConfigError, match="cifar-2-256") as caught:
        read_draft(named, None)
    assert (advice or "pass a file as --config own.json") in caught.value.remedy


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((None, None), "no network"),
        (("digits", "digits"), "both --preset and --config"),
        ((None, "missing.json"), "neither a preset nor a readable file"),
    ],
)
def test_one_network_that_exists(given, said):
    with pytest.raises(ConfigError, match=said):
        read_draft(*given)


def test_levels_of_known_data_of_given_values_and_of_unknown_data(file):
    data = samples(3, 9, 9)
    size = {**SIZE, "timesteps": 2}

    def levels(name="samples.npz", **more):
        draft = read_draft(None, file({**size, **more})).reading(name)
        config, assumes = from_data(draft, data).config()
        return (config.input_scale, config.input_range, config.dataset), assumes

    normal = image_levels(*NORMALISATION["cifar10"])
    assert levels("cifar10") == ((normal.scale, (normal.low, normal.high), "cifar10"), False)
    digits = preset("digits")
    assert levels("digits") == ((digits.input_scale, digits.input_range, "digits"), False)
    assert levels("digits", input_scale=8.0)[0][:2] == (8.0, digits.input_range)
    mean, std = (0.5, 0.5, 0.4), (0.25, 0.5, 0.25)
    own = image_levels(mean, std)
    expected = ((own.scale, (own.low, own.high), ""), False)
    assert levels(input_mean=list(mean), input_std=list(std)) == expected
    assert levels(input_scale=7.0)[1] is False
    assert levels()[1] is True


def test_data_sets_and_normalisations_that_contradict_each_other(file, tmp_path):
    draft = read_draft(None, file({**SIZE, "dataset": "digits"}))
    with pytest.raises(ConfigError, match="one data set"):
        draft.reading("cifar10")
    assert draft.reading("digits").dataset == draft.reading("own.npz").dataset == "digits"
    own = read_draft(None, file({**SIZE, "input_mean": [0.5], "input_std": [0.5]}))
    for name in ("cifar10", str(tmp_path)):
        with pytest.raises(ConfigError, match="input_mean"):
            own.reading(name)
    assert own.reading("own.npz") == own
    mean, std = map(list, NORMALISATION["cifar10"])
    given = {**SIZE, "input_mean": mean, "input_std": std}
    assert read_draft(None, file(given)).reading("cifar10").dataset == "cifar10"


def test_weights_are_counted_as_the_network_has_them():
    config = preset("digits", in_channels=3, mlp_ratio=2.5, depth=2)
    for chosen in (config, replace(config, downsampling="or")):
        model = SpikeDrivenTransformer(chosen)
        weights = [value for value in model.parameters() if value.ndim > 1]
        assert count_weights(chosen) == sum(map(torch.numel, weights))
