"""The training loop."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from sdt_lava.datasets import Dataset, load_digits_split
from sdt_lava.errors import CheckpointError, ConfigError, DataError
from sdt_lava.families import load_model, read_archive
from sdt_lava.model import SpikeDrivenTransformer, TrainingOptions, accuracy, preset, train
from sdt_lava.training.augment import shift_randomly
from tests.families.sdt1.networks import tiny_config

CONFIG = tiny_config(in_channels=1, num_classes=2, dim=8, depth=1, timesteps=2, num_heads=1)
OPTIONS = TrainingOptions(epochs=3, batch_size=16, max_shift=1, threads=1, seed=4)


def bars(samples=40, seed=0):
    """Vertical and horizontal bars."""
    generator = np.random.default_rng(seed)
    x = np.zeros((samples, 1, 8, 8), np.float32)
    y = np.arange(samples) % 2
    for image, label, place in zip(x, y, generator.integers(2, 6, samples), strict=True):
        (image[0].T if label else image[0])[place] = 2
    return Dataset("bars", x, y, 2)


def network(seed=0, **changes):
    torch.manual_seed(seed)
    return SpikeDrivenTransformer(replace(CONFIG, **changes))


def same_weights(one, other):
    left, right = one.state_dict(), other.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left)


class Interrupt(Exception):
    pass


def interrupt_in_epoch(number):
    def callback(progress):
        if progress.epoch == number and progress.step == 2:
            raise Interrupt

    return callback


def test_it_learns_and_reports(tmp_path):
    # Wide enough to learn: the first stage of the other tests' network has a single channel.
    model, reports = network(dim=32), []
    options = TrainingOptions(epochs=10, batch_size=8, threads=1, learning_rate=1e-2)
    path = tmp_path / "model.pt"
    result = train(
        model, bars(), bars(seed=1), options, checkpoint_path=path, on_progress=reports.append
    )
    assert result.history[-1].loss < result.history[0].loss
    assert result.test_accuracy == accuracy(model, bars(seed=1).x, bars(seed=1).y) >= 0.9
    assert [record.epoch for record in result.history] == list(range(1, 11))
    assert len(reports) == 10 * (5 + 1)
    assert [r.finished_epoch for r in reports if r.finished_epoch] == list(result.history)
    assert not model.training
    assert same_weights(load_model(path), model)
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


def test_resumed_is_the_same_as_uninterrupted(tmp_path):
    whole = network()
    expected = train(whole, bars(), bars(), OPTIONS)
    path = tmp_path / "model.pt"
    with pytest.raises(Interrupt):
        train(
            network(),
            bars(),
            bars(),
            OPTIONS,
            checkpoint_path=path,
            on_progress=interrupt_in_epoch(3),
        )
    resume = tmp_path / "model.pt.resume"
    assert not path.exists()
    torch.load(resume, weights_only=True)
    # Neither other initial weights nor other random numbers may matter.
    resumed = network(seed=77)
    torch.manual_seed(123)
    result = train(resumed, bars(), bars(), OPTIONS, resume_from=resume, checkpoint_path=path)
    assert same_weights(resumed, whole)
    for ours, theirs in zip(result.history, expected.history, strict=True):
        assert (ours.loss, ours.test_accuracy) == (theirs.loss, theirs.test_accuracy)
    assert not resume.exists()
    assert same_weights(load_model(path), whole)


def test_seeds_decide():
    first, again, other = network(), network(), network()
    train(first, bars(), bars(), OPTIONS)
    train(again, bars(), bars(), OPTIONS)
    train(other, bars(), bars(), TrainingOptions(epochs=3, batch_size=16, threads=1, seed=5))
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_resuming_something_else(tmp_path):
    path = tmp_path / "model.pt"
    with pytest.raises(Interrupt):
        train(
            network(),
            bars(),
            bars(),
            OPTIONS,
            checkpoint_path=path,
            on_progress=interrupt_in_epoch(2),
        )
    resume = tmp_path / "model.pt.resume"
    others = TrainingOptions(epochs=4, batch_size=16, max_shift=1, threads=1, seed=4)
    with pytest.raises(CheckpointError, match="other options"):
        train(network(), bars(), bars(), others, resume_from=resume)
    with pytest.raises(CheckpointError, match="other options, data"):
        train(network(), bars(50), bars(), OPTIONS, resume_from=resume)
    with pytest.raises(CheckpointError, match="No such file"):
        train(network(), bars(), bars(), OPTIONS, resume_from=tmp_path / "missing")
    content = read_archive(resume)
    torch.save({**content, "format": "other"}, path)
    with pytest.raises(CheckpointError, match="not the state of a training"):
        train(network(), bars(), bars(), OPTIONS, resume_from=path)
    for key, value in [("history", [{}]), ("optimizer", {}), ("generator", 3), ("model", {})]:
        torch.save({**content, key: value}, path)
        with pytest.raises(CheckpointError, match="damaged"):
            train(network(), bars(), bars(), OPTIONS, resume_from=path)


def test_the_number_of_threads_is_put_back():
    before = torch.get_num_threads()
    options = TrainingOptions(epochs=1, threads=before + 1)
    train(network(), bars(8), bars(8), options)
    assert torch.get_num_threads() == before


def test_shifts_differ_by_sample_and_fill_with_zeros():
    x = torch.zeros(60, 2, 1, 5, 5)
    x[..., 2, 2] = 1
    moved = shift_randomly(x, 2, torch.Generator().manual_seed(0))
    assert moved.shape == x.shape
    assert torch.equal(moved.sum((-1, -2)), torch.ones(60, 2, 1))
    # All frames of one sample move together, and all 25 places occur.
    assert torch.equal(moved[:, 0], moved[:, 1])
    places = {tuple(image.nonzero()[0].tolist()) for image in moved[:, 0, 0]}
    assert len(places) > 20
    assert shift_randomly(x, 0, torch.Generator()) is x
    ones = shift_randomly(torch.ones(9, 1, 3, 3), 3, torch.Generator().manual_seed(1))
    assert set(ones.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": -1},
        {"learning_rate": float("nan")},
        {"weight_decay": -0.1},
        {"label_smoothing": 1.0},
        {"gradient_clip": 0},
        {"max_shift": -1},
        {"threads": 0},
    ],
)
def test_options_out_of_range(wrong):
    with pytest.raises(ConfigError, match=rf"options\.{next(iter(wrong))}"):
        TrainingOptions(**wrong)


def test_data_that_cannot_be_trained_on():
    unlabelled = Dataset("bars", bars().x, None, 0)
    with pytest.raises(DataError, match="no labels"):
        train(network(), unlabelled, bars(), OPTIONS)
    many = Dataset("bars", bars().x, np.arange(40), 40)
    with pytest.raises(DataError, match="labels 0 to 39"):
        train(network(), many, bars(), OPTIONS)


def test_a_loss_that_is_not_finite():
    model = network()
    with torch.no_grad():
        model.head.bias.fill_(float("inf"))
    with pytest.raises(ConfigError, match="loss became"):
        train(model, bars(), bars(), OPTIONS)


def test_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match="pip install"):
        train(network(), bars(8), bars(8), OPTIONS, tensorboard_dir=tmp_path)
    monkeypatch.undo()
    pytest.importorskip("torch.utils.tensorboard")
    train(network(), bars(8), bars(8), OPTIONS, tensorboard_dir=tmp_path)
    assert list(tmp_path.glob("events*"))


def test_accuracy_restores_the_mode():
    model = network().train()
    accuracy(model, bars().x, bars().y, batch_size=7)
    assert model.training


@pytest.mark.slow
def test_digits_are_learned_better_than_chance_in_one_epoch():
    torch.manual_seed(0)
    model = SpikeDrivenTransformer(preset("digits"))
    options = TrainingOptions(epochs=1, threads=1)
    digits = load_digits_split("train")
    result = train(model, digits, load_digits_split("test"), options)
    assert result.history[0].train_accuracy > 0.2
