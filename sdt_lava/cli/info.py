"""``sdt-lava info net.h5``, ``sdt-lava info --versions``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sdt_lava.cli.console import console, simulation_hint
from sdt_lava.cli.versions import print_versions
from sdt_lava.errors import ConfigError


def info_command(
    network: Annotated[Path | None, typer.Argument(help="Network file (net.h5).")] = None,
    compiled: Annotated[
        bool, typer.Option(help="Show the Lava processes, delays and resets instead.")
    ] = False,
    versions: Annotated[
        bool, typer.Option("--versions", help="Show what is installed, for reports.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is in a network file, or what is installed."""
    from sdt_lava.compiler.compile import compile_network
    from sdt_lava.netx import load_network

    if versions:
        print_versions(json)
        return
    if network is None:
        raise ConfigError("NETWORK", "missing", "a network file, or --versions")
    net = load_network(network)
    if json:
        console.print_json(data=_summary(network, net))
    elif compiled:
        console.print(str(compile_network(net)), markup=False, soft_wrap=True)
    else:
        console.print(str(net), markup=False, soft_wrap=True)
        console.print(f"T = {net.timesteps} steps a sample, input {net.input_shape}")
        dataset = net.metadata.get("config", {}).get("dataset", "")
        console.print(f"next: {simulation_hint(network, dataset)}")


def _summary(path: Path, net: Any) -> dict[str, Any]:
    return {
        "file": str(path),
        "timesteps": net.timesteps,
        "input_shape": list(net.input_shape),
        "nodes": [
            {"name": node.name, "kind": node.kind, "shape": list(net.shapes[node.name])}
            for node in net
        ],
        "metadata": net.metadata,
    }
