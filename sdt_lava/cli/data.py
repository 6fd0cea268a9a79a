"""How commands say which data they use, and where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdt_lava.datasets import Dataset, SourceOptions, first_samples, fitting_options, open_source
from sdt_lava.datasets.source import BINNINGS
from sdt_lava.model.config import SdtConfig

DataRoot = Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch missing files.")]
Binning = Annotated[
    str | None,
    typer.Option(
        "--binning",
        help=f"Event data, frames by {' or '.join(BINNINGS)}; by count unless given, as published.",
    ),
]


def load_fitting(
    name: str,
    part: str,
    network: tuple[tuple[int, ...], int],
    options: SourceOptions,
    samples: int | None = None,
    *,
    at_most: int | None = None,
) -> Dataset:
    """Return a data set in the shape that a network takes.

    Parameters
    ----------
    name, part, samples
        As in :func:`sdt_lava.load_dataset`.
    network : tuple
        The network's input shape and its steps T.
    options : SourceOptions
        What the command line says.
    at_most : int, optional
        Without `samples`: take this many, or all if there are fewer.
    """
    source = open_source(name, part, fitting_options(name, *network, options))
    if samples is None and at_most is not None:
        samples = min(at_most, len(source))
    return first_samples(source, samples)


def model_input(config: SdtConfig) -> tuple[tuple[int, ...], int]:
    """Return the input shape ``(C, H, W)`` and the steps T of a model."""
    return (config.in_channels, *config.image_size), config.timesteps
