"""Counts along an axis against pairs that are written out; products recognised in matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from sdt_lava.compiler.connections import identity, token_broadcast, token_sum
from sdt_lava.hardware.core_map.counts import Counter, count_parts
from sdt_lava.hardware.core_map.factors import as_grid, factor
from sdt_lava.hardware.core_map.tiling import Split, Tiling, split_counts
from sdt_lava.ir import OrPool
from sdt_lava.ir.relations import Blocks, Grid, Pattern, grid, window

sides = st.integers(1, 7)


def pairs_of(relation):
    """Dense 0/1 matrix (outputs, inputs)."""
    labels = np.arange(relation.outputs)
    return relation.counts(labels, relation.outputs).toarray()


@given(sides, sides, st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2))
def test_window_joins_what_a_sliding_window_reads(inputs, outputs, kernel, stride, padding, dilate):
    expected = np.zeros((outputs, inputs), int)
    for out in range(outputs):
        for tap in range(kernel):
            read = out * stride - padding + tap * dilate
            if 0 <= read < inputs:
                expected[out, read] = 1
    relation = window(inputs, outputs, kernel, stride, padding, dilate)
    assert np.array_equal(pairs_of(relation), expected)
    assert relation.pairs == expected.sum()


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_blocks_are_complete_within_groups(groups, per_out, per_in):
    relation = Blocks(groups * per_out, groups * per_in, groups)
    expected = np.kron(np.eye(groups, dtype=int), np.ones((per_out, per_in), int))
    assert np.array_equal(pairs_of(relation), expected)
    assert relation.pairs == expected.sum()


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(1, 3), st.integers(1, 2), st.integers(0, 1), st.data())
def test_boxes_of_a_grid_count_as_its_pairs_do(height, width, kernel, stride, padding, data):
    tall, wide = height // stride + 1, width // stride + 1
    relation = grid(
        window(height, tall, kernel, stride, padding, 1),
        window(width, wide, kernel, stride, padding, 1),
    )
    splits = (
        Split(tall, data.draw(st.integers(1, tall))),
        Split(wide, data.draw(st.integers(1, wide))),
    )
    labels = Tiling(Split(1, 1), splits).position_labels
    parts = splits[0].parts * splits[1].parts
    found = Counter().count(relation, splits)
    expected = count_parts(relation.counts(labels, parts))
    dense = np.zeros((parts, relation.inputs), int)
    np.add.at(dense, labels, pairs_of(relation))
    assert np.array_equal(found.reads, (dense > 0).sum(axis=1))
    assert np.array_equal(found.reads, expected.reads)
    assert np.array_equal(found.synapses, dense.sum(axis=1))
    assert np.array_equal(found.readers, (dense > 0).sum(axis=0))
    assert found.most_readers == (dense > 0).sum(axis=0).max()
    for part in range(parts):
        lengths = {int(n): int((dense[part] == n).sum()) for n in set(dense[part]) - {0}}
        counted: dict[int, int] = {}
        for length, count in zip(found.lengths, found.histogram[part], strict=True):
            if count:
                counted[int(length)] = counted.get(int(length), 0) + int(count)
        assert counted == lengths


@pytest.mark.parametrize(
    ("matrix", "outer", "inner", "kinds"),
    [
        (identity(12, 2), (3, 3), (4, 4), (Blocks, Blocks)),
        (token_sum((3, 2, 2), 1), (3, 3), (1, 4), (Blocks, Blocks)),
        (token_broadcast((3, 2, 2), 1), (3, 3), (4, 1), (Blocks, Blocks)),
        (
            OrPool(name="p").relation([(2, 5, 4)]).matrix(2),
            (2, 2),
            (6, 20),
            (Blocks, Pattern),
        ),
    ],
    ids=["identity", "token_sum", "broadcast", "pooling"],
)
def test_fixed_connections_are_recognised_as_products(matrix, outer, inner, kinds):
    found = factor(matrix, outer, inner)
    assert found is not None
    assert tuple(map(type, found)) == kinds
    product = np.kron(pairs_of(found[0]), pairs_of(found[1]))
    assert np.array_equal(product, (matrix.toarray() != 0).astype(int))


def test_pooling_is_split_into_rows_and_columns():
    matrix = OrPool(name="p").relation([(2, 5, 4)]).matrix(2)
    position = factor(matrix, (2, 2), (6, 20))[1]
    split = as_grid(position, (3, 2), (5, 4))
    assert isinstance(split, Grid)
    assert np.array_equal(pairs_of(split), pairs_of(position))


def test_an_irregular_matrix_is_no_product():
    dense = np.kron(np.eye(2, dtype=int), np.ones((2, 2), int))
    dense[0, 1] = 0
    assert factor(csr_matrix(dense), (2, 2), (2, 2)) is None


def test_a_missing_synapse_of_weight_zero_makes_a_difference_and_an_explicit_one_none():
    """An explicit zero is a synapse; a missing entry is none."""
    zeros = identity(4, 1)
    zeros.data[:] = 0
    assert factor(zeros, (2, 2), (2, 2)) is not None
    missing = identity(4, 1)
    missing.data[0] = 0
    missing.eliminate_zeros()
    assert factor(missing, (2, 2), (2, 2)) is None


@given(st.integers(1, 60), st.integers(1, 60))
def test_splits_cover_their_axis_once(length, parts):
    balanced = Split(length, min(parts, length))
    assert balanced.sizes.sum() == length and balanced.sizes.min() >= 1
    assert balanced.sizes.max() - balanced.sizes.min() <= 1
    assert balanced.sizes.max() == balanced.largest
    assert np.array_equal(np.bincount(balanced.labels), balanced.sizes)
    size = -(-length // balanced.parts)
    filled = Split(length, -(-length // size), size)
    assert filled.sizes.sum() == length and filled.sizes.min() >= 1
    assert set(filled.sizes[:-1]) <= {size}


@given(st.integers(1, 200))
def test_split_counts_are_those_that_change_the_largest_part(length):
    counts = split_counts(length)
    assert counts[0] == 1 and counts[-1] == length
    sizes = [-(-length // count) for count in counts]
    assert len(set(sizes)) == len(sizes)
    assert set(sizes) == {-(-length // count) for count in range(1, length + 1)}
