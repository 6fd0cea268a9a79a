"""The 8x8 handwritten digits of scikit-learn, which need no download."""

from __future__ import annotations

import gzip
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdt_lava.datasets.base import PARTS, Dataset, check_part
from sdt_lava.datasets.stratified import stratified_split

# Pixels are counts from 0 to 16.
_LARGEST_PIXEL = 16.0
_TEST_FRACTION = 0.2
# Relative to scikit-learn's folder; if the file is elsewhere, scikit-learn itself reads it.
_FILE = ("datasets", "data", "digits.csv.gz")


def load_digits_split(part: str = "test", *, split_seed: int = 0) -> Dataset:
    """Return one part of a fixed stratified split, 1437 samples for training and 360 for testing.

    Parameters
    ----------
    part : {'train', 'test'}
        Part to return.
    split_seed : int
        Seed of the split; the same seed always gives the same split.

    Returns
    -------
    Dataset
        Images ``(B, 1, 8, 8)`` with multiples of 1/16 in [0, 1].

    Raises
    ------
    DataError
        If the part does not exist.
    """
    check_part("digits", part)
    pixels, labels = _read()
    test_size = math.ceil(_TEST_FRACTION * len(labels))
    indices = stratified_split(labels, test_size, split_seed)[PARTS.index(part)]
    images = (pixels[indices] / _LARGEST_PIXEL).astype(np.float32)
    return Dataset(f"digits/{part}", images[:, None], labels[indices], 10)


def _read() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return images ``(B, 8, 8)`` and labels.

    The file is read directly, because importing scikit-learn takes a second.
    """
    spec = find_spec("sklearn")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder).joinpath(*_FILE)
        if path.is_file():
            with gzip.open(path, "rt", encoding="ascii") as file:
                rows = np.loadtxt(file, np.float64, delimiter=",")
            return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images, digits.target.astype(np.int64)
