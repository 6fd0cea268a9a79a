"""The document's tables are those of the recorded measurement."""

from __future__ import annotations

import pytest

from benchmarks.quantization import PAGE, TABLES, read_runs, wilson


def test_tables_are_the_recorded_ones():
    runs, text = read_runs(), PAGE.read_text(encoding="utf-8")
    for table in TABLES.values():
        assert table(runs) in text


def test_wilson_intervals():
    """Values of the closed formula for 8 of 10 and its limits, by hand."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    low, high = wilson(360, 360)
    assert high == pytest.approx(1.0) and low == pytest.approx(0.98944, abs=1e-4)
    assert wilson(0, 5)[0] == pytest.approx(0, abs=1e-12)
