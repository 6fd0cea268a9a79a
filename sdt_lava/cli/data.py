"""Options and functions for selecting the data of a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdt_lava.cli.console import error_console
from sdt_lava.cli.networks import trained_on
from sdt_lava.datasets import (
    Dataset,
    SourceOptions,
    first_samples,
    fitting_options,
    has_parts,
    open_source,
)
from sdt_lava.datasets.source import BINNINGS
from sdt_lava.errors import ConfigError
from sdt_lava.families.configuration import FamilyConfig
from sdt_lava.ir import Graph
from sdt_lava.support.text import quoted

if TYPE_CHECKING:
    from sdt_lava.families.model import FamilyModel

DataRoot = Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch missing files.")]
Binning = Annotated[
    str | None,
    typer.Option(
        "--binning",
        help=f"Event data, frames by {' or '.join(BINNINGS)}; by count unless given, as published.",
    ),
]


Ema = Annotated[
    bool, typer.Option("--ema", help="Of a checkpoint, the moving average of the weights.")
]

FirstLayer = Annotated[
    str,
    typer.Option(
        "--first-layer",
        help="Layers that read an image or counts: full weights, for which Loihi 2 needs a relay, "
        "or fitted ones.",
    ),
]

# Input shape ``(C, H, W)`` or ``(features,)``, steps T, and the training data set, if known.
Takes = tuple[tuple[int, ...], int, str]


def load_fitting(
    name: str,
    part: str,
    takes: Takes,
    options: SourceOptions,
    samples: int | None = None,
    *,
    at_most: int | None = None,
) -> Dataset:
    """Load a data set in the shape that a network takes.

    Parameters
    ----------
    name, part, samples
        As in :func:`sdt_lava.load_dataset`.
    takes : tuple
        Input of the network, from `network_takes` or `model_takes`.
    options : SourceOptions
        Options from the command line.
    at_most : int, optional
        If `samples` is None: maximum number of samples.
    """
    source = open_source(name, part, fitting(name, takes, options))
    if samples is None and at_most is not None:
        samples = min(at_most, len(source))
    return first_samples(source, samples)


def fitting(name: str, takes: Takes, options: SourceOptions) -> SourceOptions:
    """Return options for which a data set yields samples in the shape that a network takes."""
    shape, timesteps, training_data = takes
    return fitting_options(name, shape, timesteps, options, training_data or None)


def network_takes(net: Graph) -> Takes:
    """Return the input shape, steps and training data of a network."""
    return net.input_shape, net.timesteps, trained_on(net)


def model_takes(config: FamilyConfig) -> Takes:
    """Return the input shape, steps and training data of a model."""
    return (config.in_channels, *config.image_size), config.timesteps, config.dataset


def data_options(option: str, name: str, root: Path | None, binning: str | None) -> str:
    """Return the options with which a suggested command selects the same data."""
    text = f"{option} {quoted(name)}"
    if root is not None:
        text += f" --data-root {quoted(root)}"
    return text if binning is None else f"{text} --binning {binning}"


def check_parts(name: str) -> None:
    """Raise `ConfigError` if a data set does not have separate training and test samples."""
    if not has_parts(name):
        raise ConfigError(
            "--test-data",
            f"missing, and {name} has only one part",
            "a data set, a file, or a folder with train and test",
            "name other samples with --test-data",
        )


def load_imported(path: Path, config: str | None, *, ema: bool) -> FamilyModel:
    """Load a checkpoint and print notes on its import; arguments and errors as in `load_model`."""
    from sdt_lava.families import load_with_report

    model, report = load_with_report(path, config, ema)
    for line in report.lines() if report else ():
        error_console.print(line, markup=False)
    return model
