"""The paper's energy table, beside what its own formulas give.

    python examples/paper_table.py --plot attention.png

For each ImageNet model of the paper: parameters and operations, which can be reproduced, and the
energy, which depends on firing rates that were published for one model only. In place of rates
that nobody has, the table says which mean rate the published energy implies.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from sdt_lava.cli.allow import Command
from sdt_lava.cli.console import console, make_table, print_table, run_command
from sdt_lava.cli.places import Reads, Writes
from sdt_lava.families.sdt1.presets import preset
from sdt_lava.report.attention_cost import attention_ratio, rate_for_ratio
from sdt_lava.report.energy_model import ENERGY_MODELS, EnergyModel, load_energy_model
from sdt_lava.report.figures_attention import PUBLISHED_RATIO, plot_attention
from sdt_lava.report.formula_energy import formula_energy


class Published(NamedTuple):
    """A row of the authors' README: parameters [M], top-1 [%], energy [mJ], image side."""

    parameters: float
    accuracy: float
    energy: float
    side: int


# The repository's README gives accuracy and energy; 8-768 reached its accuracy at 288 x 288.
PUBLISHED = {
    "8-384": Published(16.81, 72.28, 3.90, 224),
    "6-512": Published(23.37, 74.11, 3.56, 224),
    "8-512": Published(29.68, 74.57, 4.50, 224),
    "10-512": Published(36.01, 74.66, 5.53, 224),
    "8-768": Published(66.34, 77.07, 6.09, 224),
}


def print_models(model: EnergyModel) -> None:
    """Print what can be reproduced for each model, and the rate that the rest implies."""
    table = make_table(
        "ImageNet, T = 4: published / by the formulas",
        {
            "model": "left",
            "parameters [M]": "right",
            "FLOPs a step [G]": "right",
            "first conv [mJ]": "right",
            "energy [mJ]": "right",
            "implied mean rate": "right",
            "dense network [mJ]": "right",
        },
    )
    for name, published in PUBLISHED.items():
        config = replace(
            preset(name, downsampling="max"), image_size=(published.side, published.side)
        )
        energy = formula_energy(config, model)
        table.add_row(
            name,
            f"{published.parameters:.2f} / {energy.parameters / 1e6:.2f}",
            f"- / {energy.flops / 1e9:.2f}",
            f"- / {energy.mac_energy_mj:.2f}",
            f"{published.energy:.2f} / needs rates",
            f"{energy.implied_rate(published.energy):.1%}",
            f"- / {energy.dense_energy_mj:.1f}",
        )
    print_table(table)
    console.print(
        "implied mean rate: the one firing rate that, used for every layer of spikes, gives the "
        "published energy by\nthe formula with T * FLOPs * E_MAC for the first convolution.",
    )


def print_attention(model: EnergyModel) -> None:
    """Print where the published ratio of the attention operators lies."""
    point = {"tokens": 196, "dim": 768, "timesteps": 4}
    table = make_table(
        "Softmax attention / SDSA, 8-768, N = 196, T = 4",
        {"rate of every operand": "right", "operator": "right", "with projections": "right"},
    )
    for rate in (0.01, 0.02, 0.05, 0.1, 0.3):
        alone = attention_ratio(model, **point, rate=2 * rate)
        whole = attention_ratio(model, **point, rate=2 * rate, input_rate=rate)
        table.add_row(f"{rate:.0%}", f"{alone.ratio:,.0f}x", f"{whole.ratio:,.1f}x")
    print_table(table)
    rate = rate_for_ratio(model, PUBLISHED_RATIO, **point, with_projections=True)
    floor = attention_ratio(model, **point, rate=2.0).ratio
    console.print(
        f"published: up to {PUBLISHED_RATIO}x. The operator alone saves {floor:.0f}x even if "
        f"every neuron fires at every step;\nwith the projections of q, k and v on both sides, "
        f"{PUBLISHED_RATIO}x is a mean rate of {rate:.2%}. Which was meant cannot be told from "
        "the paper's formulas.",
    )


def main(
    costs: Annotated[
        str,
        typer.Option("--model", help="Energy model by name, or a .toml file."),
        Reads(ENERGY_MODELS),
    ] = "horowitz45-fp32",
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the attention's energy over N, D and rate."),
        Writes(),
    ] = None,
) -> None:
    """Print the paper's numbers beside the formulas'."""
    model = load_energy_model(costs)
    print_models(model)
    console.print()
    print_attention(model)
    if plot is not None:
        plot_attention(model, plot)
        console.print(f"wrote {plot}")
    console.print("next: sdt-lava energy --preset 8-768 --rates rates.csv")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Command)(main)
    run_command(app)
