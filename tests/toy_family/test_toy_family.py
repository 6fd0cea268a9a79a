"""A family that the library does not know is trained, saved, imported, exported and run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.cli.places import ReadsConfig
from sdt_lava.datasets import Dataset, load_digits_split
from sdt_lava.errors import CheckpointError, ConfigError
from sdt_lava.families import load_model, load_with_report, resolve_config, save_checkpoint
from sdt_lava.families.draft import describe, read_draft
from sdt_lava.families.own import load_checkpoint
from sdt_lava.families.registry import FAMILIES, family_of, formula_of, preset, register
from sdt_lava.model import PRESETS as SDT1_PRESETS
from sdt_lava.model import TrainingOptions, train
from sdt_lava.quantize.calibration import calibration_data
from sdt_lava.quantize.untrained import untrained_network
from sdt_lava.training.fine_tune import fine_tune
from tests.toy_family.authors import RENAMED
from tests.toy_family.config import ToyConfig, tensors
from tests.toy_family.family import TOY
from tests.toy_family.network import ToyNetwork


@pytest.fixture(scope="module")
def digits() -> tuple[Dataset, Dataset]:
    parts = [load_digits_split(name) for name in ("train", "test")]
    return tuple(replace(part, x=part.x[:96], y=part.y[:96]) for part in parts)


@pytest.fixture(scope="module")
def model() -> ToyNetwork:
    torch.manual_seed(1)
    network = family_of(preset("toy-digits")).build(preset("toy-digits"))
    with torch.no_grad():
        for name, value in network.named_buffers():
            if "running" in name:
                value.uniform_(0.1, 0.5)
        network.bn1.bias.fill_(0.8)
        network.bn2.bias.uniform_(0.5, 3)
    return network.eval()


def authors_state(model):
    own_names = {own: authors for authors, own in RENAMED.items()}
    state = {}
    for name, value in model.state_dict().items():
        own = next(prefix for prefix in own_names if name.startswith(prefix))
        plain = value.squeeze(-1) if value.ndim == 5 else value
        state[own_names[own] + name.removeprefix(own)] = plain.clone()
    return state


def same_weights(one, other):
    left, right = one.state_dict(), other.state_dict()
    return list(left) == list(right) and all(torch.equal(left[key], right[key]) for key in left)


def test_presets_are_found_by_name(tmp_path):
    assert resolve_config("toy-digits") is TOY.presets["toy-digits"]
    assert preset("toy-digits", width=3).width == 3
    assert untrained_network("toy-digits").metadata["config"]["family"] == "toy"
    assert not ReadsConfig().places("--config", "toy-digits", {})
    assert ReadsConfig().places("--config", str(tmp_path), {})
    assert resolve_config("digits") is SDT1_PRESETS["digits"]
    with pytest.raises(ConfigError, match="toy-digits"):
        preset("toy-digit")


def test_the_module_has_the_tensors_that_are_announced(model):
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes == tensors(model.config)


def test_a_configuration_file_names_its_family(tmp_path):
    path = tmp_path / "toy.json"
    values = {"family": "toy", **preset("toy-digits", width=5).to_dict()}
    path.write_text(json.dumps(values))
    assert resolve_config(str(path)) == resolve_config(values) == preset("toy-digits", width=5)
    config, assumes_levels = read_draft(None, str(path)).config()
    assert (config, assumes_levels) == (preset("toy-digits", width=5), False)
    assert "width 5" in describe(config) and read_draft("toy-digits", None).config()[0].width == 12
    path.write_text(json.dumps({**values, "family": "toi"}))
    with pytest.raises(ConfigError, match="write toy"):
        resolve_config(str(path))


def test_checkpoints_round_trip(model, tmp_path):
    path = tmp_path / "model.pt"
    save_checkpoint(path, model)
    assert load_checkpoint(path).config["family"] == "toy"
    loaded, report = load_with_report(path)
    assert isinstance(loaded, ToyNetwork) and report is None
    assert loaded.config == model.config and same_weights(loaded, model)
    bare = tmp_path / "bare.pt"
    torch.save(model.state_dict(), bare)
    assert same_weights(load_model(bare, "toy-digits"), model)
    with pytest.raises(CheckpointError, match="the tensors of the toy network"):
        load_model(path, preset("toy-digits", width=3))
    with pytest.raises(CheckpointError, match="the tensors of the Spike-driven Transformer"):
        load_model(path, "digits")


def test_files_of_the_first_family_do_not_name_it(tmp_path):
    config = SDT1_PRESETS["digits"]
    path = tmp_path / "model.pt"
    save_checkpoint(path, family_of(config).build(config))
    assert load_checkpoint(path).config == config.to_dict()
    assert "family" not in untrained_network("digits").metadata["config"]


@pytest.mark.parametrize("config", [None, "toy-digits"])
def test_the_authors_weights_are_recognised(model, tmp_path, config):
    path = tmp_path / "authors.pt"
    torch.save({"state_dict": authors_state(model)}, path)
    loaded, report = load_with_report(path, config)
    assert isinstance(loaded, ToyNetwork) and same_weights(loaded, model)
    assert report.weights == "state_dict"
    with pytest.raises(CheckpointError):
        load_model(path, "digits")


def test_it_runs_as_an_integer_network(model, digits, tmp_path):
    path, x = tmp_path / "net.h5", digits[1].x[:12]
    sdt_lava.export(model, path, calibration=calibration_data(None, model.config))
    net = sdt_lava.load_network(path)
    assert net.timesteps == 4 and net.metadata["config"]["family"] == "toy"
    runs = [sdt_lava.simulate(net, x, backend) for backend in ("reference", "engine", "machine")]
    spikes = runs[0].spikes
    assert set(spikes) == {"lif1", "head_lif"}
    assert all(0 < value.mean() < 1 for value in spikes.values())
    for run in runs[1:]:
        assert np.array_equal(run.logits, runs[0].logits)
        assert all(np.array_equal(run.spikes[name], spikes[name]) for name in spikes)
    floats = sdt_lava.simulate(model, x, "torch")
    assert set(floats.spikes) == set(spikes)
    assert (floats.spikes["lif1"] != spikes["lif1"]).mean() < 0.05


def test_it_is_trained_and_resumes_as_itself(digits, tmp_path):
    torch.manual_seed(0)
    model = TOY.build(preset("toy-digits"))
    before = model.conv1.weight.clone()
    path = tmp_path / "model.pt"
    result = train(model, *digits, TrainingOptions(epochs=1), checkpoint_path=path)
    assert len(result.history) == 1 and not torch.equal(before, model.conv1.weight)
    assert same_weights(load_model(path), model)


def test_what_is_the_first_family_s_alone_says_so(model, digits):
    with pytest.raises(ConfigError, match="'toy'"):
        fine_tune(model, *digits, 4)
    with pytest.raises(ConfigError, match="no formula"):
        formula_of(model.config)


def test_commands_take_it(model, tmp_path, monkeypatch, capsys):
    from sdt_lava import cli

    path, net = tmp_path / "model.pt", tmp_path / "net.h5"
    save_checkpoint(path, model)
    for arguments in (
        ["info", str(path)], ["export", str(path), "--out", str(net)], ["check", str(net)],
        ["map", "--preset", "toy-digits"],
        ["train", "--preset", "toy-digits", "--samples", "64", "--epochs", "1", "--out",
         str(tmp_path / "new.pt")],
    ):  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["sdt-lava", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        output = capsys.readouterr()
        assert not end.value.code, (arguments, output.err)
        if arguments[0] == "info":
            assert re.search("checkpoint of a toy network", output.out)
    assert isinstance(load_model(tmp_path / "new.pt").config, ToyConfig)


def test_a_name_is_registered_once():
    with pytest.raises(ConfigError, match="twice"):
        register(TOY)
    with pytest.raises(ConfigError, match="twice"):
        register(replace(TOY, name="other", config=type("C", (ToyConfig,), {"family": "other"})))
    with pytest.raises(ConfigError, match="one name"):
        register(replace(TOY, name="third", presets={}))
    assert list(FAMILIES) == ["sdt1", "toy"]


def test_describing_a_family_needs_no_torch():
    program = (
        "import sys, tests.toy_family; from sdt_lava.families.registry import preset; "
        "preset('toy-digits'); preset('8-768'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=100).returncode == 0
