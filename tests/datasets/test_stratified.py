"""Our split of digits is that of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sdt_lava.datasets import digits
from sdt_lava.datasets.stratified import stratified_split


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("test", [7, 60, 113])
def test_every_sample_is_in_the_same_place(seed, test):
    labels = np.random.default_rng(seed).integers(3, 8, 200) ** 2
    labels[:40] = 9
    expected = train_test_split(np.arange(200), test_size=test, random_state=seed, stratify=labels)
    for found, wanted in zip(stratified_split(labels, test, seed), expected, strict=True):
        assert np.array_equal(found, wanted)


def test_the_file_of_digits_is_read_as_scikit_learn_does(monkeypatch):
    expected = load_digits()
    images, labels = digits._read()
    assert np.array_equal(images, expected.images) and np.array_equal(labels, expected.target)
    monkeypatch.setattr(digits, "_FILE", ("nowhere",))
    images, labels = digits._read()
    assert np.array_equal(images, expected.images) and np.array_equal(labels, expected.target)
    assert labels.dtype == np.int64
