"""Read the network of a command: a file, or a preset with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdt_lava.cli.console import error_console
from sdt_lava.datasets import trained_on as trained_on
from sdt_lava.errors import ConfigError
from sdt_lava.ir import Graph, Shape
from sdt_lava.support.text import printable

Timesteps = Annotated[
    int | None,
    typer.Option("--timesteps", min=1, help="Steps of a sample, for files that do not say it."),
]
InputShape = Annotated[
    str | None,
    typer.Option(
        "--input-shape", metavar="C,H,W", help="Shape of a frame, for files without input layer."
    ),
]

NumLayers = Annotated[
    int | None,
    typer.Option("--num-layers", help="Read the first layers of a file of lava-dl alone."),
]
SkipLayers = Annotated[
    int,
    typer.Option("--skip-layers", help="Leave out as many of them at the start, encoders say."),
]


def load_file(
    path: Path,
    timesteps: int | None = None,
    input_shape: str | None = None,
    num_layers: int | None = None,
    skip_layers: int = 0,
) -> Graph:
    """Read a network file; the options supply what SLAYER's own exports omit.

    Raises
    ------
    ConfigError
        If the input shape is malformed.
    NetworkFileError
        If the file cannot be read, or contains the settings of these options itself.
    """
    from sdt_lava.io.netx import load_network

    return load_network(
        path,
        timesteps,
        parse_shape(input_shape),
        num_layers=num_layers,
        skip_layers=skip_layers,
    )


def parse_shape(text: str | None) -> Shape | None:
    """Return the shape in ``--input-shape``, or None without the option.

    Raises
    ------
    ConfigError
        If the shape is malformed.
    """
    if text is None:
        return None
    sides = text.split(",")
    if len(sides) not in (1, 3) or not all(side.strip().isdecimal() for side in sides):
        raise ConfigError("--input-shape", repr(text), "C,H,W or a number of features")
    return tuple(int(side) for side in sides)


def read_network(
    network: Path | None,
    preset: str | None,
    seed: int = 0,
    timesteps: int | None = None,
    input_shape: str | None = None,
    num_layers: int | None = None,
    skip_layers: int = 0,
) -> Graph:
    """Return the network selected by the arguments ``NETWORK`` or ``--preset NAME``.

    Parameters
    ----------
    network : Path or None
        Network file.
    preset : str or None
        Name of a preset; its weights are random.
    seed : int
        Seed of a preset's weights.
    timesteps, input_shape, num_layers, skip_layers
        As in `load_file`.

    Raises
    ------
    ConfigError
        If both or neither is given, the preset does not exist, or an option would be ignored.
    NetworkFileError
        If the file cannot be read.
    """
    if (network is None) == (preset is None):
        problem = "both" if network is not None else "neither"
        raise ConfigError("network", problem, "either a network file or --preset NAME")
    if network is not None:
        return load_file(network, timesteps, input_shape, num_layers, skip_layers)
    assert preset is not None
    options = {"--timesteps": timesteps, "--input-shape": input_shape, "--num-layers": num_layers}
    for option, value in {**options, "--skip-layers": skip_layers or None}.items():
        if value is not None:
            raise ConfigError(option, str(value), "nothing: the preset says it", f"drop {option}")
    from sdt_lava.quantize.untrained import untrained_network

    with error_console.status(f"{preset}: random weights, seed {seed}"):
        return untrained_network(preset, seed)


def notes_of(net: Graph) -> list[str]:
    """Return the notes made when a network was read; its metadata are untrusted."""
    notes = net.metadata.get("notes")
    if not isinstance(notes, (list, tuple)):
        return []
    return [printable(note) for note in notes if isinstance(note, str)]


def network_title(network: Path | None, graph: Graph) -> str:
    """Return the name of the network for tables."""
    if network is not None:
        return network.name
    return f"{graph.metadata['preset']} ({graph.metadata['weights']})"
