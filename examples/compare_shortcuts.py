"""Membrane shortcuts against SEW shortcuts: the paper's third question, on digits.

    python examples/compare_shortcuts.py

Trains the same small network with both, over several seeds, and prints accuracy, the share of
events that are no binary spikes, synaptic operations and energy.
"""

from __future__ import annotations

import os

# Torch's threads otherwise keep spinning while they wait, which slows a small machine down.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from sdt_lava.cli.allow import Command
from sdt_lava.cli.console import console, make_table, print_table, run_command
from sdt_lava.cli.places import Reads, Writes
from sdt_lava.cli.train import training_progress
from sdt_lava.datasets import load_digits_split
from sdt_lava.families.sdt1.config import SHORTCUTS
from sdt_lava.io.files import write_json
from sdt_lava.model import SpikeDrivenTransformer, TrainingOptions, accuracy, preset, train
from sdt_lava.report.energy_model import ENERGY_MODELS, load_energy_model
from sdt_lava.report.shortcut_cost import count_shortcut_cost


def run(shortcut: str, depth: int, epochs: int, seed: int, energy_model: str) -> dict[str, float]:
    """Train one network and measure it."""
    torch.manual_seed(seed)
    model = SpikeDrivenTransformer(preset("digits", shortcut=shortcut, depth=depth))
    parts = load_digits_split("train"), load_digits_split("test")
    with training_progress(epochs) as show:
        train(model, *parts, TrainingOptions(epochs=epochs, seed=seed), on_progress=show)
    test = parts[1]
    assert test.y is not None
    cost = count_shortcut_cost(model, test.x)
    costs = load_energy_model(energy_model)
    return {
        "accuracy": accuracy(model, test.x, test.y),
        "multi_bit_share": cost.multi_bit_share,
        "largest": cost.largest,
        "synops": cost.synops / cost.samples,
        "energy_nj": cost.energy_nj(costs),
        "repeated_energy_nj": cost.repeated_energy_nj(costs),
    }


def print_runs(runs: dict[str, list[dict[str, float]]], energy_model: str) -> None:
    """Print the mean over seeds, and the spread of the accuracy."""
    columns = {"shortcut": "left", "accuracy": "right", "values > 1": "right", "largest": "right"}
    rest = {"synops": "right", "energy [nJ]": "right", "as repeated spikes [nJ]": "right"}
    seeds = len(next(iter(runs.values())))
    table = make_table(
        f"Mean of {seeds} seeds, a sample; costs {energy_model}, first convolution left out",
        {**columns, **rest},
    )
    for shortcut, rows in runs.items():
        mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        spread = max(row["accuracy"] for row in rows) - min(row["accuracy"] for row in rows)
        table.add_row(
            shortcut,
            f"{mean['accuracy']:.2%} (spread {spread:.2%})",
            f"{mean['multi_bit_share']:.2%}",
            f"{max(row['largest'] for row in rows):.0f}",
            f"{mean['synops']:,.0f}",
            f"{mean['energy_nj']:,.1f}",
            f"{mean['repeated_energy_nj']:,.1f}",
        )
    print_table(table)


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 12,
    depth: Annotated[int, typer.Option(min=1, help="Encoder blocks.")] = 2,
    costs: Annotated[
        str,
        typer.Option("--model", help="Energy model by name, or a .toml file."),
        Reads(ENERGY_MODELS),
    ] = "horowitz45-fp32",
    json: Annotated[
        Path | None, typer.Option(help="Write all runs to this file."), Writes()
    ] = None,
) -> None:
    """Train both kinds over seeds and compare."""
    load_energy_model(costs)  # a wrong name is reported before the training
    runs = {
        shortcut: [run(shortcut, depth, epochs, seed, costs) for seed in range(seeds)]
        for shortcut in SHORTCUTS
    }
    print_runs(runs, costs)
    console.print(
        "SEW adds spikes after their neurons: values above 1 need graded spikes, or several "
        "binary ones.\nMembrane shortcuts add potentials, so every synapse reads 0 or 1. "
        "sdt-export accepts membrane shortcuts only.",
    )
    if json is not None:
        write_json(json, {"seeds": seeds, "epochs": epochs, "depth": depth, "runs": runs})
        console.print(f"wrote {json}")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Command)(main)
    run_command(app)
