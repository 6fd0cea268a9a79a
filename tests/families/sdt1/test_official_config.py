"""The authors' configuration files: what they say, what they leave out, and what nobody wrote."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdt_lava.datasets.normalisation import NORMALISATION, image_levels
from sdt_lava.errors import ConfigError
from sdt_lava.families import resolve_config
from sdt_lava.families.sdt1.official_config import read_settings, read_yml
from sdt_lava.model import PRESETS
from tests.families.sdt1.official_cases import CASES, YML, golden, write_yml

CIFAR10 = "dataset: torch/cifar10\nnum_classes: 10\nimg_size: 32\npooling_stat: '0011'\n"
CIFAR10 += "mean:\n    - 0.4914\n    - 0.4822\n    - 0.4465\nstd: [0.2470, 0.2435, 0.2616]\n"
CIFAR100 = "dataset: torch/cifar100\nnum_classes: 100\nimg_size: 32\npooling_stat: '0011'\n"
CIFAR100 += "mean: [0.5071, 0.4867, 0.4408]\nstd: [0.2675, 0.2565, 0.2761]\n"
IMAGENET = "dataset: imagenet\nnum_classes: 1000\nimg_size: 224\npooling_stat: '1111'\n"
IMAGENET += "in_channels: 3\nmean: [0.485, 0.456, 0.406]\nstd: [0.229, 0.224, 0.225]\n"
IMAGENET += "input_size: null\nspike_mode: lif\npatch_size: null\ndrop_path: 0.2\n"
GESTURE = 'dataset: gesture\nnum_classes: 11\nimg_size: 128\npooling_stat: "0111"\nin_channels: 2\n'
CIFAR_DVS = 'dataset: cifar10-dvs\nnum_classes: 10\nimg_size: 64\npooling_stat: "0011"\n'
CIFAR_DVS += "in_channels: 2\ncolor_jitter: 0.\nTET: True\nTET_means: 1.0\n"
COMMON = "pretrained: False\nnum_heads: 8\nlr: 7.5e-3\nchannels-last: False\nopt: lamb\n"

# What the shipped files say that matters, in their notation, and the preset of the same network.
SHIPPED = {
    "8-384": IMAGENET + "time_steps: 4\ndim: 384\nlayer: 8\nmlp-ratio: 4\nmlp_ratio: 4\n",
    "6-512": IMAGENET + "time_steps: 4\ndim: 512\nlayer: 6\nmlp_ratio: 4\n",
    "8-512": IMAGENET + "time_steps: 4\ndim: 512\nlayer: 8\nmlp_ratio: 4\n",
    "10-512": IMAGENET + "time_steps: 4\ndim: 512\nlayer: 10\nmlp_ratio: 4\n",
    "8-768": IMAGENET + "time_steps: 4\ndim: 768\nlayer: 8\nmlp_ratio: 4\n",
    "8-768-288": IMAGENET.replace("img_size: 224", "img_size: 288")
    + "time_steps: 4\ndim: 768\nlayer: 8\n",
    "cifar-2-256": CIFAR10 + "time_steps: 4\ndim: 256\nlayer: 2\nmlp_ratio: 4\n",
    "cifar-2-512": CIFAR10 + "time_steps: 4\ndim: 512\nlayer: 2\n",
    "cifar100-2-256": CIFAR100 + "time_steps: 4\ndim: 256\nlayer: 2\nmlp_ratio: 4\n",
    "cifar100-2-512": CIFAR100 + "time_steps: 4\ndim: 512\nlayer: 2\nmlp_ratio: 4\n",
    "gesture-2-256-t10": GESTURE + "time_steps: 10\ndim: 256\nlayer: 2\nmlp_ratio: 4\n",
    "gesture-2-256": GESTURE + "time_steps: 16\ndim: 256\nlayer: 2\nmlp-ratio: 4\n",
    "cifar10-dvs-2-256": CIFAR_DVS + "time_steps: 10\ndim: 256\nlayer: 2\nmlp_ratio: 4\n",
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "conf.yml"


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_mean_the_presets(name, file):
    config = resolve_config(write_yml(file, COMMON + SHIPPED[name]))
    expected = replace(
        PRESETS[name],
        downsampling="max",
        neuron="lif",
        input_scale=config.input_scale,
        input_range=config.input_range,
    )
    assert config == expected


def test_every_preset_of_the_paper_has_its_file():
    assert set(SHIPPED) == set(PRESETS) - {"digits", "synthetic-dvs"}


@pytest.mark.parametrize("name", CASES)
def test_recorded_cases(name):
    config = resolve_config(str(golden(name).yml))
    assert config.dvs_mode == ("dvs" in name)
    assert config.pooling_stat == name[-4:]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("in_channels: 2\n", "", {"in_channels": 3}),
        ("mlp_ratio: 2", "mlp-ratio: 2", {"mlp_ratio": 4.0}),
        ("num_heads: 4", "", {"num_heads": 8}),
        ('"0011"', "0011", {"pooling_stat": "0011"}),  # a number in YAML, and an octal one
        ("img_size: 16", "img_size: [16, 32]", {"image_size": (16, 32)}),
        ("dataset: somewhere", "dataset: cifar10-dvs-tet", {"dvs_mode": True}),
        ("dataset: somewhere", "dataset: cifar10-dvs", {"input_scale": 4.0, "dvs_mode": True}),
        ("dataset: somewhere", "dataset: gesture", {"dvs_mode": False, "input_range": (0, 255)}),
        ("dataset: somewhere", "dataset: gesture", {"dataset": "dvs128-gesture"}),
        ("dataset: somewhere", "dataset: null", {"dataset": "", "dvs_mode": False}),
        ("dataset: somewhere", "TET: true", {"dataset": "", "dvs_mode": False}),
        ("lr: 3e-4", "mean: [0, 0.5]\nstd: [1, 0.5]", {"input_mean": (0.0, 0.5)}),
        ("lr: 3e-4", "mean: [0, 0.5]\nstd: [1, 0.5]", {"input_range": (-255, 255)}),
        ("in_channels: 2", "in_channels: 1", {"in_channels": 1}),
    ],
)
def test_variants(before, after, expected, file):
    assert before in YML
    config = resolve_config(write_yml(file, YML.replace(before, after)))
    for field, value in expected.items():
        assert getattr(config, field) == value


def test_known_normalisation_is_used_if_the_file_has_none(file):
    text = YML.replace("somewhere", "torch/cifar100").replace("in_channels: 2", "")
    config = resolve_config(write_yml(file, text))
    assert (config.input_mean, config.input_std) == NORMALISATION["cifar100"]


@pytest.mark.parametrize("name", sorted(NORMALISATION))
def test_levels_keep_all_pixels_apart(name):
    mean, std = NORMALISATION[name]
    levels = image_levels(mean, std)
    pixels = (np.arange(256)[:, None] / 255 - mean) / std
    integers = np.rint(pixels * levels.scale)
    assert all(len(np.unique(channel)) == 256 for channel in integers.T)
    assert integers.min() >= levels.low and integers.max() <= levels.high
    assert np.abs(integers / levels.scale - pixels).max() <= 0.5 / levels.scale + 1e-12


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("layer: 2", "layer: two", "layer: 'two'"),
        ("layer: 2", "layer: 2.5", "layer: '2.5'"),
        ("layer: 2", "layer: [2]", "layer: a list"),
        ("layer: 2", "layer: -2", "layer: '-2'"),
        ("layer: 2", f"layer: {10**30}", "layer: '1000"),
        ("layer: 2", "layer: 2000", "config.depth"),
        ("layer: 2", "", r"missing \['layer'\]"),
        ("mlp_ratio: 2", "mlp_ratio: .nan", "mlp_ratio: '.nan'"),
        ("mlp_ratio: 2", "mlp_ratio: inf", "not finite"),
        ("img_size: 16", "img_size: [1, 2, 3]", "img_size: a list"),
        ("img_size: 16", "img_size: 18", "divisible"),
        ('"0011"', '"0012"', "pooling_stat"),
        ('"0011"', "", r"missing \['pooling_stat'\]"),
        ("num_heads: 4", "num_heads: 5", "num_heads"),
        ("lr: 3e-4", "mean: [0.5]\nstd: [0.5]", "1 and 1 values for 2 channels"),
        ("lr: 3e-4", "mean: [0, 0]\nstd: [0, 1]", "positive standard deviation"),
        ("lr: 3e-4", "mean: [0, 0]\nstd: [1, 1e-30]", "input_range"),
        ("lr: 3e-4", "mean: 0.5\nstd: 0.5", "mean: '0.5'"),
        ("lr: 3e-4", "spike_mode: plif", "spike_mode: 'plif'"),
        ("lr: 3e-4", "dvs_mode: yes", "dvs_mode: 'yes'"),
    ],
)
def test_wrong_values_are_named(before, after, said, file):
    with pytest.raises(ConfigError, match=said):
        resolve_config(write_yml(file, YML.replace(before, after)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "text",
        "a: [",
        "a: &x [1]\nb: *x",
        "a: &x\n  <<: *x",
        "a: b: c",
        "\t",
        "? [1, 2]\n: 3",
        "? {a: 1}\n: 3",
        "a: !!python/object/apply:os.system ['true']",
        "!!python/name:builtins.eval",
        "[" * 20_000,
        "a: 1\n---\nb: 2",
        "\ud800".encode("utf-8", "surrogatepass"),
        b"\xff\xfe\x00",
        b"\x00",
        " " * 70_000,
    ],
    ids=lambda text: repr(text)[:30],
)
def test_files_that_are_no_configuration(text, file):
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError):
        resolve_config(file)


def test_a_tag_runs_nothing(file, tmp_path):
    marker = tmp_path / "ran"
    tag = f"!!python/object/apply:os.system [\"touch '{marker}'\"]"
    for text in (YML + f"mean: {tag}\n", f"layer: {tag}\n", tag):
        with pytest.raises(ConfigError):
            resolve_config(write_yml(file, text))
    assert not marker.exists()


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "folder.yml").mkdir()
    for name in ("missing.yml", "folder.yml", "nul\0.yml", "missing.yaml"):
        with pytest.raises(ConfigError):
            resolve_config(str(tmp_path / name))


def test_only_what_the_file_says(file):
    assert read_yml(write_yml(file, "dim: 8\nepochs: 3\n")) == {"dim": 8}
    assert read_settings({"dim": 8, "img_size": None, 5: 6}, "here") == {"dim": 8}
    with pytest.raises(ConfigError, match="here: dim"):
        read_settings({"dim": True}, "here")
