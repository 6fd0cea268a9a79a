"""``sdt-lava train --config``: networks of any size, from a file to spikes."""

from __future__ import annotations

import json
import re
import shlex

import numpy as np
import pytest
import torch
from PIL import Image

import sdt_lava
from sdt_lava.cli import train as command
from sdt_lava.datasets.normalisation import NORMALISATION, image_levels
from sdt_lava.families.draft import Draft
from sdt_lava.training import training as loop

SIZE = {"dim": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 1.0, "pooling_stat": "1100"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with grey images and two steps of events."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 3
    grey = rng.integers(0, 256, (12, 1, 8, 8)) / 255
    np.savez("grey.npz", x=grey.astype(np.float32), y=labels)
    np.savez("events.npz", x=rng.integers(0, 4, (12, 3, 2, 8, 8)), y=labels)
    np.save("bare.npy", grey)
    for number, image in enumerate(grey):
        for part in ("train", "test"):
            place = tmp_path / "folder with spaces" / part / str(number % 3)
            place.mkdir(parents=True, exist_ok=True)
            pixels = (image[0] * 255).round().astype(np.uint8)
            Image.fromarray(pixels).save(place / f"{number}.png")
    (tmp_path / "o.json").write_text(json.dumps({**SIZE, "timesteps": 2}))
    return tmp_path


@pytest.fixture
def train(run):
    """Train for one epoch, unless the arguments say otherwise."""

    def train_once(*arguments, out="o.pt"):
        given = [str(argument) for argument in arguments]
        epochs = [] if "--epochs" in given else ["--epochs", "1"]
        return run("main", "train", *given, *epochs, "--batch-size", "4", "--out", out)

    return train_once


def paste(run, line):
    """Run a command as it was printed."""
    program, *arguments = shlex.split(line)
    names = {"sdt-export": "main_export", "sdt-sim": "main_sim", "sdt-lava": "main"}
    return run(names[program], *arguments)


def proposed(out, label):
    return re.search(rf"^{label}: (.*)$", out, re.M)[1]


FILES = ("--data", "grey.npz", "--test-data", "grey.npz")


@pytest.mark.parametrize(
    "data",
    [
        FILES,
        ("--data", "events.npz", "--test-data", "events.npz"),
        ("--data", "folder with spaces"),
        ("--data", "digits", "--samples", "12"),
    ],
    ids=["file", "events", "folder", "built in"],
)
def test_what_is_proposed_can_be_pasted(data, folder, run, train):
    if "events.npz" in data:
        (folder / "o.json").write_text(json.dumps(SIZE))  # the frames say T
    code, out, err = train("--config", "o.json", *data, out="own model.pt")
    assert code == 0, err
    assert "from the data" in err and "o.json, float network" in out
    code, exported, err = paste(run, proposed(out, "next"))
    assert code == 0, err
    for line in (proposed(out, "then"), proposed(exported, "next")):
        samples = ("--samples", "6", "--backend", "engine")
        code, simulated, err = paste(run, f"{line} {shlex.join(samples)}")
        assert code == 0, err
        assert "accuracy" in simulated and "on 6 samples" in simulated


def test_levels_are_those_of_the_data(folder, train):
    pixels, counts = (255.0, (0, 255)), (1.0, (0, 255))
    for data, levels in (("grey.npz", pixels), ("folder with spaces", pixels)):
        test = () if data != "grey.npz" else ("--test-data", data)
        code, _, err = train("--config", "o.json", "--data", data, *test)
        assert code == 0 and "input levels 0..255, 255 a unit" in err, err
        model = sdt_lava.load_model("o.pt")
        assert (model.config.input_scale, model.config.input_range) == levels
        assert not model.assumes_levels and "1/255" in model.levels_from
    (folder / "o.json").write_text(json.dumps(SIZE))
    code, _, err = train("--config", "o.json", "--data", "events.npz", "--test-data", "events.npz")
    config = sdt_lava.load_model("o.pt").config
    assert code == 0 and (config.input_scale, config.input_range) == counts
    assert (config.timesteps, config.in_channels, config.num_classes) == (3, 2, 3)


def test_levels_of_known_data_and_given_normalisation(folder, train):
    x = np.load("grey.npz")["x"]
    np.savez("colour.npz", x=np.repeat(x, 3, 1), y=np.arange(12) % 3)
    colour = ("--data", "colour.npz", "--test-data", "colour.npz")
    mean, std = NORMALISATION["cifar100"]
    for more in ({"dataset": "cifar100"}, {"input_mean": mean, "input_std": std}):
        (folder / "o.json").write_text(json.dumps({**SIZE, "timesteps": 2, **more}))
        code, _, err = train("--config", "o.json", *colour)
        assert code == 0, err
        config = sdt_lava.load_model("o.pt").config
        assert config.input_scale == image_levels(mean, std).scale
        assert (config.input_mean, config.input_std) == (mean, std)


def test_a_file_in_the_presets_place_names_the_option_that_works(folder, train):
    code, out, err = train("--preset", "o.json", *FILES)
    assert (code, out) == (2, "")
    (advice,) = re.findall(r"remedy: .*(--config \S+)", err)
    code, _, err = train(*shlex.split(advice), *FILES)
    assert code == 0, err


def test_both_options_or_none(folder, train):
    for options in ((), ("--preset", "digits", "--config", "o.json")):
        code, _, err = train(*options, *FILES)
        assert code == 2 and "one of the two" in err
    code, _, err = train("--config", "digits", "--samples", "4")
    assert code == 0, err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ('{"dim": 16}', "depth"),
        ('{"dim": 16, "depth": 1, "dpeth": 1}', "dpeth"),
        ('{"dim": 17, "depth": 1}', "multiple of 8"),
        ('{"dim": 16, "depth": "1"}', "an integer"),
        ('{"dim": 16384, "depth": 1024}', "this machine"),
    ],
)
def test_a_wrong_configuration_is_found_before_data_are_opened(content, said, folder, train):
    (folder / "o.json").write_text(content)
    code, out, err = train("--config", "o.json", "--data", "missing.npz", "--test-data", "digits")
    assert (code, out) == (2, "") and said in err and "missing.npz" not in err
    assert [line.split(":")[0] for line in err.splitlines()] == [
        "error", "found", "allowed", "remedy",
    ]  # fmt: skip


def test_data_that_contradict_the_configuration(folder, train):
    (folder / "o.json").write_text(json.dumps({**SIZE, "timesteps": 2, "image_size": [9, 8]}))
    code, _, err = train("--config", "o.json", *FILES)
    assert code == 2 and "(1, 8, 8)" in err and '"image_size": [8, 8]' in err
    (folder / "o.json").write_text(json.dumps({**SIZE, "timesteps": 2}))
    test = ("--data", "grey.npz", "--test-data", "events.npz")
    assert train("--config", "o.json", *test)[0] == 2
    code, _, err = train("--config", "o.json", "--data", "bare.npy", "--test-data", "bare.npy")
    assert code == 2 and "no labels" in err
    code, _, err = train("--config", "o.json")
    assert code == 2 and "--data FILE.npz" in err
    code, _, err = train("--preset", "digits", "--data", "events.npz", "--test-data", "digits")
    assert code == 2 and "--config" in err


def test_every_notation_trains_the_same_network(folder, train):
    weights = []
    texts = {
        "o.yml": "dim: 16\ndepth: 1\nnum_heads: 2\nmlp_ratio: 1\npooling_stat: 1100\ntimesteps: 2",
        "o.toml": 'dim = 16\ndepth = 1\nnum_heads = 2\nmlp_ratio = 1\npooling_stat = "1100"\n'
        "timesteps = 2",
    }
    for name in ("o.json", *texts):
        if name in texts:
            (folder / name).write_text(texts[name])
        code, _, err = train("--config", name, *FILES)
        assert code == 0, err
        weights.append(sdt_lava.load_model("o.pt").state_dict())
    for other in weights[1:]:
        assert all(torch.equal(weights[0][key], other[key]) for key in other)


def test_the_authors_file_trains_their_network(folder, run, train):
    (folder / "conf.yml").write_text(
        "model: sdt\ndim: 16\nlayer: 1\nnum_heads: 2\nmlp_ratio: 1\npooling_stat: 1100\n"
        "time_steps: 2\nlr: 0.001\n"
    )
    code, out, err = train("--config", "conf.yml", *FILES)
    assert code == 0, err
    config = sdt_lava.load_model("o.pt").config
    assert (config.neuron, config.downsampling) == ("lif", "max")
    assert paste(run, proposed(out, "next"))[0] == 0


def test_it_resumes_seeds_and_logs_as_with_presets(folder, train, monkeypatch):
    options = ("--config", "o.json", *FILES, "--epochs", "2", "--seed", "3")
    assert train(*options, "--tensorboard", "logs", out="whole.pt")[0] == 0
    assert list((folder / "logs").iterdir())
    original = loop.train

    def interrupted(*arguments, on_progress, **more):
        def stop(report):
            if report.epoch == 2:
                raise KeyboardInterrupt
            on_progress(report)

        return original(*arguments, on_progress=stop, **more)

    monkeypatch.setattr(loop, "train", interrupted)
    code, _, err = train(*options, out="again.pt")
    assert code == 130 and "--resume" in err
    monkeypatch.setattr(loop, "train", original)
    (folder / "o.json").write_text(json.dumps({**SIZE, "timesteps": 3}))
    assert train(*options, "--resume", out="again.pt")[0] == 2
    (folder / "o.json").write_text(json.dumps({**SIZE, "timesteps": 2}))
    assert train(*options, "--resume", out="again.pt")[0] == 0
    left, right = (sdt_lava.load_model(name).state_dict() for name in ("whole.pt", "again.pt"))
    assert all(torch.equal(left[key], right[key]) for key in left)
    assert train(*options[:-1], "4", out="other.pt")[0] == 0
    other = sdt_lava.load_model("other.pt").state_dict()
    assert any(not torch.equal(left[key], other[key]) for key in left)
    assert train(*options[:-1], "-1", out="other.pt")[0] == 2


def test_the_configuration_is_not_written_over(folder, train):
    before = (folder / "o.json").read_text()
    assert train("--config", "o.json", *FILES, out="o.json")[0] == 2
    assert (folder / "o.json").read_text() == before


def test_data_in_a_root_are_proposed_with_it(tmp_path):
    training = command.Training(
        out=tmp_path / "o.pt", config="o.json", data="dvs128-gesture", binning="time",
        data_root=tmp_path / "my data",
    )  # fmt: skip
    for line in command._next_commands(training, Draft("o.json", {"dataset": "dvs128-gesture"})):
        words = shlex.split(line.partition(": ")[2])
        assert words[words.index("--data-root") + 1] == str(tmp_path / "my data")
        assert words[words.index("--binning") + 1] == "time"
