"""Weights that are split into parts which Lava stores."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from sdt_lava.compiler.terms import split_weights
from sdt_lava.ir.numerics import lava_weights


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 999),
    largest=st.sampled_from([1, 2, 127, 128, 254, 256, 508, 5000]),
    step=st.sampled_from([1, 2]),
)
def test_split_weights_add_up(seed, largest, step):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-largest, largest + 1, (4, 6)) // step * step
    whole = csr_matrix(matrix)
    whole.data[:1] = 0  # a synapse whose weights cancelled out
    parts = split_weights(whole)
    assert np.array_equal(sum(part.toarray() for part in parts), whole.toarray())
    assert parts[0].nnz == whole.nnz
    for part in parts:
        assert lava_weights(part.data) is not None
    if lava_weights(whole.data) is not None:
        assert len(parts) == 1
