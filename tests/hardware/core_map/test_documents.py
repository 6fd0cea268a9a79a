"""The table of core maps is that of the recorded maps."""

from __future__ import annotations

from benchmarks.core_maps import PAGE, page_table, read_runs


def test_the_table_is_the_recorded_one():
    text = PAGE.read_text(encoding="utf-8")
    assert page_table(list(read_runs().values())) in text
