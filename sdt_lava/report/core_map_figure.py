"""Draw a core map: chips as panels, cores coloured by their block."""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from sdt_lava.hardware.core_map import Core, CoreMap
from sdt_lava.report.figures import save_figure
from sdt_lava.support.text import figure_label

_EMPTY = (0.92, 0.92, 0.92)
# Saturation and value of the parts of one block, such as attention and MLP.
_SHADES = ((0.75, 0.85), (0.40, 0.97), (0.90, 0.55), (0.25, 0.75))
# Panels are large for up to this many chips.
_FEW_CHIPS = 4
_MOST_LEGEND_ROWS = 24
# If a chip has more cores than this, only the used ones are drawn.
_MOST_PLACES = 1024
# As fractions of a core's square: gap between two cores, and thinnest stripe.
_GAP, _THINNEST = 0.16, 0.1

Color = tuple[float, float, float]


def plot_core_map(core_map: CoreMap, path: str | os.PathLike[str], title: str) -> None:
    """Draw every chip with its cores.

    Parameters
    ----------
    core_map : CoreMap
        The core map.
    path : path-like
        File in the format of its suffix: PNG, SVG or PDF.
    title : str
        Name of the network.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    save_figure(core_map_figure(core_map, title), path)


def core_map_figure(core_map: CoreMap, title: str) -> Figure:
    """Return the figure that :func:`plot_core_map` writes."""
    blocks = list(dict.fromkeys(layer.block or layer.name for layer in core_map.layers))
    colors = block_colors(blocks)
    chips = core_map.chips
    columns = min(chips, max(1, ceil(np.sqrt(1.8 * chips))))
    rows = ceil(chips / columns)
    side = 3.2 if chips <= _FEW_CHIPS else 1.35
    legend_columns = ceil(len(blocks) / _MOST_LEGEND_ROWS)
    width = max(side * columns * 1.15, 3.5) + 2.3 * legend_columns
    height = max(side * rows * 0.68, 0.2 * min(len(blocks), _MOST_LEGEND_ROWS)) + 0.9
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    places = _places(core_map)
    of_layer = {layer.name: layer.block or layer.name for layer in core_map.layers}
    for chip, axes in enumerate(panels):
        if chip >= chips:
            axes.set_visible(False)
            continue
        cores = [core for core in core_map.cores if core.chip == chip]
        _draw_chip(axes, cores, places, {name: colors[b] for name, b in of_layer.items()})
        axes.set_title(f"chip {chip}: {len(cores)} cores", fontsize=9 if side > 2 else 7)
    handles = [Patch(color=colors[block], label=figure_label(block)) for block in blocks]
    figure.legend(
        handles=handles, loc="outside right center", fontsize=8, frameon=False, ncols=legend_columns
    )
    figure.suptitle(_heading(core_map, title), fontsize=10)
    return figure


def _heading(core_map: CoreMap, title: str) -> str:
    traffic = core_map.traffic()
    board = figure_label(core_map.board.name)
    place = f"on {board}" if core_map.fits else f"on {core_map.boards} boards {board}"
    return (
        f"{figure_label(title)} {place}: {len(core_map.cores):,} cores, "
        f"{core_map.chips} chip{'s' * (core_map.chips != 1)}\n"
        f"messages a step: {traffic.per_step('between_cores'):,.0f} between cores, "
        f"{traffic.per_step('between_chips'):,.0f} between chips\n({figure_label(traffic.source)})"
    )


def block_colors(blocks: list[str]) -> dict[str, Color]:
    """Return a hue for each stem, such as ``block.3``, and a shade for each of its parts."""
    stems: dict[str, list[str]] = {}
    for block in blocks:
        stem, _, part = block.rpartition(".")
        stems.setdefault(stem if stem and not part.isdigit() else block, []).append(block)
    colors = {}
    for index, members in enumerate(stems.values()):
        for place, block in enumerate(members):
            saturation, value = _SHADES[place % len(_SHADES)]
            red, green, blue = hsv_to_rgb((index / len(stems), saturation, value))
            colors[block] = (float(red), float(green), float(blue))
    return colors


def _places(core_map: CoreMap) -> tuple[int, int]:
    """Return the numbers of rows and columns of cores that are drawn for each chip."""
    largest_chip = int(np.bincount([core.chip for core in core_map.cores]).max())
    limit = core_map.target.limit("cores_per_chip")
    count = largest_chip if limit is None or limit > _MOST_PLACES else limit
    rows = max(1, int(np.sqrt(count / 2)))
    return rows, ceil(count / rows)


def _draw_chip(
    axes: Axes, cores: list[Core], places: tuple[int, int], colors: Mapping[str, Color]
) -> None:
    """Draw each core as a square with a stripe for each block, sized by the number of neurons."""
    rows, columns = places
    boxes, faces = [], []
    for place in range(rows * columns):
        row, column = divmod(place, columns)
        stripes = _stripes(cores[place], colors) if place < len(cores) else {_EMPTY: 1.0}
        left = column + _GAP / 2
        for color, share in stripes.items():
            width = share * (1 - _GAP)
            boxes.append(Rectangle((left, row + _GAP / 2), width, 1 - _GAP))
            faces.append(color)
            left += width
    axes.add_collection(PatchCollection(boxes, facecolors=faces, linewidths=0))
    axes.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _stripes(core: Core, colors: Mapping[str, Color]) -> dict[Color, float]:
    """Return the fraction of a core's neurons by colour; small ones are enlarged to be visible."""
    neurons: dict[Color, float] = {}
    for part in core.slices:
        color = colors[part.population]
        neurons[color] = neurons.get(color, 0) + part.neurons
    total = sum(neurons.values())
    widths = {color: max(count / total, _THINNEST) for color, count in neurons.items()}
    return {color: share / sum(widths.values()) for color, share in widths.items()}
