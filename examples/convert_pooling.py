"""From the official max-pool of the pre-activation to what Loihi 2 can do, on digits.

    python examples/convert_pooling.py

Trains a small network that pools as the published ones do, replaces the pool by an OR of spikes
and by strided convolutions with the same weights, and fine-tunes both.
"""

from __future__ import annotations

import os

# Torch's threads otherwise keep spinning while they wait, which slows a small machine down.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
import typer

import sdt_lava
from sdt_lava.cli.allow import Command
from sdt_lava.cli.console import console, make_table, print_table, run_command
from sdt_lava.cli.train import training_progress
from sdt_lava.datasets import Dataset, load_digits_split
from sdt_lava.model import SpikeDrivenTransformer, TrainingOptions, accuracy, preset, train
from sdt_lava.training.fine_tune import FINE_TUNE_OPTIONS, convert_pooling


def fit(model: SpikeDrivenTransformer, options: TrainingOptions) -> None:
    """Train with progress."""
    with training_progress(options.epochs) as show:
        parts = load_digits_split("train"), load_digits_split("test")
        train(model, *parts, options, on_progress=show)


def quantized_accuracy(model: SpikeDrivenTransformer, test: Dataset) -> float:
    """Accuracy of the exported 8-bit network."""
    net, _ = sdt_lava.to_network(model)
    return float(np.mean(sdt_lava.simulate(net, test.x).labels == test.y))


def main(
    epochs: Annotated[int, typer.Option(help="Passes of the first training.")] = 12,
    tuning: Annotated[int, typer.Option(help="Passes of each fine-tuning.")] = 6,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
) -> None:
    """Train, convert, fine-tune, compare."""
    test = load_digits_split("test")
    torch.manual_seed(seed)
    official = SpikeDrivenTransformer(preset("digits", downsampling="max", pooling_stat="0001"))
    fit(official, TrainingOptions(epochs=epochs, seed=seed))
    table = make_table(
        "Test accuracy",
        {"pooling": "left", "float": "right", "fine-tuned": "right", "8 bit": "right"},
    )
    score = f"{accuracy(official, test.x, test.y):.2%}"
    table.add_row("max (official)", score, "", f"{quantized_accuracy(official, test):.2%}")
    for pooling in ("or", "stride"):
        model = convert_pooling(official, pooling)
        before = accuracy(model, test.x, test.y)
        fit(model, replace(FINE_TUNE_OPTIONS, epochs=tuning, seed=seed))
        after = accuracy(model, test.x, test.y)
        quantized = quantized_accuracy(model, test)
        table.add_row(pooling, f"{before:.2%}", f"{after:.2%}", f"{quantized:.2%}")
    print_table(table)
    console.print("next: sdt-lava convert and sdt-lava finetune do the same to a checkpoint")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Command)(main)
    run_command(app)
