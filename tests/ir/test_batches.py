"""How many samples are computed at once."""

from __future__ import annotations

import numpy as np
import pytest

from sdt_lava.ir.batches import BATCH_BYTES, fitting, parts, sample_bytes, samples_at_once
from tests.graphs import random_chain


def test_memory_decides_and_one_sample_always_fits():
    graph = random_chain(np.random.default_rng(0), image=(2, 6, 5), convs=(4, 3))
    assert sample_bytes(graph, 3) == 64 * 3 * 2 * 6 * 5
    each = sample_bytes(graph, 3)
    assert samples_at_once(graph, 3) == BATCH_BYTES // each
    assert samples_at_once(graph, 3, 5 * each - 1) == 4
    assert samples_at_once(graph, 3, 1) == fitting(1, each) == 1


@pytest.mark.parametrize(("size", "ends"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5])])
def test_parts_are_all_samples_in_order(size, ends):
    frames = np.arange(2 * 5 * 3).reshape(2, 5, 3)
    found = list(parts(frames, size))
    assert [done for _, done in found] == ends
    assert np.array_equal(np.concatenate([part for part, _ in found], axis=1), frames)
