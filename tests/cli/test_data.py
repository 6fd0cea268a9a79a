"""Data sets by name on the command line: what is missing, and samples that fit the network."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

import sdt_lava
from sdt_lava.datasets import OPTIONS, SOURCES, SourceOptions, fitting_options, source
from sdt_lava.errors import DataError

PLACES = {
    "cifar10": ("cifar-10-batches-py/test_batch", "University of Toronto"),
    "cifar100": ("cifar-100-python/test", "University of Toronto"),
    "imagenet": ("imagenet/val/n01440764", "image-net.org"),
    "dvs128-gesture": ("DVSGesture/ibmGestureTest.tar.gz", "IBM's DVS128 Gesture"),
    "cifar10-dvs": ("CIFAR10DVS/CIFAR10DVS.zip", "Li et al. 2017"),
}


def test_every_data_set_with_files_has_a_place():
    assert set(PLACES) == set(SOURCES)
    fields = set(SourceOptions.__dataclass_fields__)
    assert set(OPTIONS) <= set(SOURCES) and all(set(names) <= fields for names in OPTIONS.values())


@pytest.mark.parametrize("name", PLACES)
def test_missing_files_end_with_which_where_from_and_where_to(run, network, tmp_path, name):
    if "dvs" in name:
        pytest.importorskip("tonic")
    code, out, err = run("main_sim", network, "--data", name, "--data-root", tmp_path)
    assert (code, out) == (2, "")
    file, origin = PLACES[name]
    text = err.replace("\n", " ")
    assert f"{tmp_path}/{file}" in text and origin in text
    assert "remedy:" in text and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["compare", "export", "finetune", "train"])
def test_every_command_looks_where_it_is_told(run, checkpoint, network, tmp_path, command):
    arguments = {
        "compare": [checkpoint, network, "--data", "cifar10"],
        "export": [checkpoint, "--out", tmp_path / "n.h5", "--calibration", "cifar10"],
        "finetune": [checkpoint, "--data", "cifar10", "--out", tmp_path / "m.pt"],
        "train": ["--preset", "cifar-2-256", "--out", tmp_path / "m.pt"],
    }[command]
    root = tmp_path / "sets"
    code, _, err = run("main", command, *arguments, "--data-root", root)
    assert code == 2 and f"{root}/cifar-10-batches-py" in err.replace("\n", " ")


def test_an_option_that_a_data_set_does_not_have(run, network):
    code, _, err = run("main_sim", network, "--data", "digits", "--binning", "time")
    assert code == 2 and "digits: binning" in err
    code, _, err = run("main_sim", network, "--data", "dvs128-gesture", "--binning", "area")
    assert code == 2 and "one of ('time', 'count')" in err


def test_samples_are_made_for_the_network():
    given = SourceOptions(root="here", binning="time")
    events = fitting_options("dvs128-gesture", (2, 128, 128), 10, given)
    assert events == SourceOptions(root="here", binning="time", timesteps=10)
    images = fitting_options("imagenet", (3, 288, 288), 4, SourceOptions())
    assert images == SourceOptions(image_size=288)
    for name in ("cifar10", "digits", "data.npz"):
        assert fitting_options(name, (3, 32, 32), 4, given) is not None
        assert fitting_options(name, (3, 32, 32), 4, given) == given
    chosen = SourceOptions(timesteps=3)
    assert fitting_options("cifar10-dvs", (2, 64, 64), 10, chosen) == chosen
    assert fitting_options("imagenet", (100,), 4, SourceOptions()) == SourceOptions()


def test_downloads_that_fail_are_an_error_of_ours(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR100

    monkeypatch.setattr(CIFAR100, "url", (tmp_path / "nowhere").as_uri())
    with pytest.raises(DataError, match="University of Toronto"):
        sdt_lava.load_dataset("cifar100", root=tmp_path / "sets", download=True)


def test_frames_of_the_networks_number_of_steps(run, tmp_path, monkeypatch):
    """A recording is cut into as many frames as the network has steps."""
    from sdt_lava import datasets
    from sdt_lava.quantize.untrained import untrained_network

    seen = []

    def open_fake(name, part, options):
        seen.append((options.timesteps, options.binning))
        frames = np.random.default_rng(0).poisson(0.5, (options.timesteps, 2, 16, 16))
        return source.LazySource(
            name, frames.shape, np.zeros(2, np.int64), 5, lambda _: frames.astype(np.float32)
        )

    monkeypatch.setitem(datasets.SOURCES, "dvs128-gesture", open_fake)
    path = tmp_path / "net.h5"
    sdt_lava.save_network(untrained_network("synthetic-dvs"), path)
    arguments = [path, "--data", "dvs128-gesture", "--backend", "engine", "--samples", 1]
    for extra in ([], ["--binning", "time"]):
        code, out, _ = run("main_sim", *arguments, *extra)
        assert code == 0 and "accuracy" in out
    assert seen == [(8, None), (8, "time")]


@pytest.mark.parametrize("command", ["lower", "map", "check", "energy", "report", "sim"])
def test_a_default_number_of_samples_is_no_demand(run, network, tmp_path, command):
    data = tmp_path / "two.npz"
    np.savez(data, x=np.zeros((2, 1, 8, 8), np.float32), y=np.zeros(2, int))
    options = {"report": ["--out", tmp_path / "report"], "sim": ["--backend", "engine"]}
    code, _, err = run("main", command, network, "--data", data, *options.get(command, ()))
    assert code == 0, err
    code, _, err = run(
        "main", command, network, "--data", data, "--samples", 3, *options.get(command, ())
    )
    assert code == 2 and "1 to 2" in err


def test_the_report_that_evaluate_proposes_of_few_samples(run, network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("two.npz", x=np.zeros((2, 1, 8, 8), np.float32), y=np.zeros(2, int))
    code, out, err = run("main", "evaluate", network, "--data", "two.npz", "--out", "out")
    assert code == 0, err
    proposed = shlex.split(out.partition("next: sdt-lava ")[2])
    assert proposed[0] == "report" and "--samples" in proposed
    code, _, err = run("main", *proposed)
    assert code == 0, err


@pytest.mark.parametrize("labels", [[0, 10], [3, 11]])
@pytest.mark.parametrize("command", ["sim", "report", "evaluate"])
def test_labels_outside_the_classes(run, network, tmp_path, command, labels):
    data = tmp_path / "data.npz"
    np.savez(data, x=np.zeros((2, 1, 8, 8), np.float32), y=np.array(labels))
    options = ["--backend", "engine"] if command == "sim" else ["--out", tmp_path / "out"]
    code, out, err = run("main", command, network, "--data", data, *options)
    assert (code, out) == (2, "")
    assert "the network has 10 classes" in err.replace("\n", " ")


def test_a_preset_refuses_options_that_it_would_ignore(run):
    for option, value in (("--timesteps", 3), ("--input-shape", 6)):
        code, _, err = run("main", "lower", "--preset", "digits", option, value)
        assert code == 2 and f"drop {option}" in err
