"""The 8x8 handwritten digits that come with scikit-learn: no download."""

from __future__ import annotations

import numpy as np

from sdt_lava.datasets.base import PARTS, Dataset, check_part

# Pixels are counts from 0 to 16.
_LARGEST_PIXEL = 16.0
_TEST_FRACTION = 0.2


def load_digits_split(part: str = "test", *, split_seed: int = 0) -> Dataset:
    """Return one part of a fixed stratified split, 1437 for training and 360 for testing.

    Parameters
    ----------
    part : {'train', 'test'}
        Which part.
    split_seed : int
        Which split; the same number always gives the same one.

    Returns
    -------
    Dataset
        Images ``(B, 1, 8, 8)`` of multiples of 1/16 in [0, 1].

    Raises
    ------
    DataError
        If there is no such part.
    """
    check_part("digits", part)
    # scikit-learn takes a second to import, which programs on other data need not wait for.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    labels = digits.target.astype(np.int64)
    chosen = train_test_split(
        np.arange(len(labels)), test_size=_TEST_FRACTION, random_state=split_seed, stratify=labels
    )[PARTS.index(part)]
    images = (digits.images[chosen] / _LARGEST_PIXEL).astype(np.float32)
    return Dataset(f"digits/{part}", images[:, None], labels[chosen], 10)
