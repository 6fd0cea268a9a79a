"""``sdt-lava train`` and the example trainings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.cli.train import EPOCHS, Training, run_training
from sdt_lava.datasets import load_dataset
from sdt_lava.errors import ConfigError, DataError, SdtLavaError
from sdt_lava.model import TrainingOptions
from sdt_lava.training import training as loop

ROOT = Path(__file__).resolve().parents[2]
SDT_LAVA = str(Path(sys.executable).with_name("sdt-lava"))


def command(*arguments):
    return subprocess.run(
        list(map(str, arguments)), cwd=ROOT, capture_output=True, text=True, check=False
    )


def weights(path):
    return sdt_lava.load_model(path).state_dict()


def test_options_of_the_loop():
    assert Training(preset="digits", out=Path("x")).options() == TrainingOptions()
    events = Training(preset="synthetic-dvs", out=Path("x"), seed=3).options()
    assert (events.epochs, events.seed) == (EPOCHS["synthetic-dvs"], 3)
    given = Training(preset="8-384", out=Path("x"), epochs=2, batch_size=8, learning_rate=0.5)
    assert given.options() == TrainingOptions(epochs=2, batch_size=8, learning_rate=0.5)
    with pytest.raises(ConfigError, match="epochs"):
        Training(preset="digits", out=Path("x"), epochs=0).options()


def test_it_trains_on_a_file_and_resumes(tmp_path, monkeypatch):
    data = load_dataset("digits", "train", 40)
    np.savez(tmp_path / "data.npz", x=data.x, y=data.y)
    name = str(tmp_path / "data.npz")
    common = {"preset": "digits", "data": name, "epochs": 2, "batch_size": 16}
    whole = Training(out=tmp_path / "whole.pt", test_data="digits", samples=24, **common)
    result = run_training(whole)
    assert len(result.history) == 2

    train = loop.train

    def interrupted(*arguments, on_progress, **more):
        def stop(report):
            if report.epoch == 2:
                raise KeyboardInterrupt
            on_progress(report)

        return train(*arguments, on_progress=stop, **more)

    again = {**common, "out": tmp_path / "again.pt", "test_data": "digits", "samples": 24}
    monkeypatch.setattr(loop, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_training(Training(**again))
    monkeypatch.setattr(loop, "train", train)
    assert len(run_training(Training(resume=True, **again)).history) == 2
    left, right = weights(tmp_path / "whole.pt"), weights(tmp_path / "again.pt")
    assert all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize(
    ("changes", "kind", "found"),
    [
        ({"preset": "unknown"}, ConfigError, "synthetic-dvs"),
        ({"data": "synthetic-dvs"}, DataError, r"\(8, 2, 16, 16\)"),
        ({"data": "unknown"}, DataError, "imagenet"),
        ({"data": "data.npz"}, ConfigError, "--test-data"),
        ({"out": Path("missing") / "model.pt"}, SdtLavaError, "missing"),
        ({"data": "cifar10", "preset": "cifar-2-256"}, DataError, "cifar-10-batches-py"),
    ],
)
def test_bad_input_is_found_before_training(changes, kind, found, tmp_path):
    training = {"preset": "digits", "out": tmp_path / "model.pt", "data_root": tmp_path, **changes}
    with pytest.raises(kind, match=found):
        run_training(Training(**training))


def test_more_classes_than_outputs(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.zeros((12, 1, 8, 8)), y=np.arange(12))
    name = str(tmp_path / "data.npz")
    with pytest.raises(DataError, match="12 classes"):
        run_training(
            Training(preset="digits", out=tmp_path / "model.pt", data=name, test_data="digits")
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        [sys.executable, "examples/train_digits.py"],
        [sys.executable, "examples/train_events.py"],
        [SDT_LAVA, "train", "--preset", "digits", "--samples", "20"],
    ],
)
def test_programs(program, tmp_path):
    out = tmp_path / "model.pt"
    done = command(*program, "--out", out, "--epochs", 1, "--seed", 2)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    assert f"sdt-export {out}" in done.stdout
    assert "epoch" in done.stderr
    assert weights(out)
    failed = command(*program, "--out", tmp_path / "missing" / "model.pt")
    assert failed.returncode == 2
    assert failed.stderr.startswith("error:")
    assert failed.stdout == ""
