"""Train a small Spike-driven Transformer on moving shapes, in half a minute.

    python examples/train_events.py --out events.pt

The recordings come from a simulated event camera (data set ``synthetic-dvs``), not from a real one.
An interrupted training (Ctrl-C) continues with the same command and ``--resume``.
"""

from __future__ import annotations

import os

# Torch's threads otherwise keep spinning while they wait, which slows a small machine down.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from pathlib import Path
from typing import Annotated

import typer

from sdt_lava.cli.allow import Command
from sdt_lava.cli.console import run_command
from sdt_lava.cli.places import Writes, WritesInto
from sdt_lava.cli.train import EPOCHS, Training, run_training
from sdt_lava.io.output_files import TENSORBOARD_FILES


def main(
    out: Annotated[
        Path, typer.Option(help="Where to write the trained network."), Writes((".resume",))
    ],
    epochs: Annotated[int, typer.Option(help="Passes over the 1000 recordings.")] = EPOCHS[
        "synthetic-dvs"
    ],
    seed: Annotated[int, typer.Option(help="Of the initial weights and the order.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue after an interruption.")
    ] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder for TensorBoard."), WritesInto(TENSORBOARD_FILES)
    ] = None,
) -> None:
    """Train the preset 'synthetic-dvs' and write a checkpoint."""
    run_training(
        Training(
            preset="synthetic-dvs", out=out, epochs=epochs, seed=seed, resume=resume,
            tensorboard=tensorboard,
        )
    )  # fmt: skip


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Command)(main)
    run_command(app)
