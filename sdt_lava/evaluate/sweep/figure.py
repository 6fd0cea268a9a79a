"""Plot accuracy against energy."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from sdt_lava.evaluate.sweep.row import SweepRow
from sdt_lava.report.figures import save_figure
from sdt_lava.support.text import figure_label

_COLORS = ("#1b6ca8", "#c4501b", "#2f7d4f", "#7b4ea3", "#b08900", "#a8325e", "#5b7f95")
_MARKERS = "osD^vP*X"


def plot_pareto(
    rows: Sequence[SweepRow],
    fronts: Mapping[str, Sequence[SweepRow]],
    path: str | os.PathLike[str],
) -> None:
    """Plot accuracy against energy with the Pareto front, one panel per energy model.

    Parameters
    ----------
    rows : sequence of SweepRow
        Rows; those without accuracy are left out.
    fronts : mapping of str to sequence of SweepRow
        The Pareto front by energy model.
    path : path-like
        File to write; its suffix determines the format.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    figure = Figure(figsize=(4.6 * len(fronts), 4.2), layout="constrained")
    panels = figure.subplots(1, len(fronts), squeeze=False, sharey=True)[0]
    widths = sorted({row.bits for row in rows})
    lowerings = list(dict.fromkeys((row.shortcut, row.sdsa) for row in rows))
    for axes, model in zip(panels, fronts, strict=True):
        front = fronts[model]
        axes.plot(
            [row.energy_nj[model] for row in front],
            [100 * (row.accuracy or 0.0) for row in front],
            color="#999999", linewidth=1, zorder=1, drawstyle="steps-post", label="Pareto front",
        )  # fmt: skip
        for row in rows:
            if row.accuracy is None:
                continue
            axes.scatter(
                row.energy_nj[model], 100 * row.accuracy, s=46, zorder=2,
                facecolors="none", linewidths=1.5,
                edgecolors=_COLORS[widths.index(row.bits) % len(_COLORS)],
                marker=_MARKERS[lowerings.index((row.shortcut, row.sdsa)) % len(_MARKERS)],
                label=figure_label(row.name),
            )  # fmt: skip
        axes.set_title(figure_label(model), fontsize=10)
        axes.set_xlabel("energy of a sample [nJ]")
        axes.grid(color="#eeeeee")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy [%]")
    low, high = panels[0].get_ylim()
    panels[0].set_ylim(low, min(high, 100.5))  # accuracies end at 100 %
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=7, loc="outside right upper")
    save_figure(figure, path)
