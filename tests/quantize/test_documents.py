"""The document's tables are those of the recorded measurement."""

from __future__ import annotations

from statistics import mean

from benchmarks.quantization import PAGE, accuracy_table, read_runs, spike_table


def test_tables_are_the_recorded_ones():
    runs, text = read_runs(), PAGE.read_text(encoding="utf-8")
    assert accuracy_table(runs) in text
    assert spike_table(runs) in text


def test_the_recorded_measurement_keeps_the_promised_bounds():
    runs = [run for run in read_runs() if run.network == "digits"]

    def lost(bits, scales):
        chosen = [run for run in runs if (run.bits, run.scales) == (bits, scales)]
        assert len(chosen) == 3
        return [run.float_accuracy - run.accuracy for run in chosen]

    assert mean(lost(8, "largest")) <= 0.005 and mean(lost(8, "chosen")) <= 0.005
    assert max(lost(4, "fine-tuned")) <= 0.015


def test_chosen_scales_are_never_worse_on_their_measure():
    forced = {(r.network, r.seed, r.bits, r.scales): r.forced for r in read_runs()}
    for (network, seed, bits, scales), share in forced.items():
        if scales == "chosen":
            assert share <= forced[network, seed, bits, "largest"]
