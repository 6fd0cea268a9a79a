"""What first layers of full width cost on a chip: a relay for each sum, as arithmetic says."""

from __future__ import annotations

import pytest

from sdt_lava.backends.deployment import compile_network
from sdt_lava.hardware.core_map import map_cores
from sdt_lava.importers import trace
from sdt_lava.quantize.post_training import quantize_unmeasured
from tests.families.sdt1.networks import lively_network, tiny_config

# Levels of the input, how images are halved, and positions at which the first layer sums up.
CASES = {
    "a stride halves the image before it is summed": (255, "stride", "1001", 8 * 6),
    "a stride further behind": (255, "stride", "0101", 16 * 12),
    "a pool sees the whole image": (255, "or", "1001", 16 * 12),
    "spikes need no shift": (1, "stride", "0101", 0),
}


@pytest.mark.parametrize("case", CASES)
def test_full_first_layers_cost_a_neuron_for_each_sum(case):
    high, downsampling, pooling, positions = CASES[case]
    config = tiny_config(
        image_size=(16, 12), dim=32, depth=1, downsampling=downsampling, pooling_stat=pooling,
        input_scale=float(high), input_range=(0, high),
    )  # fmt: skip
    source = trace(lively_network(config))
    maps = {}
    for first_layer in ("full", "fitted"):
        net = quantize_unmeasured(source, first_layer=first_layer)
        maps[first_layer] = map_cores(compile_network(net, "loihi2"))
    full, fitted = maps["full"], maps["fitted"]
    assert full.neurons - fitted.neurons == positions * config.dim // 8
    assert len(full.cores) >= len(fitted.cores)
