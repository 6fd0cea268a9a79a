"""``sdt-lava info net.h5``, ``sdt-lava info --versions``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdt_lava.cli.console import (
    console,
    make_table,
    print_plain_json,
    print_table,
    simulation_hint,
)
from sdt_lava.cli.file_kinds import is_checkpoint, is_nir, show_checkpoint
from sdt_lava.cli.lowering import SdsaOption, ShortcutOption, chosen_ways
from sdt_lava.cli.networks import (
    InputShape,
    NumLayers,
    SkipLayers,
    Timesteps,
    load_file,
    notes_of,
    parse_shape,
    trained_on,
)
from sdt_lava.cli.places import Reads, ReadsConfig
from sdt_lava.cli.versions import print_versions
from sdt_lava.errors import ConfigError
from sdt_lava.support.text import quoted

if TYPE_CHECKING:
    from sdt_lava.compiler.compile import CompiledNetwork
    from sdt_lava.ir import Graph


def info_command(
    network: Annotated[
        Path | None, typer.Argument(help="Network, NIR file or checkpoint."), Reads()
    ] = None,
    timesteps: Timesteps = None,
    input_shape: InputShape = None,
    num_layers: NumLayers = None,
    skip_layers: SkipLayers = 0,
    config: Annotated[
        str | None,
        typer.Option(help="Preset or file, for checkpoints without a configuration."),
        ReadsConfig(),
    ] = None,
    compiled: Annotated[
        bool, typer.Option(help="Show the Lava processes, delays and resets instead.")
    ] = False,
    schedule: Annotated[
        bool, typer.Option("--schedule", help="Show why each delay and each reset is there.")
    ] = False,
    shortcut: ShortcutOption = None,
    sdsa: SdsaOption = None,
    versions: Annotated[
        bool, typer.Option("--versions", help="Show what is installed, for reports.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the content of a file, how a network is compiled, or what is installed."""
    if versions:
        print_versions(json)
        return
    if network is None:
        raise ConfigError("NETWORK", "missing", "a network file, or --versions")
    if is_checkpoint(network):
        show_checkpoint(network, config, json=json)
        return
    net = _load(network, timesteps, input_shape, num_layers, skip_layers)
    ways = chosen_ways(shortcut, sdsa)
    if schedule or ((compiled or ways) and not json):
        from sdt_lava.backends.deployment import compile_network

        compiled_net = compile_network(net, **ways)
        if schedule:
            _show_schedule(compiled_net, json)
        else:
            console.print(str(compiled_net))
    elif json:
        print_plain_json(_summary(network, net))
    else:
        from sdt_lava.backends.membranes import ends_in_membranes

        console.print(str(net))
        console.print(f"T = {net.timesteps} steps a sample, input {net.input_shape}")
        if ends_in_membranes(net, net.timesteps):
            console.print(f"the result is the membrane of {net.output_name}, which never fires")
        for note in notes_of(net):
            console.print(f"note: {note}")
        hint = simulation_hint(network, trained_on(net))
        if is_nir(network):
            hint = f"sdt-lava nir {quoted(network)} --out {quoted(network.with_suffix('.h5').name)}"
        console.print(f"next: {hint}")


def _load(
    path: Path,
    timesteps: int | None,
    input_shape: str | None,
    num_layers: int | None,
    skip_layers: int,
) -> Graph:
    """Read a network, or a NIR file with the defaults of ``sdt-lava nir``."""
    if not is_nir(path):
        return load_file(path, timesteps, input_shape, num_layers, skip_layers)
    from sdt_lava.quantize.from_nir import NirOptions, load_nir

    options = NirOptions(timesteps=timesteps, input_shape=parse_shape(input_shape))
    graph, report = load_nir(path, options)
    return graph.with_metadata(notes=report.lines())


def _show_schedule(compiled: CompiledNetwork, json: bool) -> None:
    schedule = compiled.schedule
    if json:
        plain = {**asdict(compiled.lowering), "notes": list(compiled.notes)}
        splits = [asdict(split) for split in compiled.splits]
        print_plain_json({**schedule.to_dict(), **plain, "splits": splits})
        return
    for delay in schedule.delays:
        console.print(str(delay))
    columns = {"population": "left", "first at step": "right", "then every": "right"}
    table = make_table("Resets, when step 0 of a sample arrives", columns)
    for reset in schedule.resets:
        table.add_row(reset.population, str(reset.latency), str(reset.interval or "-"))
    print_table(table)
    for note in compiled.notes:
        console.print(note)
    console.print(
        f"samples enter every {schedule.timesteps} steps, the last output has latency "
        f"{schedule.depth}\nnext: every process and latency: add --compiled instead of --schedule"
    )


def _summary(path: Path, net: Any) -> dict[str, Any]:
    return {
        "file": str(path),
        "kind": "network",
        "timesteps": net.timesteps,
        "input_shape": list(net.input_shape),
        "nodes": [
            {"name": node.name, "kind": node.kind, "shape": list(net.shapes[node.name])}
            for node in net
        ],
        "metadata": net.metadata,
    }
