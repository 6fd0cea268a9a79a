"""``sdt-lava train --preset digits --out model.pt``, and what the example trainings share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sdt_lava.cli.console import (
    console,
    error_console,
    make_table,
    print_table,
)
from sdt_lava.cli.data import Binning, DataRoot, Download, check_parts, fitting, model_takes
from sdt_lava.cli.places import ReadsData, Writes, WritesInto
from sdt_lava.datasets import (
    Dataset,
    SourceOptions,
    first_samples,
    open_source,
)
from sdt_lava.errors import DataError
from sdt_lava.model.config import SdtConfig
from sdt_lava.model.presets import preset
from sdt_lava.output_files import TENSORBOARD_FILES
from sdt_lava.simulate.process_guard import Terminated
from sdt_lava.text import quoted

if TYPE_CHECKING:
    from sdt_lava.model.training import Progress as Report
    from sdt_lava.model.training import TrainingOptions, TrainingResult

# Enough passes for the presets that train on a CPU.
EPOCHS = {"digits": 18, "synthetic-dvs": 10}


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training as a command describes it; None stands for the default.

    Parameters
    ----------
    preset : str
        Name of the network.
    out : Path
        Checkpoint to write.
    data, test_data : str, optional
        Data set names or ``.npz`` files; by default those of the preset, and of ``data``.
    data_root : Path, optional
        Folder that holds the data sets.
    download : bool
        Fetch what is missing.
    binning : str, optional
        How the frames of event data are cut.
    samples : int, optional
        Use at most this many of each part.
    epochs, batch_size, learning_rate : int, int, float, optional
        How to train.
    seed : int
        Of the initial weights and the order of samples.
    resume : bool
        Continue after an interruption.
    tensorboard : Path, optional
        Folder for TensorBoard.
    """

    preset: str
    out: Path
    data: str | None = None
    test_data: str | None = None
    data_root: Path | None = None
    download: bool = False
    binning: str | None = None
    samples: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    resume: bool = False
    tensorboard: Path | None = None

    def options(self) -> TrainingOptions:
        """Return the options of the training loop."""
        from sdt_lava.model.training import TrainingOptions

        given = {
            "epochs": self.epochs if self.epochs is not None else EPOCHS.get(self.preset),
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        return TrainingOptions(seed=self.seed, **chosen)  # type: ignore[arg-type]


def train_command(
    preset: Annotated[str, typer.Option(help="Name of the network, such as synthetic-dvs.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Checkpoint to write (model.pt)."),
        Writes((".resume",)),
    ],
    data: Annotated[
        str | None,
        typer.Option(help="Data set or .npz file; by default the preset's."),
        ReadsData(),
    ] = None,
    test_data: Annotated[
        str | None,
        typer.Option(help="Data set or .npz file to test on; by default --data."),
        ReadsData(),
    ] = None,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Use at most this many of each part.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Largest learning rate.")] = None,
    seed: Annotated[int, typer.Option(help="Of the initial weights and the order.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue after an interruption.")
    ] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder for TensorBoard."), WritesInto(TENSORBOARD_FILES)
    ] = None,
) -> None:
    """Train a network and write a checkpoint."""
    run_training(
        Training(
            preset=preset, out=out, data=data, test_data=test_data, data_root=data_root,
            download=download, binning=binning, samples=samples, epochs=epochs,
            batch_size=batch_size, learning_rate=lr, seed=seed, resume=resume,
            tensorboard=tensorboard,
        )
    )  # fmt: skip


def run_training(training: Training) -> TrainingResult:
    """Train, show progress and print the result.

    Raises
    ------
    SdtLavaError
        If the data is not there or does not fit, or a file cannot be read or written.
    """
    import torch

    from sdt_lava.model import SpikeDrivenTransformer, train

    config = preset(training.preset)
    train_data, test_data = _load(training, config)
    torch.manual_seed(training.seed)
    model = SpikeDrivenTransformer(config)
    options = training.options()
    try:
        with training_progress(options.epochs) as show:
            result = train(
                model, train_data, test_data, options,
                resume_from=Path(f"{training.out}.resume") if training.resume else None,
                checkpoint_path=training.out, tensorboard_dir=training.tensorboard,
                on_progress=show,
            )  # fmt: skip
    except (KeyboardInterrupt, Terminated):
        error_console.print("after a full epoch, --resume continues from there")
        raise
    _print_result(training, result)
    return result


def _load(training: Training, config: SdtConfig) -> tuple[Dataset, Dataset]:
    name = training.data or config.dataset
    test_name = training.test_data or name
    if training.test_data is None:
        check_parts(name)
    options = SourceOptions(
        root=training.data_root, download=training.download, binning=training.binning
    )
    parts = []
    for part_name, part in ((name, "train"), (test_name, "test")):
        source = open_source(part_name, part, fitting(part_name, model_takes(config), options))
        wanted = None if training.samples is None else min(training.samples, len(source))
        data = first_samples(source, wanted)
        _check_fits(data, config, training.preset)
        parts.append(data)
    return parts[0], parts[1]


def _check_fits(data: Dataset, config: SdtConfig, name: str) -> None:
    frame, _, _ = model_takes(config)
    if data.x.ndim not in (4, 5) or data.x.shape[-3:] != frame:
        raise DataError(
            data.name, f"samples of shape {data.x.shape[1:]}", f"frames {frame} for preset {name!r}"
        )
    if data.num_classes > config.num_classes:
        raise DataError(
            data.name,
            f"{data.num_classes} classes",
            f"at most {config.num_classes} for preset {name!r}",
        )


@contextmanager
def training_progress(epochs: int) -> Iterator[Callable[[Report], None]]:
    """Show epochs, loss and test accuracy on the error stream."""
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  test {task.fields[test]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=error_console) as bar:
        task = bar.add_task("", total=None, epoch=1, epochs=epochs, loss=float("nan"), test="-")

        def show(report: Report) -> None:
            done = (report.epoch - 1) * report.steps + report.step
            bar.update(task, total=report.epochs * report.steps, completed=done)
            bar.update(task, epoch=report.epoch, loss=report.loss)
            if report.finished_epoch is not None:
                bar.update(task, test=f"{report.finished_epoch.test_accuracy:.2%}")

        yield show


def _print_result(training: Training, result: TrainingResult) -> None:
    last = result.history[-1]
    headings = ("epochs", "loss", "train accuracy", "test accuracy", "seconds")
    table = make_table(f"{training.preset}, float network", dict.fromkeys(headings, "right"))
    table.add_row(
        str(last.epoch),
        f"{last.loss:.3f}",
        f"{last.train_accuracy:.2%}",
        f"{last.test_accuracy:.2%}",
        f"{sum(record.seconds for record in result.history):.0f}",
    )
    print_table(table)
    network = training.out.with_name("net.h5")
    console.print(f"next: sdt-export {quoted(training.out)} --out {quoted(network)}")
