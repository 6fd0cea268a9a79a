"""What fine-tuning announces is what the exported file does, on the same samples."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava import cli
from sdt_lava.datasets import Dataset, load_digits_split
from sdt_lava.families import load_model, save_checkpoint
from sdt_lava.model import SdtConfig, SpikeDrivenTransformer, TrainingOptions, train
from sdt_lava.training.fine_tune import ROUNDED_OPTIONS, convert_pooling, fine_tune
from tests.families.sdt1.networks import lively_network
from tests.quantize.test_grid_kept import LEVELS, network

OPTIONS = replace(ROUNDED_OPTIONS, epochs=1, batch_size=32)
CLASSES = 10


def digits(levels: str, part: str, count: int) -> Dataset:
    """Handwritten digits in the range of a data set's input, the same in every channel."""
    channels, scale, (low, high) = LEVELS[levels]
    data = load_digits_split(part)
    # Not on the levels: that the export rounds them is part of what is announced.
    values = (low + (high - low) * data.x[:count]) / scale
    x = np.repeat(values, channels, axis=1).astype(np.float32)
    return Dataset(f"{data.name} as {levels}", x, data.y[:count], CLASSES)


@cache
def trained(levels: str):
    """A network that tells most digits apart."""
    torch.manual_seed(0)
    model = SpikeDrivenTransformer(replace(network(levels).config, dim=32))
    data = digits(levels, "train", 640)
    train(model, data, data, TrainingOptions(epochs=6, batch_size=32))
    return model


def accuracy_of(net, data: Dataset) -> float:
    return float(np.mean(sdt_lava.simulate(net, data.x).labels == data.y))


@pytest.mark.parametrize(
    ("levels", "bits", "first_layer"),
    [(levels, bits, "full") for levels in ("digits", "mnist", "gesture") for bits in (4, 8)]
    + [("spikes", 3, "full"), ("mnist", 4, "fitted")],
)
def test_announced_is_exported(levels, bits, first_layer, tmp_path):
    model, data = trained(levels), digits(levels, "test", 360)
    path, file = tmp_path / "tuned.pt", tmp_path / "net.h5"
    tuned, result = fine_tune(
        model, digits(levels, "train", 320), data, bits, OPTIONS,
        first_layer=first_layer, checkpoint_path=path,
    )  # fmt: skip
    report = sdt_lava.export(load_model(path), file, bits, first_layer=first_layer)
    net = sdt_lava.load_network(file)
    assert result.test_accuracy == accuracy_of(net, data)
    # The file is what the fine-tuned model in memory gives, logit for logit.
    other, _ = sdt_lava.to_network(tuned, bits, first_layer=first_layer)
    logits = [sdt_lava.simulate(made, data.x).logits for made in (net, other)]
    assert np.array_equal(*logits) and len(np.unique(logits[0], axis=0)) > 300
    assert result.test_accuracy > 0.5
    scale, (low, high) = model.config.input_scale, model.config.input_range
    assert (net.input.scale, net.input.low, net.input.high) == (scale, low, high)
    assert max(row.rounding_error for row in report.synapses) < 1e-6
    if levels == "mnist":
        shifted = np.min(net.nodes["patch_embed.proj_conv"].exponent) < 0
        assert shifted == (first_layer == "full")


@pytest.fixture
def guessed():
    """A network of whose data nothing is known, and data for which the guess is wrong."""
    config = SdtConfig(
        image_size=(8, 8), in_channels=2, num_classes=CLASSES, dim=16, depth=1, timesteps=2,
        pooling_stat="0001", downsampling="max", neuron="lif", input_scale=1.0,
        input_range=(0, 255),
    )  # fmt: skip
    model = lively_network(config)
    model.assumes_levels = True
    data = load_digits_split("train")
    quarters = np.repeat(np.rint(data.x[:320] * 9) / 4, 2, axis=1)
    return model, Dataset("quarters", quarters.astype(np.float32), data.y[:320], CLASSES)


@pytest.mark.parametrize("bits", [4, 8])
def test_levels_that_were_assumed_become_those_of_the_training_data(bits, guessed, tmp_path):
    model, data = guessed
    path, file = tmp_path / "tuned.pt", tmp_path / "net.h5"
    tuned, result = fine_tune(model, data, data, bits, OPTIONS, checkpoint_path=path)
    assert not tuned.assumes_levels and model.assumes_levels and model.config.input_scale == 1.0
    loaded = load_model(path)
    report = sdt_lava.export(loaded, file, bits)
    net = sdt_lava.load_network(file)
    assert (net.input.scale, net.input.low, net.input.high) == (4.0, 0, 255)
    assert result.test_accuracy == accuracy_of(net, data)
    said = "input levels 0..255, 4 a unit: multiples of 1/4: averages of counts in the training"
    assert any(note.startswith(said) and "quarters" in note for note in report.notes)
    # They stay whatever the export is calibrated on: the weights were rounded for them.
    ones = sdt_lava.quantize.post_training.CalibrationData(np.round(data.x), "whole counts")
    again, noted = sdt_lava.to_network(loaded, bits, ones)
    assert again.input.scale == 4.0 and any("quarters" in note for note in noted.notes)
    assert max(row.rounding_error for row in noted.synapses) < 1e-6
    # Whoever names a configuration names its levels; what is converted keeps where they are from.
    assert load_model(path, loaded.config).levels_from == ""
    assert convert_pooling(loaded, "or").levels_from == loaded.levels_from


def test_a_note_on_levels_from_a_file_is_only_a_printable_text(guessed, tmp_path):
    model, _ = guessed
    model.assumes_levels, model.levels_from = False, "\x1b[31mred" + 2000 * "x"
    save_checkpoint(tmp_path / "m.pt", model)
    note = load_model(tmp_path / "m.pt").levels_from
    assert note.isprintable() and len(note) < 1100
    content = torch.load(tmp_path / "m.pt", weights_only=True)
    torch.save({**content, "levels_from": 3}, tmp_path / "n.pt")
    assert load_model(tmp_path / "n.pt").levels_from == ""


def command(monkeypatch, capsys, name, *arguments) -> str:
    monkeypatch.setattr("sys.argv", ["command", *map(str, arguments)])
    with pytest.raises(SystemExit) as ending:
        getattr(cli, name)()
    output = capsys.readouterr().out
    assert not ending.value.code, output
    return " ".join(output.split())


@pytest.mark.parametrize(
    ("bits", "options"),
    [(4, []), (8, []), (4, ["--first-layer", "fitted"])],
    ids=["4", "8", "4 fitted"],
)
def test_the_commands_say_the_same(bits, options, guessed, tmp_path, monkeypatch, capsys):
    model, data = guessed
    samples, tuned, net = tmp_path / "data.npz", tmp_path / "tuned.pt", tmp_path / "tuned.h5"
    np.savez(samples, x=data.x, y=data.y)
    save_checkpoint(tmp_path / "model.pt", model)
    said = command(
        monkeypatch, capsys, "main", "finetune", tmp_path / "model.pt", "--data", samples,
        "--test-data", samples, "--bits", bits, *options, "--epochs", 2, "--out", tuned,
    )  # fmt: skip
    announced = re.search(r"exported network, \d-bit weights: ([0-9.]+%)", said)
    assert announced and "input levels 0..255, 4 a unit" in said
    # The next command that is proposed makes the file.
    _, _, proposed = said.partition("next: sdt-export ")
    words = [word.strip("'") for word in proposed.split()]
    assert words == [str(tuned), "--out", str(net), "--bits", str(bits), *options]
    command(monkeypatch, capsys, "main_export", *words)
    shown = command(
        monkeypatch, capsys, "main", "evaluate", net, "--data", samples, "--out", tmp_path / "e"
    )
    assert announced[1] in shown


def test_training_on_in_float_takes_the_levels_of_the_data(guessed, tmp_path, monkeypatch, capsys):
    model, data = guessed
    samples, tuned = tmp_path / "data.npz", tmp_path / "tuned.pt"
    np.savez(samples, x=data.x, y=data.y)
    save_checkpoint(tmp_path / "model.pt", model)
    said = command(
        monkeypatch, capsys, "main", "finetune", tmp_path / "model.pt", "--data", samples,
        "--test-data", samples, "--epochs", 2, "--out", tuned,
    )  # fmt: skip
    assert "input levels 0..255, 4 a unit" in said and "test accuracy in float" in said
    assert load_model(tuned).config.input_scale == 4.0


def test_rounding_options_need_a_width(guessed, tmp_path, monkeypatch, capsys):
    save_checkpoint(tmp_path / "model.pt", guessed[0])
    arguments = ["finetune", tmp_path / "model.pt", "--data", "digits", "--out", tmp_path / "t.pt"]
    monkeypatch.setattr("sys.argv", ["command", *map(str, arguments), "--first-layer", "fitted"])
    with pytest.raises(SystemExit) as ending:
        cli.main()
    assert ending.value.code == 2 and "add --bits" in capsys.readouterr().err
