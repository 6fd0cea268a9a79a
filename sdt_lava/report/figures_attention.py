"""Draw the energy of spike-driven and softmax attention over tokens, channels and rates."""

from __future__ import annotations

import os

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sdt_lava.report.attention_cost import attention_ratio, rate_for_ratio
from sdt_lava.report.energy_model import EnergyModel
from sdt_lava.report.figures import save_figure
from sdt_lava.support.text import figure_label

# "up to 87.2x lower computation energy than vanilla self-attention" (Yao et al. 2023, abstract).
PUBLISHED_RATIO = 87.2
_SDSA_COLOR, _VANILLA_COLOR, _MARK_COLOR = "#1b6ca8", "#c4501b", "#6b6b6b"
_RATES = (0.02, 0.1, 0.3)
_PJ_PER_UJ = 1e6


def plot_attention(
    model: EnergyModel,
    path: str | os.PathLike[str],
    *,
    tokens: int = 196,
    dim: int = 768,
    timesteps: int = 4,
) -> None:
    """Draw both energies over N and over D, and their ratio over the firing rate.

    Parameters
    ----------
    model : EnergyModel
        Costs.
    path : path-like
        File in the format of its suffix: PNG, SVG or PDF.
    tokens, dim, timesteps : int
        The operating point; by default the paper's 8-768 at 224 x 224.
    """
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    over_tokens, over_channels, over_rate = figure.subplots(1, 3)
    sides = np.unique(np.round(np.geomspace(16, 4096, 40)).astype(int))
    widths = np.unique(np.round(np.geomspace(32, 4096, 40)).astype(int))
    _draw_energy(over_tokens, model, [(int(n), dim) for n in sides], sides, timesteps)
    over_tokens.set(xlabel="tokens N", title=f"D = {dim}")
    over_tokens.axvline(tokens, color=_MARK_COLOR, linewidth=0.8, linestyle=":")
    _draw_energy(over_channels, model, [(tokens, int(d)) for d in widths], widths, timesteps)
    over_channels.set(xlabel="channels D", title=f"N = {tokens}")
    over_channels.axvline(dim, color=_MARK_COLOR, linewidth=0.8, linestyle=":")
    _draw_ratio(over_rate, model, tokens, dim, timesteps)
    figure.suptitle(
        f"Attention of one block, one image, T = {timesteps}, costs {figure_label(model.name)}",
        fontsize=11,
    )
    for axes in (over_tokens, over_channels, over_rate):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False)
    save_figure(figure, path)


def _draw_energy(
    axes: Axes,
    model: EnergyModel,
    sizes: list[tuple[int, int]],
    positions: np.ndarray,
    timesteps: int,
) -> None:
    for rate, style in zip(_RATES, (":", "--", "-"), strict=True):
        costs = [
            attention_ratio(model, tokens=n, dim=d, timesteps=timesteps, rate=2 * rate)
            for n, d in sizes
        ]
        spiking = [cost.sdsa_pj / _PJ_PER_UJ for cost in costs]
        label = f"SDSA, rates {rate:g}, slope 1"
        axes.loglog(positions, spiking, style, color=_SDSA_COLOR, label=label)
    vanilla = [cost.vanilla_pj / _PJ_PER_UJ for cost in costs]
    axes.loglog(
        positions, vanilla, color=_VANILLA_COLOR, label="softmax attention, slope 2 in N, 1 in D"
    )
    axes.set_ylabel("energy of the operator [µJ]")


def _draw_ratio(axes: Axes, model: EnergyModel, tokens: int, dim: int, timesteps: int) -> None:
    rates = np.geomspace(0.002, 1.0, 60)
    curves = {
        "operator alone, R = 2 rates": (None, "-"),
        "with projections of q, k, v": (1.0, "--"),
    }
    for label, (projections, style) in curves.items():
        ratios = [
            attention_ratio(
                model,
                tokens=tokens,
                dim=dim,
                timesteps=timesteps,
                rate=2 * rate,
                input_rate=None if projections is None else rate,
            ).ratio
            for rate in rates
        ]
        axes.loglog(100 * rates, ratios, style, color=_SDSA_COLOR, label=label)
    axes.axhline(PUBLISHED_RATIO, color=_MARK_COLOR, linewidth=0.8)
    rate = rate_for_ratio(
        model, PUBLISHED_RATIO, tokens=tokens, dim=dim, timesteps=timesteps, with_projections=True
    )
    axes.plot([100 * rate], [PUBLISHED_RATIO], "o", color=_VANILLA_COLOR)
    axes.annotate(
        f"published {PUBLISHED_RATIO}x:\nrate {100 * rate:.2g} %, if the projections count",
        (100 * rate, PUBLISHED_RATIO),
        xytext=(4, 10),
        textcoords="offset points",
        fontsize=8,
    )
    axes.set(
        xlabel="firing rate of every operand [%]",
        ylabel="energy of softmax attention / SDSA",
        title=f"N = {tokens}, D = {dim}",
    )
