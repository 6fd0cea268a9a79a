"""The simulated event camera."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from sdt_lava.datasets import SyntheticDvsOptions, load_dataset, load_synthetic_dvs
from sdt_lava.datasets.synthetic_dvs import CLASSES
from sdt_lava.errors import DataError

OFF, ON = 0, 1
# Of 300 recordings with seed 7, as first generated on Linux, x86-64.
DIGEST = "d944ea8fc47e46ea67be69cea2b02db1c801c8e467ef2676e64cf6cb24c53d0c"


def recordings(**changes):
    """A few recordings without noise and losses unless asked for."""
    options = {"samples": 200, "noise_per_mille": 0, "lost_per_mille": 0, **changes}
    return load_synthetic_dvs("test", SyntheticDvsOptions(**options))


def test_parts_are_fixed_balanced_and_whole_numbers():
    train, test = load_dataset("synthetic-dvs", "train"), load_dataset("synthetic-dvs")
    assert train.x.shape == (1000, 8, 2, 16, 16)
    assert test.x.shape == (400, 8, 2, 16, 16)
    assert train.x.dtype == np.float32
    assert (test.name, test.num_classes) == ("synthetic-dvs/test", 5)
    assert np.bincount(train.y).tolist() == [200] * 5
    assert np.array_equal(train.x, np.rint(train.x))
    assert train.x.min() == 0
    assert 1 < train.x.max() <= 15
    assert np.array_equal(test.x, load_synthetic_dvs("test").x)


def test_it_is_the_same_on_every_machine():
    data = load_synthetic_dvs("test", SyntheticDvsOptions(samples=300, seed=7))
    digest = hashlib.sha256(data.x.astype(np.uint8).tobytes() + data.y.astype(np.uint8).tobytes())
    assert digest.hexdigest() == DIGEST


def test_parts_and_seeds_differ():
    train, test = load_synthetic_dvs("train"), load_synthetic_dvs("test")
    seen = {sample.tobytes() for sample in train.x}
    assert not any(sample.tobytes() in seen for sample in test.x)
    other = load_synthetic_dvs("test", SyntheticDvsOptions(seed=1))
    assert not np.array_equal(test.x, other.x)


@pytest.mark.parametrize(
    ("label", "axis", "sign"), [("right", 3, 1), ("left", 3, -1), ("down", 2, 1), ("up", 2, -1)]
)
def test_the_label_is_the_direction_of_motion(label, axis, sign):
    data = recordings()
    chosen = data.x[data.y == CLASSES.index(label)]
    # Where the shape appears lies ahead of where it vanishes.
    places = np.arange(16)
    by_place = chosen.sum(axis=4 if axis == 2 else 3)  # (B, T, 2, place)
    total = by_place.sum(axis=(1, 3))
    whole = (total > 0).all(axis=1)
    centre = (by_place.sum(axis=1) * places).sum(axis=2)[whole] / total[whole]
    assert (sign * (centre[:, ON] - centre[:, OFF]) > 0).all()


def test_growing_shapes_only_appear():
    data = recordings()
    growing = data.x[data.y == CLASSES.index("growing")]
    assert growing[:, :, OFF].sum() == 0
    assert (growing[:, :, ON].sum(axis=(1, 2, 3)) > 0).all()


def test_noise_and_losses_are_what_was_asked_for():
    noise = recordings(noise_per_mille=50).x.sum() - recordings().x.sum()
    # Other draws come out the same: noise is drawn last, for all of these samples at once.
    assert noise / recordings().x.size == pytest.approx(0.05, rel=0.02)
    kept = recordings(lost_per_mille=300).x.sum() / recordings().x.sum()
    assert kept == pytest.approx(0.7, abs=0.02)
    assert recordings(lost_per_mille=1000).x.sum() == 0


@pytest.mark.parametrize(
    "changes",
    [{"samples": 0}, {"seed": -1}, {"noise_per_mille": 1001}, {"lost_per_mille": -1}],
)
def test_options_out_of_range(changes):
    with pytest.raises(DataError, match=next(iter(changes))):
        SyntheticDvsOptions(**changes)
    with pytest.raises(DataError, match="part"):
        load_synthetic_dvs("validation")
