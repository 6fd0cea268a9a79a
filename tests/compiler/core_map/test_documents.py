"""The table of core maps is that of the recorded maps, and relays cost what arithmetic says."""

from __future__ import annotations

from benchmarks.core_maps import PAGE, page_table, read_runs
from sdt_lava.families.sdt1.presets import PRESETS


def test_the_table_is_the_recorded_one():
    text = PAGE.read_text(encoding="utf-8")
    assert page_table(list(read_runs().values())) in text


def test_full_first_layers_cost_a_neuron_for_each_sum():
    """A first convolution with stride 2 halves an image; before a pool it has all of it."""
    runs, compared = read_runs(), 0
    for (name, downsampling, shortcut, first_layer), full in runs.items():
        fitted = runs.get((name, downsampling, shortcut, "fitted"))
        if first_layer != "full" or fitted is None:
            continue
        config = PRESETS[name]
        halved = downsampling == "stride" and config.pooling_stat[0] == "1"
        height, width = (side // (2 if halved else 1) for side in config.image_size)
        sums = config.dim // 8 * height * width
        assert full.neurons - fitted.neurons in (0, sums)
        assert full.cores >= fitted.cores
        compared += full.neurons > fitted.neurons
    assert compared >= 10
