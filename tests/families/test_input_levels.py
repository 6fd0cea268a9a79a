"""Integer levels of the input: those of the data set's loader, or of the data; and who says so."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava.datasets.normalisation import InputLevels, measured_levels
from sdt_lava.errors import ConfigError
from sdt_lava.families import load_model, load_with_report, resolve_config, save_checkpoint
from sdt_lava.quantize.export import to_network
from sdt_lava.quantize.post_training import CalibrationData
from tests.families.sdt1.official_cases import (
    YML,
    official_config,
    official_content,
    official_state,
    save,
    training_arguments,
    write_yml,
)


def resolved(tmp_path, *changes, more=""):
    text = YML
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return resolve_config(write_yml(tmp_path / "conf.yml", text + more))


@pytest.mark.parametrize(
    ("dataset", "channels", "levels", "dvs_mode"),
    [
        ("cifar10-dvs-tet", 2, (255.0, (0, 255)), True),
        ("cifar10-dvs", 2, (4.0, (0, 255)), True),
        ("gesture", 2, (1.0, (0, 255)), False),
        ("dvs128_gesture", 2, (1.0, (0, 255)), False),
        ("ncaltech101", 2, (1.0, (0, 255)), True),
        ("n-caltech101", 2, (1.0, (0, 255)), True),
        ("hardvs", 2, (1.0, (0, 255)), False),
        ("somewhere", 2, (1.0, (0, 255)), False),
        ("somewhere", 3, (255.0, (0, 255)), False),
        ("torch/mnist", 1, (255.0, (0, 255)), False),
        ("null", 2, (1.0, (0, 255)), False),
        ("torch/cifar10", 3, (67.0, (-134, 143)), False),
    ],
)
def test_by_data_set_and_channels(dataset, channels, levels, dvs_mode, tmp_path):
    changes = [("somewhere", dataset), ("in_channels: 2", f"in_channels: {channels}")]
    config = resolved(tmp_path, *changes)
    assert (config.input_scale, config.input_range) == levels
    assert config.dvs_mode == dvs_mode


def test_frames_of_full_size_are_not_averaged(tmp_path):
    changes = [("somewhere", "cifar10-dvs"), ("img_size: 16", "img_size: 128")]
    config = resolved(tmp_path, *changes)
    assert (config.input_scale, config.input_range) == (1.0, (0, 255))


def test_levels_that_are_given(tmp_path):
    more = "input_scale: 8\ninput_range: [-4, 90]\n"
    config = resolved(tmp_path, more=more)
    assert (config.input_scale, config.input_range) == (8.0, (-4, 90))
    # A scale alone keeps the range in the units of the input.
    config = resolved(tmp_path, more="input_scale: 2\n")
    assert (config.input_scale, config.input_range) == (2.0, (0, 510))
    for wrong in ("input_range: [0]", "input_range: [0, 1.5]", "input_scale: big"):
        with pytest.raises(ConfigError, match=wrong.split(":")[0]):
            resolved(tmp_path, more=wrong)


def test_mean_without_std(tmp_path):
    for line in ("mean: [0.5, 0.5]", "std: [0.5, 0.5]"):
        with pytest.raises(ConfigError, match="one of the two"):
            resolved(tmp_path, more=line)


def test_our_own_names_without_levels(tmp_path):
    """A JSON file that leaves them out has not chosen the defaults of `SdtConfig`."""
    config = official_config()
    values = {k: v for k, v in config.to_dict().items() if not k.startswith("input_")}
    (tmp_path / "c.json").write_text(json.dumps(values))
    path = save(tmp_path / "m.pth", official_state(config))
    for source in (tmp_path / "c.json", values):
        model = load_model(path, source)
        assert (model.config.input_scale, model.config.input_range) == (1.0, (0, 255))
    given = load_model(path, {**values, "input_scale": 3.0, "input_range": [0, 9]})
    assert (given.config.input_scale, given.config.input_range) == (3.0, (0, 9))


# -- who says so -----------------------------------------------------------------------------------


def imported(tmp_path, **changes):
    config = official_config(**changes)
    arguments = training_arguments(config)
    if "dvs_mode" not in changes:
        del arguments.dvs_mode
    content = official_content(config, args=arguments)
    return load_with_report(save(tmp_path / "m.pth", content))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": "cifar10-dvs-tet", "dvs_mode": True}, "steps of 1/255 (cifar10-dvs-tet)"),
        ({"dataset": "cifar10-dvs", "dvs_mode": True}, "four levels a count"),
        ({"dataset": "hardvs"}, "data set 'hardvs': event counts are assumed"),
        ({"dataset": "pets", "in_channels": 3}, "images of 0 to 1 are assumed"),
        ({"dataset": "cifar10", "in_channels": 3}, "mean and std of cifar10"),
    ],
)
def test_the_report_says_where_levels_come_from(changes, said, tmp_path):
    model, report = imported(tmp_path, **changes)
    levels = [note for note in report.notes if note.startswith("input levels")]
    assert len(levels) == 1 and said in levels[0]
    assert report.assumes_levels == model.assumes_levels == ("assumed" in said)
    # Whether spikes are dilated was asked for only where nobody said it.
    asked = [note for note in report.notes if "dvs_mode is not given" in note]
    assert bool(asked) == (changes["dataset"] == "hardvs")
    assert report.to_dict()["notes"] == report.notes


# -- from the data ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (np.arange(20), InputLevels(1.0, 0, 255)),
        (np.arange(400), InputLevels(1.0, 0, 399)),
        (np.array([0, 1, 1, 0]), InputLevels(1.0, 0, 255)),
        (np.arange(256) / 255, InputLevels(255.0, 0, 255)),
        ((np.arange(100) / 255).astype(np.float32), InputLevels(255.0, 0, 255)),
        (np.arange(40) / 4, InputLevels(4.0, 0, 255)),
        (np.arange(2000) / 16, InputLevels(16.0, 0, 1999)),
        (np.zeros(4), InputLevels(1.0, 0, 255)),
        (np.linspace(-2, 1, 500), InputLevels(127.0, -254, 254)),
        (np.linspace(0, 0.001, 500), InputLevels(255_000.0, 0, 255)),
        (np.linspace(-1e6, 1e6, 500), InputLevels(1.0, -32767, 32767)),
    ],
)
def test_levels_of_data(values, levels):
    found, reason = measured_levels(values)
    assert found == levels and reason


@settings(max_examples=50, deadline=None)
@given(
    scale=st.sampled_from([1, 2, 4, 8, 16, 255]),
    counts=st.lists(st.integers(0, 255), min_size=1, max_size=50),
)
def test_what_few_levels_can_hold_is_held_exactly(scale, counts):
    values = (np.array(counts) / scale).astype(np.float32)
    found, _ = measured_levels(values)
    again = np.rint(values * found.scale) / found.scale
    np.testing.assert_allclose(again, values, rtol=0, atol=1e-5)
    assert (np.rint(values * found.scale) <= found.high).all()


def counting(model):
    """Let the first layer of a model fire on counts around 3."""
    weight = model.patch_embed.proj_conv.weight
    model.patch_embed.proj_bn.running_mean[:] = 3.0 * weight.sum((1, 2, 3, 4))
    model.patch_embed.proj_bn.running_var[:] = 0.1
    return model


@pytest.mark.parametrize("levels", [4, 255])
def test_calibration_chooses_levels_that_nobody_knows(levels, tmp_path):
    model, _ = imported(tmp_path, dataset="hardvs")
    x = np.random.default_rng(0).integers(0, 200, (4, 2, 16, 16)) / levels
    with torch.no_grad():
        counting(model)
    graph, report = to_network(model, calibration=CalibrationData(x, "own", choose=True))
    entry = graph.input
    assert (entry.scale, entry.low, entry.high) == (levels, 0, 255)
    assert any("multiples of 1/4" in n or "steps of 1/255" in n for n in report.notes)
    assert model.config.input_scale == 1.0
    # Without it, what was assumed is used, and said to be.
    graph, report = to_network(model)
    assert graph.input.scale == 1.0 and any("assumed" in note for note in report.notes)
    # Saved and read again, they are still an assumption; levels that were given are none.
    save_checkpoint(tmp_path / "own.pt", model)
    assert load_model(tmp_path / "own.pt").assumes_levels
    given = load_model(tmp_path / "own.pt", replace(model.config, input_scale=2.0))
    assert not given.assumes_levels
    graph, _ = to_network(given, calibration=CalibrationData(x, "own", choose=True))
    assert graph.input.scale == 2.0
