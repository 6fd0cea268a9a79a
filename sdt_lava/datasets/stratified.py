"""A random split that keeps the share of each class: scikit-learn's, to the sample."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from sdt_lava.ir.numerics import IntArray


def stratified_split(labels: IntArray, test: int, seed: int) -> tuple[IntArray, IntArray]:
    """Return the samples for training and for testing.

    The same as those of ``sklearn.model_selection.train_test_split`` with ``stratify=labels``,
    which takes longer to import than a small network takes to run.

    Parameters
    ----------
    labels : ndarray of int
        ``(B,)``.
    test : int
        Samples for testing; all others are for training.
    seed : int
        Which split.
    """
    random = RandomState(seed)
    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    training = _shares(sizes, len(labels) - test, random)
    testing = _shares(sizes - training, test, random)
    parts: tuple[list[IntArray], list[IntArray]] = [], []
    for number, (first, second) in enumerate(zip(training, testing, strict=True)):
        members = np.flatnonzero(classes == number)
        mixed = members[random.permutation(len(members))]
        parts[0].append(mixed[:first])
        parts[1].append(mixed[first : first + second])
    chosen, kept = (random.permutation(np.concatenate(part)) for part in parts)
    return chosen, kept


def _shares(sizes: IntArray, total: int, random: RandomState) -> IntArray:
    """Divide a number of samples among classes in proportion, by the largest remainders.

    Chance decides where remainders are equal.
    """
    exact = sizes / sizes.sum() * total
    shares = np.floor(exact)
    remainders, left = exact - shares, int(total - shares.sum())
    for remainder in np.unique(remainders)[::-1]:
        if not left:
            break
        equal = np.flatnonzero(remainders == remainder)
        lucky = random.choice(equal, size=min(len(equal), left), replace=False)
        shares[lucky] += 1
        left -= len(lucky)
    return shares.astype(np.int64)
