"""Layouts against indices: what each axis is said to be is where its values lie."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch

from sdt_lava.importers.tracing.axes import aligned, is_whole, merged, reshaped, size_of, whole

SIZES = {"T": 3, "B": 2, "0": 8, "1": 4, "2": 6}


def layout():
    return tuple(whole(root, size) for root, size in SIZES.items())


def indices(found, sizes=SIZES):
    """Write down by the layout alone which element lies at each position."""
    steps = {root: prod(list(sizes.values())[at + 1 :]) for at, root in enumerate(sizes)}
    total = np.zeros((), np.int64)
    for axis in found:
        for factor in axis:
            moved = np.arange(factor.size) * factor.stride * steps[factor.root]
            total = total[..., None] + moved
    return total.reshape([size_of(axis) for axis in found])


def split(length, rng):
    divisors = [d for d in range(2, length + 1) if length % d == 0]
    return int(rng.choice(divisors)) if divisors else 1


@pytest.mark.parametrize("seed", range(30))
def test_random_reshapes_and_permutations_are_followed(seed):
    rng = np.random.default_rng(seed)
    values = torch.arange(prod(SIZES.values())).reshape(*SIZES.values())
    found = layout()
    for _ in range(6):
        if rng.random() < 0.4:
            order = rng.permutation(values.ndim).tolist()
            values, found = values.permute(order), tuple(found[axis] for axis in order)
            continue
        shape = list(values.shape)
        axis = int(rng.integers(len(shape)))
        if rng.random() < 0.5 and axis + 1 < len(shape):
            shape[axis : axis + 2] = [shape[axis] * shape[axis + 1]]
        else:
            part = split(shape[axis], rng)
            shape[axis : axis + 1] = [shape[axis] // part, part]
        following = reshaped(found, shape)
        if following is None:  # It would split what belongs together unevenly.
            continue
        values, found = values.reshape(shape), following
    assert np.array_equal(indices(found), values.numpy())


def test_uneven_splits_are_no_layout():
    assert reshaped(layout(), (2, 3, 8, 4, 6)) is None


@pytest.mark.parametrize("units", [("T",), ("1", "2"), ("T", "0"), ("T", "0", "1", "2")])
def test_axes_of_length_one_come_back(units):
    sizes = {root: 1 if root in units else size for root, size in SIZES.items()}
    start = tuple(whole(root, size) for root, size in sizes.items())
    shape = tuple(sizes.values())
    flat = reshaped(start, (shape[0] * shape[1], *shape[2:]))
    tokens = reshaped(start, (*shape[:3], shape[3] * shape[4]))
    assert reshaped(flat, shape) == start
    assert {f.root for f in tokens[-1]} == {"1", "2"}
    assert reshaped(tokens, shape) == start


def test_heads_split_off_and_merged():
    time, batch, channels, *_ = layout()
    tokens = reshaped(layout(), (3, 2, 8, 24))
    heads = reshaped((time, batch, tokens[3], tokens[2]), (3, 2, 24, 4, 2))
    back = (heads[0], heads[1], heads[3], heads[4], heads[2])
    assert tuple(map(merged, reshaped(back, (3, 2, 8, 4, 6)))) == layout()
    assert merged(heads[3] + heads[4]) == channels
    assert not is_whole(heads[3], 0, 8) and is_whole(heads[3] + heads[4], 0, 8)
    assert not is_whole(heads[4] + heads[3], 0, 8)


def test_element_wise_results():
    time, batch, channels, rows, columns = layout()
    assert aligned(layout(), (channels, rows, columns)) == layout()
    # Each channel with each channel is no element-wise result.
    assert aligned((channels, ()), ((), channels)) is None
    assert aligned((time, batch, channels, (), ()), layout()) == layout()
    assert aligned(layout(), (time, batch, channels, columns, rows)) is None
