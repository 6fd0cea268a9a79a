"""Train a small Spike-driven Transformer on 8x8 handwritten digits, in about a minute.

    python examples/train_digits.py --out model.pt

An interrupted training (Ctrl-C) continues with the same command and ``--resume``.
"""

from __future__ import annotations

import os

# Torch's threads otherwise keep spinning while they wait, which slows a small machine down.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from sdt_lava.datasets import load_digits_split
from sdt_lava.errors import SdtLavaError
from sdt_lava.model import SpikeDrivenTransformer, TrainingOptions, TrainingResult, preset, train
from sdt_lava.model.training import Progress as Report


def main(
    out: Annotated[Path, typer.Option(help="Where to write the trained network.")],
    epochs: Annotated[int, typer.Option(help="Passes over the 1437 training images.")] = 18,
    seed: Annotated[int, typer.Option(help="Of the initial weights and the order.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue after an interruption.")
    ] = False,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for TensorBoard.")] = None,
) -> None:
    """Train the preset 'digits' and write a checkpoint."""
    console = Console()
    try:
        result = run(console, out, epochs, seed, resume, tensorboard)
    except SdtLavaError as error:
        console.print(f"[red]error:[/red] {error}", highlight=False)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt:
        console.print("interrupted; after a full epoch, --resume continues from there")
        raise typer.Exit(130) from None
    console.print(summary(result))
    console.print(f"next: [bold]sdt-export {out} --out {out.with_name('net.h5')}[/bold]")


def run(
    console: Console, out: Path, epochs: int, seed: int, resume: bool, tensorboard: Path | None
) -> TrainingResult:
    options = TrainingOptions(epochs=epochs, seed=seed)
    torch.manual_seed(seed)
    model = SpikeDrivenTransformer(preset("digits"))
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  test {task.fields[test]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", epoch=1, epochs=epochs, loss=float("nan"), test="-")

        def show(report: Report) -> None:
            done = (report.epoch - 1) * report.steps + report.step
            bar.update(task, total=report.epochs * report.steps, completed=done)
            bar.update(task, epoch=report.epoch, loss=report.loss)
            if report.finished_epoch is not None:
                bar.update(task, test=f"{report.finished_epoch.test_accuracy:.2%}")

        return train(
            model,
            load_digits_split("train"),
            load_digits_split("test"),
            options,
            resume_from=Path(f"{out}.resume") if resume else None,
            checkpoint_path=out,
            tensorboard_dir=tensorboard,
            on_progress=show,
        )


def summary(result: TrainingResult) -> Table:
    last = result.history[-1]
    table = Table(title="digits, float network")
    for heading in ("epochs", "loss", "train accuracy", "test accuracy", "seconds"):
        table.add_column(heading, justify="right")
    table.add_row(
        str(last.epoch),
        f"{last.loss:.3f}",
        f"{last.train_accuracy:.2%}",
        f"{last.test_accuracy:.2%}",
        f"{sum(record.seconds for record in result.history):.0f}",
    )
    return table


if __name__ == "__main__":
    typer.run(main)
