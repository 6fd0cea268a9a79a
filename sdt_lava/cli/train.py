"""``sdt-lava train``, and functions shared with the example trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sdt_lava.backends.lava.process_guard import Terminated
from sdt_lava.cli.console import console, error_console, make_table, print_table
from sdt_lava.cli.data import Binning, DataRoot, Download, check_parts, data_options
from sdt_lava.cli.places import ReadsConfig, ReadsData, Writes, WritesInto
from sdt_lava.datasets import (
    DATASETS,
    Dataset,
    SampleSource,
    SourceOptions,
    first_samples,
    fitting_options,
    open_source,
)
from sdt_lava.errors import ConfigError
from sdt_lava.families.draft import Draft, describe, read_draft
from sdt_lava.families.registry import family_of
from sdt_lava.io.output_files import TENSORBOARD_FILES
from sdt_lava.support.text import quoted

if TYPE_CHECKING:
    from sdt_lava.families.model import FamilyModel
    from sdt_lava.training.training import Progress as Report
    from sdt_lava.training.training import TrainingOptions, TrainingResult

# Sufficient passes for the presets that train on a CPU.
EPOCHS = {"digits": 18, "synthetic-dvs": 10}
_LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Training:
    """The arguments of a training; None stands for the default.

    Parameters
    ----------
    out : Path
        Checkpoint to write.
    preset, config : str, optional
        The network: either the name of a preset, or a configuration file.
    data, test_data : str, optional
        Data sets, files or folders; by default the network's data set, and ``data``.
    data_root : Path, optional
        Folder of the data sets.
    download : bool
        Download missing files.
    binning : str, optional
        Method of dividing event data into frames.
    samples : int, optional
        Maximum number of samples of each part.
    epochs, batch_size, learning_rate : int, int, float, optional
        Options of the training loop.
    seed : int
        Seed of the initial weights and the order of samples.
    resume : bool
        Continue an interrupted training.
    tensorboard : Path, optional
        Folder for TensorBoard.
    """

    out: Path
    preset: str | None = None
    config: str | None = None
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
        from sdt_lava.training.training import TrainingOptions

        network = self.preset or self.config or ""
        settings = {
            "epochs": self.epochs if self.epochs is not None else EPOCHS.get(network),
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
        }
        specified = {name: value for name, value in settings.items() if value is not None}
        return TrainingOptions(seed=self.seed, **specified)  # type: ignore[arg-type]


def train_command(
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Checkpoint to write (model.pt)."),
        Writes((".resume",)),
    ],
    preset: Annotated[
        str | None, typer.Option(help="Name of the network, such as synthetic-dvs.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(help="Network of your own: JSON, YAML (or official conf.yml) or TOML file."),
        ReadsConfig(),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Data set, .npz file or folder; by default the network's."),
        ReadsData(),
    ] = None,
    test_data: Annotated[
        str | None,
        typer.Option(help="Data set, .npz file or folder to test on; by default --data."),
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
    seed: Annotated[
        int, typer.Option(min=0, max=_LARGEST_SEED, help="Of the initial weights and the order.")
    ] = 0,
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
            out=out, preset=preset, config=config, data=data, test_data=test_data,
            data_root=data_root, download=download, binning=binning, samples=samples,
            epochs=epochs, batch_size=batch_size, learning_rate=lr, seed=seed, resume=resume,
            tensorboard=tensorboard,
        )
    )  # fmt: skip


def run_training(training: Training) -> TrainingResult:
    """Train a network, show progress and print the result.

    Raises
    ------
    SdtLavaError
        If the data are missing or do not fit, or a file cannot be read or written.
    """
    draft = read_draft(training.preset, training.config)
    options = training.options()
    draft, train_data, test_data = _load(training, draft)
    from sdt_lava.training.training import train

    model = _new_model(draft, train_data, training.seed)
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
    _print_result(training, draft, result)
    return result


def _new_model(draft: Draft, data: Dataset, seed: int) -> FamilyModel:
    """Return the network with seeded weights and with input levels that fit the data."""
    import torch

    from sdt_lava.quantize.calibration import levels_note, with_levels_of

    config, assumes_levels = draft.config()
    torch.manual_seed(seed)
    model = family_of(config).build(config)
    model.assumes_levels = assumes_levels
    model = with_levels_of(model, data.x, f"the training samples of {data.name}")
    if not draft.is_preset:
        error_console.print(describe(config, draft.inferred))
        if note := levels_note(model):
            error_console.print(note)
    return model


def _load(training: Training, draft: Draft) -> tuple[Draft, Dataset, Dataset]:
    """Return the draft completed from the data, the training data and the test data."""
    name = training.data or draft.dataset
    if not name:
        raise ConfigError(
            "--data", "missing, and the configuration names no data set",
            "a data set, a file or a folder", "name the samples: --data FILE.npz --test-data FILE",
        )  # fmt: skip
    test_name = training.test_data or name
    if training.test_data is None:
        check_parts(name)
    draft = draft.reading(name)
    train = _open(training, draft, name, "train")
    draft = draft.with_samples(train)
    test = _open(training, draft, test_name, "test")
    draft = draft.with_samples(test).with_classes(train, test)
    draft.config()  # raises errors before time is spent on reading
    return draft, _loaded(train, training.samples), _loaded(test, training.samples)


def _open(training: Training, draft: Draft, name: str, part: str) -> SampleSource:
    options = SourceOptions(
        root=training.data_root, download=training.download, binning=training.binning
    )
    training_data = draft.dataset or None
    source_options = fitting_options(
        name, draft.frame or (), draft.timesteps, options, training_data
    )
    return open_source(name, part, source_options)


def _loaded(source: SampleSource, samples: int | None) -> Dataset:
    return first_samples(source, None if samples is None else min(samples, len(source)))


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
            steps_done = (report.epoch - 1) * report.steps + report.step
            bar.update(task, total=report.epochs * report.steps, completed=steps_done)
            bar.update(task, epoch=report.epoch, loss=report.loss)
            if report.finished_epoch is not None:
                bar.update(task, test=f"{report.finished_epoch.test_accuracy:.2%}")

        yield show


def _print_result(training: Training, draft: Draft, result: TrainingResult) -> None:
    last_epoch = result.history[-1]
    headings = ("epochs", "loss", "train accuracy", "test accuracy", "seconds")
    table = make_table(f"{draft.title}, float network", dict.fromkeys(headings, "right"))
    table.add_row(
        str(last_epoch.epoch),
        f"{last_epoch.loss:.3f}",
        f"{last_epoch.train_accuracy:.2%}",
        f"{last_epoch.test_accuracy:.2%}",
        f"{sum(record.seconds for record in result.history):.0f}",
    )
    print_table(table)
    for line in _next_commands(training, draft):
        console.print(line)


def _next_commands(training: Training, draft: Draft) -> tuple[str, str]:
    """Return the commands that export the network and run it on its test data."""
    network = quoted(training.out.with_name("net.h5"))
    data = training.data or draft.dataset
    place = (training.data_root, training.binning)
    export_text = f"sdt-export {quoted(training.out)} --out {network}"
    # Networks of built-in data sets are measured on these by default.
    if draft.dataset not in DATASETS or data != draft.dataset:
        export_text += f" {data_options('--calibration', data, *place)}"
    test_options = data_options("--data", training.test_data or data, *place)
    return f"next: {export_text}", f"then: sdt-sim {network} {test_options} --backend engine"
