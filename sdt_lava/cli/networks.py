"""The network that a command works on: a file, or a preset with random weights."""

from __future__ import annotations

from pathlib import Path

from sdt_lava.cli.console import error_console
from sdt_lava.errors import ConfigError
from sdt_lava.graph import Graph


def read_network(network: Path | None, preset: str | None, seed: int = 0) -> Graph:
    """Return the network that the arguments ``NETWORK`` or ``--preset NAME`` name.

    Parameters
    ----------
    network : Path or None
        Network file.
    preset : str or None
        Name of a preset; its weights are random.
    seed : int
        Seed of a preset's weights.

    Raises
    ------
    ConfigError
        If both are given, or none, or there is no such preset.
    NetworkFileError
        If the file cannot be read.
    """
    if (network is None) == (preset is None):
        found = "both" if network is not None else "neither"
        raise ConfigError("network", found, "either a network file or --preset NAME")
    if network is not None:
        from sdt_lava.netx import load_network

        return load_network(network)
    assert preset is not None
    from sdt_lava.quantize.untrained import untrained_network

    with error_console.status(f"{preset}: random weights, seed {seed}"):
        return untrained_network(preset, seed)


def network_title(network: Path | None, graph: Graph) -> str:
    """Return how to call the network in a table."""
    if network is not None:
        return network.name
    return f"{graph.metadata['preset']} ({graph.metadata['weights']})"
