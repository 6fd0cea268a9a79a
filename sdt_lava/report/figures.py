"""Draw figures of runs and comparisons."""

from __future__ import annotations

import os
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from sdt_lava.backends.result import Result
from sdt_lava.counts.synops import ROLES
from sdt_lava.io.files import replacing
from sdt_lava.report.compare import Comparison
from sdt_lava.support.text import figure_label

_MOST_SAMPLES = 8
# Neurons drawn for each layer, evenly spaced over the population.
_MOST_NEURONS = 48
_BLOCK_COLORS = ("#1b6ca8", "#c4501b", "#2f7d4f", "#7b4ea3", "#b08900", "#a8325e")
_ROLE_COLORS = {
    "synapse": "#1b6ca8",
    "mask": "#c4501b",
    "token_sum": "#2f7d4f",
    "pool": "#b08900",
    "shortcut": "#7b4ea3",
}
_DPI = 120


def plot_run(result: Result, path: str | os.PathLike[str], labels: Any = None) -> None:
    """Draw inputs with predictions, a spike raster, and rates and synops by layer.

    Parameters
    ----------
    result : Result
        Run of an integer back end.
    path : path-like
        File in the format of its suffix: PNG, SVG or PDF.
    labels : array_like, optional
        True classes ``(B,)``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    save_figure(run_figure(result, labels), path)


def run_figure(result: Result, labels: Any = None) -> Figure:
    """Return the figure that :func:`plot_run` writes."""
    figure = Figure(figsize=(16, 10), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 2), height_ratios=(1, 6))
    samples = min(_MOST_SAMPLES, len(result.logits))
    _draw_inputs(figure, grid[0, :], result, labels, samples)
    _draw_raster(figure.add_subplot(grid[1, 0]), result, samples)
    right = grid[1, 1].subgridspec(1, 2, width_ratios=(1, 2))
    rates = figure.add_subplot(right[0])
    _draw_rates(rates, result)
    _draw_synops(figure.add_subplot(right[1], sharey=rates), result)
    return figure


def plot_comparison(
    comparison: Comparison, path: str | os.PathLike[str], names: tuple[str, str]
) -> None:
    """Draw the fraction of differing spikes by layer, next to both firing rates.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    layers = comparison.layers
    figure = Figure(figsize=(11, 0.35 * len(layers) + 1.8), layout="constrained")
    shares, rates = figure.subplots(1, 2, sharey=True)
    positions = np.arange(len(layers))
    shares.barh(positions, [100 * layer.share for layer in layers], color=_BLOCK_COLORS[1])
    shares.set_yticks(positions, [figure_label(layer.name) for layer in layers], fontsize=8)
    shares.invert_yaxis()
    shares.set_title("Differing spike decisions [%]", fontsize=10)
    height = 0.4
    for offset, side, color in ((-0.2, "left", "#5b7f95"), (0.2, "right", "#c9a227")):
        values = [getattr(layer, f"{side}_rate") for layer in layers]
        label = names[0] if side == "left" else names[1]
        rates.barh(positions + offset, values, height, color=color, label=figure_label(label))
    rates.set_title("Firing rate", fontsize=10)
    rates.legend(fontsize=8)
    for axes in (shares, rates):
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure atomically in the format of the suffix."""
    suffix = os.path.splitext(os.fspath(path))[1].lstrip(".") or "png"
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format=suffix)


def _draw_inputs(figure: Figure, cell: Any, result: Result, labels: Any, samples: int) -> None:
    assert result.frames is not None
    row = cell.subgridspec(1, _MOST_SAMPLES)
    for index in range(samples):
        axes = figure.add_subplot(row[index])
        frame = result.frames[0, index]
        image = frame.mean(axis=0) if frame.ndim == 3 else np.atleast_2d(frame)
        axes.imshow(image, cmap="gray")
        axes.set_xticks([])
        axes.set_yticks([])
        predicted = int(result.labels[index])
        is_correct = labels is None or predicted == int(labels[index])
        title = f"{predicted}" if is_correct else f"{predicted}, not {int(labels[index])}"
        axes.set_title(title, fontsize=10, color="black" if is_correct else "#b3261e")


def _draw_raster(axes: Axes, result: Result, samples: int) -> None:
    steps = next(iter(result.sent.values())).shape[0]
    rows: list[np.ndarray] = []
    ticks: list[tuple[float, str]] = []
    colors: dict[str, int] = {}
    start = 0
    for name, spikes in result.sent.items():
        block = _block(name)
        color = colors.setdefault(block, len(colors) % len(_BLOCK_COLORS) + 1)
        raster_rows = _raster_rows(spikes[:, :samples] != 0) * color
        rows.append(raster_rows)
        ticks.append((start + len(raster_rows) / 2, figure_label(name)))
        start += len(raster_rows)
        axes.axhline(start - 0.5, color="#cccccc", linewidth=0.6)
    palette = ListedColormap(["#ffffff", *_BLOCK_COLORS])
    raster = np.concatenate(rows)
    axes.imshow(
        raster,
        aspect="auto",
        interpolation="nearest",
        cmap=palette,
        vmin=0,
        vmax=len(_BLOCK_COLORS),
    )
    for border in range(steps, samples * steps, steps):
        axes.axvline(border - 0.5, color="#999999", linewidth=0.6)
    axes.set_yticks([position for position, _ in ticks], [name for _, name in ticks], fontsize=8)
    axes.set_xticks(
        [index * steps + (steps - 1) / 2 for index in range(samples)],
        [f"sample {index}" for index in range(samples)],
        fontsize=8,
    )
    axes.set_title(f"Spikes, {steps} steps a sample (back end {result.backend})", fontsize=10)


def _raster_rows(spikes: np.ndarray) -> np.ndarray:
    """Convert spikes ``(T, B, *shape)`` to rows of neurons over the steps of all samples."""
    flat = np.swapaxes(spikes, 0, 1).reshape(spikes.shape[0] * spikes.shape[1], -1).T
    indices = np.unique(np.linspace(0, len(flat) - 1, _MOST_NEURONS).astype(int))
    return flat[indices].astype(int)


def _block(name: str) -> str:
    return name.rpartition(".")[0] or name


def _draw_rates(axes: Axes, result: Result) -> None:
    layers = result.synops.layers
    positions = np.arange(len(layers))
    spiking = [layer.kind != "relay" for layer in layers]
    rates = [
        layer.firing_rate if spikes else 0.0 for layer, spikes in zip(layers, spiking, strict=True)
    ]
    axes.barh(positions, rates, color="#5b7f95")
    for position, rate, spikes in zip(positions, rates, spiking, strict=True):
        text = f" {rate:.3f}" if spikes else " graded"
        axes.text(rate, position, text, va="center", fontsize=7, color="#333333")
    axes.set_yticks(positions, [figure_label(layer.name) for layer in layers], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, max([*rates, 0.01]) * 1.5)
    axes.set_title("Firing rate", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_synops(axes: Axes, result: Result) -> None:
    synops = result.synops
    positions = np.arange(len(synops.layers))
    left = np.zeros(len(synops.layers))
    for role in ROLES:
        width = np.array([getattr(layer, role) for layer in synops.layers]) / synops.samples
        if width.any():
            axes.barh(positions, width, left=left, color=_ROLE_COLORS[role], label=role)
        left += width
    axes.tick_params(labelleft=False)
    axes.legend(fontsize=8, loc="best")
    axes.set_title(f"Synops per inference: {synops.per_inference:,.0f}", fontsize=10)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.locator_params(axis="x", nbins=4)
    axes.spines[["top", "right"]].set_visible(False)
