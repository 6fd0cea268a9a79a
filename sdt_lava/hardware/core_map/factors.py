"""Factor sparse matrices into relations of channels and of positions."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.relations import Blocks, Pattern, Relation, grid

# Up to this many possible pairs, a table of all pairs is faster than sorting.
_TABLE_SIZE = 1 << 24

Sizes = tuple[int, int]


def factor(matrix: csr_matrix, outer: Sizes, inner: Sizes) -> tuple[Relation, Relation] | None:
    """Factor the pattern of a matrix into an outer and an inner relation, if possible.

    Parameters
    ----------
    matrix : csr_matrix
        Matrix without duplicates; explicit zeros count as entries.
    outer, inner : (int, int)
        Numbers of outputs and inputs of the two factors; the inner index varies fastest.

    Returns
    -------
    (Relation, Relation) or None
        The outer and the inner factor, or None if the pattern is not a product.
    """
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    columns = matrix.indices.astype(np.int64)
    outer_pairs = _distinct(rows // inner[0] * outer[1] + columns // inner[1], outer)
    inner_pairs = _distinct(rows % inner[0] * inner[1] + columns % inner[1], inner)
    # The product contains all entries, so the two are equal if it has no more of them.
    if len(outer_pairs) * len(inner_pairs) != matrix.nnz:
        return None
    return _relation(outer_pairs, outer), _relation(inner_pairs, inner)


def as_grid(relation: Relation, outputs: Sizes, inputs: Sizes) -> Relation:
    """Split a relation of positions into rows and columns, if it is a product of these.

    Parameters
    ----------
    relation : Relation
        Relation of positions in C order.
    outputs, inputs : (int, int)
        Height and width of the outputs and of the inputs.
    """
    if not isinstance(relation, Pattern):
        return relation
    heights, widths = (outputs[0], inputs[0]), (outputs[1], inputs[1])
    factors = factor(relation.matrix, heights, widths)
    return relation if factors is None else grid(*factors)


def _distinct(keys: IntArray, sizes: Sizes) -> IntArray:
    if sizes[0] * sizes[1] <= _TABLE_SIZE:
        return np.flatnonzero(np.bincount(keys, minlength=1))
    return np.unique(keys)


def _relation(pairs: IntArray, sizes: Sizes) -> Relation:
    outputs, inputs = sizes
    if len(pairs) == outputs * inputs:
        return Blocks(outputs, inputs, 1)
    diagonal = np.arange(outputs) * (inputs + 1)
    if outputs == inputs and np.array_equal(pairs, diagonal):
        return Blocks(outputs, inputs, outputs)
    rows, columns = np.divmod(pairs, inputs)
    ones = np.ones(len(pairs), np.int64)
    return Pattern(csr_matrix((ones, (rows, columns)), shape=sizes))
