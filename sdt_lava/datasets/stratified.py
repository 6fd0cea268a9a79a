"""A stratified random split that gives exactly the same samples as scikit-learn's."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from sdt_lava.ir.numerics import IntArray


def stratified_split(labels: IntArray, test: int, seed: int) -> tuple[IntArray, IntArray]:
    """Return the indices of the samples for training and for testing.

    The result equals that of ``sklearn.model_selection.train_test_split`` with
    ``stratify=labels``, which takes longer to import than a small network takes to run.

    Parameters
    ----------
    labels : ndarray of int
        Labels ``(B,)``.
    test : int
        Number of samples for testing; all others are for training.
    seed : int
        Seed of the split.
    """
    random = RandomState(seed)
    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    train_sizes = _shares(sizes, len(labels) - test, random)
    test_sizes = _shares(sizes - train_sizes, test, random)
    parts: tuple[list[IntArray], list[IntArray]] = [], []
    for number, (first, second) in enumerate(zip(train_sizes, test_sizes, strict=True)):
        members = np.flatnonzero(classes == number)
        shuffled_members = members[random.permutation(len(members))]
        parts[0].append(shuffled_members[:first])
        parts[1].append(shuffled_members[first : first + second])
    train_indices, test_indices = (random.permutation(np.concatenate(part)) for part in parts)
    return train_indices, test_indices


def _shares(sizes: IntArray, total: int, random: RandomState) -> IntArray:
    """Divide a number of samples among classes in proportion, by the largest remainder method.

    Ties between equal remainders are broken at random.
    """
    quotas = sizes / sizes.sum() * total
    shares = np.floor(quotas)
    remainders, remaining = quotas - shares, int(total - shares.sum())
    for remainder in np.unique(remainders)[::-1]:
        if not remaining:
            break
        ties = np.flatnonzero(remainders == remainder)
        winners = random.choice(ties, size=min(len(ties), remaining), replace=False)
        shares[winners] += 1
        remaining -= len(winners)
    return shares.astype(np.int64)
