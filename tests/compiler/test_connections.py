"""Sparse matrices of convolutions and pools against torch."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from sdt_lava.compiler import connections
from sdt_lava.errors import GraphError
from sdt_lava.ir import Conv, OrPool, Subsample, TokenDilate

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
SIDES = st.tuples(st.integers(1, 7), st.integers(1, 7))


@settings(max_examples=80, deadline=None)
@given(
    sides=SIDES, kernel=PAIR, stride=PAIR, dilation=PAIR,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    groups=st.integers(1, 3), seed=st.integers(0, 999),
)  # fmt: skip
def test_convolution_matrix(sides, kernel, stride, dilation, padding, groups, seed):
    rng = np.random.default_rng(seed)
    shape = (2 * groups, *sides)
    weight = rng.integers(-9, 10, (3 * groups, 2, *kernel))
    node = Conv(
        name="c", weight=weight, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    try:
        output = node.output_shape([shape])
    except GraphError:
        assume(False)
    matrix = connections.convolution(node, shape, output)
    x = rng.integers(-5, 6, (1, *shape))
    expected = functional.conv2d(
        torch.tensor(x).double(), torch.tensor(weight).double(), None, stride, padding, dilation,
        groups,
    ).numpy()[0]  # fmt: skip
    assert np.array_equal(matrix @ x.ravel(), expected.ravel())


def test_zero_weights_stay_synapses():
    node = Conv(name="c", weight=np.zeros((2, 3, 1, 1), int))
    assert connections.convolution(node, (3, 2, 2), (2, 2, 2)).nnz == 2 * 3 * 4


@settings(max_examples=50, deadline=None)
@given(sides=SIDES, kernel=st.integers(1, 3), stride=st.integers(1, 3), seed=st.integers(0, 999))
def test_pooling_matrix(sides, kernel, stride, seed):
    node = OrPool(name="p", kernel=kernel, stride=stride, padding=kernel // 2)
    shape = (2, *sides)
    matrix = node.relation([shape]).matrix(1)
    x = np.random.default_rng(seed).integers(0, 2, (1, *shape))
    expected = functional.max_pool2d(torch.tensor(x).float(), kernel, stride, kernel // 2)
    assert np.array_equal((matrix @ x.ravel()) > 0, expected.numpy().ravel() > 0)


@settings(max_examples=50, deadline=None)
@given(
    sides=SIDES, heads=st.integers(1, 3), per_head=st.integers(1, 4), seed=st.integers(0, 999)
)  # fmt: skip
def test_token_dilation_matrix(sides, heads, per_head, seed):
    shape = (heads * per_head, *sides)
    matrix = TokenDilate(name="d", heads=heads).relation([shape]).matrix(2)
    x = np.random.default_rng(seed).random(shape) < 0.2
    grid = torch.tensor(x).float().reshape(heads, per_head, -1).mT  # (heads, N, C / heads)
    expected = functional.max_pool2d(grid, 3, 1, 1).mT.reshape(shape)
    assert np.array_equal((matrix @ x.ravel()) > 0, expected.numpy().ravel() > 0)
    assert set(matrix.data) == {2}


def test_token_matrices():
    x = np.arange(12).reshape(2, 3, 2)
    assert np.array_equal(connections.token_sum(x.shape, 2) @ x.ravel(), 2 * x.sum(axis=(1, 2)))
    channel = np.array([5, 7])
    spread = connections.token_broadcast(x.shape, 3) @ channel
    assert np.array_equal(
        spread.reshape(x.shape), np.broadcast_to(channel[:, None, None] * 3, x.shape)
    )
    assert np.array_equal(connections.identity(4, 2).toarray(), 2 * np.eye(4))
    assert np.array_equal(
        Subsample(name="s", stride=2).relation([(2, 3, 2)]).matrix(1) @ x.ravel(),
        x[:, ::2, ::2].ravel(),
    )
