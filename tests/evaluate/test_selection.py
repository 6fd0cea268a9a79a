"""Which samples are evaluated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_lava.errors import ConfigError
from sdt_lava.evaluate.selection import select, shards


def test_ranges():
    assert select(20, indices="3, 5-7,0", limit=None) == [3, 5, 6, 7, 0]
    assert select(20, indices="3,5-7,0", limit=2) == [3, 5]
    assert select(3, limit=None) == [0, 1, 2]


def test_shuffled():
    whole = select(50, shuffle_seed=4, limit=None)
    assert sorted(whole) == list(range(50)) != whole
    assert select(50, shuffle_seed=4, limit=10) == whole[:10]
    assert select(50, shuffle_seed=5, limit=None) != whole


@pytest.mark.parametrize(
    "text", ["", "a", "1-", "-1", "3-2", "20", "0-20", "1,1", "1-3,2", "0x1", "1e1", "1--2", "٣"]
)
def test_wrong_ranges(text):
    with pytest.raises(ConfigError, match="--indices"):
        select(20, indices=text, limit=None)


@pytest.mark.parametrize("limit", [0, -1, 21])
def test_wrong_limit(limit):
    with pytest.raises(ConfigError, match="--limit"):
        select(20, limit=limit)


@given(st.lists(st.integers(0, 99), unique=True), st.integers(1, 30))
def test_shards_hold_every_sample_once(indices, size):
    parts = shards(indices, size)
    assert [index for part in parts for index in part] == indices
    assert all(1 <= len(part) <= size for part in parts)
