"""The picture of a core map."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PatchCollection

from sdt_lava.backends.deployment import compile_network
from sdt_lava.hardware.core_map import map_cores
from sdt_lava.report.core_map_figure import block_colors, core_map_figure, plot_core_map
from tests.graphs import random_sdt_graph
from tests.hardware.core_map.targets import small_target


def core_map(**limits):
    graph = random_sdt_graph(np.random.default_rng(0), image=(2, 6, 6), blocks=2)
    return map_cores(compile_network(graph, convolutions="conv"), small_target(**limits))


@pytest.mark.parametrize("per_chip", [2, 16, None], ids=["many chips", "some", "one"])
def test_every_chip_has_a_panel_with_a_square_for_each_core(per_chip):
    mapped = core_map(neurons_per_core=40, neuron_groups_per_core=2, cores_per_chip=per_chip)
    figure = core_map_figure(mapped, "network")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == mapped.chips
    for chip, axes in enumerate(panels):
        cores = [core for core in mapped.cores if core.chip == chip]
        assert axes.get_title() == f"chip {chip}: {len(cores)} cores"
        (drawn,) = (item for item in axes.get_children() if isinstance(item, PatchCollection))
        shown = len(drawn.get_paths())
        assert shown >= max(len(cores), per_chip or 0)
    blocks = {layer.block or layer.name for layer in mapped.layers}
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == blocks


def test_blocks_have_different_colours():
    blocks = ["patch_embed"]
    blocks += [f"block.{i}.{part}" for i in range(10) for part in ("attn", "mlp")]
    blocks += ["head"]
    colors = block_colors(blocks)
    assert len(set(colors.values())) == len(blocks)


def test_figure_is_written(tmp_path):
    path = tmp_path / "map.png"
    plot_core_map(core_map(neurons_per_core=40), path, "network")
    assert path.read_bytes().startswith(b"\x89PNG")
