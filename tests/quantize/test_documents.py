"""The document's tables are those of the recorded measurement, and it keeps what is promised."""

from __future__ import annotations

from statistics import mean

import pytest

from benchmarks.quantization import BITS, IMAGES, PAGE, TABLES, read_runs, wilson


def test_tables_are_the_recorded_ones():
    runs, text = read_runs(), PAGE.read_text(encoding="utf-8")
    for table in TABLES.values():
        assert table(runs) in text


def test_the_recorded_measurement_keeps_the_promised_bounds():
    runs = [run for run in read_runs() if run.network == "digits"]

    def lost(bits, scales):
        chosen = [run for run in runs if (run.bits, run.scales) == (bits, scales)]
        assert len(chosen) == 3
        return [(run.float_correct - run.correct) / run.samples for run in chosen]

    assert mean(lost(8, "largest")) <= 0.005 and mean(lost(8, "chosen")) <= 0.005
    assert max(lost(4, "fine-tuned")) <= 0.015


def test_chosen_scales_are_never_worse_on_their_measure():
    runs = read_runs()
    forced = {(r.network, r.seed, r.bits, r.scales, r.first_layer): r.forced for r in runs}
    for (network, seed, bits, scales, first_layer), share in forced.items():
        if scales == "chosen":
            assert share <= forced[network, seed, bits, "largest", first_layer]


def test_full_first_layers_have_the_steps_and_pay():
    runs = {
        (r.seed, r.bits, r.scales, r.first_layer): r for r in read_runs() if r.network == IMAGES
    }
    for bits in BITS:
        for seed in (0, 1, 2):
            full, fitted = (runs[seed, bits, "largest", way] for way in ("full", "fitted"))
            assert full.steps == 2 ** (bits - 1) - 1 > 3 * fitted.steps
            assert full.first < fitted.first and full.free < fitted.free
    lost = [
        runs[s, 4, "largest", "full"].correct - runs[s, 4, "largest", "fitted"].correct
        for s in (0, 1, 2)
    ]
    assert min(lost) > 36


def test_wilson_intervals():
    """Values of the closed formula for 8 of 10 and its limits, by hand."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    low, high = wilson(360, 360)
    assert high == pytest.approx(1.0) and low == pytest.approx(0.98944, abs=1e-4)
    assert wilson(0, 5)[0] == pytest.approx(0, abs=1e-12)
