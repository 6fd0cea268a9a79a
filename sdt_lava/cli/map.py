"""``sdt-lava map net.h5 --target loihi2``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdt_lava.cli.console import (
    console,
    error_console,
    make_table,
    print_plain_json,
    print_table,
    progress_bar,
)
from sdt_lava.cli.data import Binning, DataRoot, Download, load_fitting, network_takes
from sdt_lava.cli.lowering import SdsaOption, ShortcutOption, chosen_ways
from sdt_lava.cli.networks import (
    InputShape,
    NumLayers,
    SkipLayers,
    Timesteps,
    network_title,
    read_network,
)
from sdt_lava.cli.places import Reads, ReadsData, WritesFigure
from sdt_lava.cli.runtime import RuntimeOption, load_needing, print_bound
from sdt_lava.hardware.targets import BUILT_IN_TARGETS, load_target
from sdt_lava.report.runtime_bound import runtime_bound
from sdt_lava.support.text import quoted

if TYPE_CHECKING:
    from sdt_lava.backends.result import Result
    from sdt_lava.compiler.compile import CompiledNetwork
    from sdt_lava.datasets import SourceOptions
    from sdt_lava.hardware.core_map import CoreMap, LayerMap
    from sdt_lava.ir import Graph

_MEASURED_SAMPLES = 16
_RESOURCE_TITLES = {
    "neurons": "neurons",
    "synapse_memory": "memory",
    "axons_in": "axons in",
    "axons_out": "axons out",
    "messages": "messages",
}


def map_command(
    network: Annotated[Path | None, typer.Argument(help="Network file (net.h5)."), Reads()] = None,
    preset: Annotated[
        str | None, typer.Option(help="A preset with random weights instead of a file.")
    ] = None,
    target: Annotated[
        str,
        typer.Option(help=f"One of {', '.join(BUILT_IN_TARGETS)}, or a .toml file."),
        Reads(BUILT_IN_TARGETS),
    ] = "loihi2",
    board: Annotated[
        str | None, typer.Option(help="Board; the smallest one that is large enough by default.")
    ] = None,
    shortcut: ShortcutOption = None,
    sdsa: SdsaOption = None,
    timesteps: Timesteps = None,
    input_shape: InputShape = None,
    num_layers: NumLayers = None,
    skip_layers: SkipLayers = 0,
    data: Annotated[
        str | None,
        typer.Option(help="Data set or .npz on which spikes are measured."),
        ReadsData(),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help=f"Samples of --data; at most {_MEASURED_SAMPLES} by default."),
    ] = None,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
    seed: Annotated[int, typer.Option(help="Of a preset's weights and of the placement.")] = 0,
    runtime: RuntimeOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    per_core: Annotated[bool, typer.Option("--per-core", help="In JSON, list every core.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the cores to this PNG."), WritesFigure()
    ] = None,
) -> None:
    """Map a network to the cores and chips of a target and show what limits each layer."""
    from sdt_lava.backends.deployment import compile_network
    from sdt_lava.datasets import SourceOptions
    from sdt_lava.hardware.core_map import map_cores

    model = load_needing(runtime, "--data", data)
    description = load_target(target)
    net = read_network(network, preset, seed, timesteps, input_shape, num_layers, skip_layers)
    options = SourceOptions(root=data_root, download=download, binning=binning)
    run = _measure(net, data, samples, options) if data is not None else None
    title = network_title(network, net)
    with error_console.status(f"{title}: mapping to {description.title}"):
        ways = chosen_ways(shortcut, sdsa)
        compiled = compile_network(net, description, board=board, **ways)
        core_map = map_cores(compiled, description, board, run, seed=seed)
    if plot is not None:
        from sdt_lava.report.core_map_figure import plot_core_map

        plot_core_map(core_map, plot, title)
    bound = None if model is None else runtime_bound(core_map, model)
    if json:
        runtime_entry = {} if bound is None else {"runtime": bound.to_dict()}
        print_plain_json({"network": title, **core_map.to_dict(per_core), **runtime_entry})
        return
    _print_layers(core_map, title)
    _print_summary(core_map)
    _print_shifted(compiled, core_map)
    if bound is not None:
        print_bound(bound)
    if plot is not None:
        console.print(f"wrote {plot}")
    _print_hint(network, preset, data)


def _measure(net: Graph, data: str, samples: int | None, options: SourceOptions) -> Result:
    from sdt_lava.backends.run import simulate

    takes = network_takes(net)
    dataset = load_fitting(data, "test", takes, options, samples, at_most=_MEASURED_SAMPLES)
    with progress_bar(f"engine: {data}") as update:
        return simulate(net, dataset.x, "engine", strict=False, on_progress=update)


def _print_layers(core_map: CoreMap, title: str) -> None:
    resources = [name for name in _RESOURCE_TITLES if name in core_map.utilisation]
    table = make_table(
        f"{title} on {core_map.target.title}: cores, and share of one that the fullest slice takes",
        {
            "layer": "left",
            "kind": "left",
            "neurons": "right",
            "cores": "right",
            "largest slice": "left",
            **{f"{_RESOURCE_TITLES[name]} %": "right" for name in resources},
            "binds": "left",
            "shared": "right",
            "unrolled": "right",
        },
    )
    for layer in core_map.layers:
        table.add_row(
            layer.name,
            layer.kind,
            f"{layer.neurons:,}",
            f"{layer.cores:,}",
            _tile(layer),
            *(f"{100 * layer.utilisation[name]:.0f}" for name in resources),
            _RESOURCE_TITLES.get(layer.binding, ""),
            *_compared(layer),
        )
    print_table(table)


def _tile(layer: LayerMap) -> str:
    channels, *sides = layer.tile.values()
    return f"{channels} ch x " + " x ".join(map(str, sides))


def _compared(layer: LayerMap) -> tuple[str, str]:
    """Return the numbers of cores with shared and with unrolled weights, for convolutions."""
    if layer.cores_shared is None and layer.cores_explicit is None:
        return "", ""
    cores = (layer.cores_shared, layer.cores_explicit)
    shared, unrolled = ("impossible" if value is None else f"{value:,}" for value in cores)
    return shared, unrolled


def _print_summary(core_map: CoreMap) -> None:
    summary = core_map.to_dict()
    cores, chips, board = summary["cores"], summary["chips"], core_map.board
    place = f"{_plural(cores, 'core')} of {_plural(chips, 'chip')}"
    console.print(f"{core_map.neurons:,} neurons on {place}")
    if core_map.fits:
        console.print(f"fits on {board.name} ({_plural(board.chips, 'chip')})")
    else:
        console.print(f"does not fit on {board.name}: {core_map.boards} boards would be needed")
    boards_text = ", ".join(f"{name} {count}" for name, count in core_map.boards_needed.items())
    console.print(f"boards that it would take: {boards_text}")
    use = ", ".join(
        f"{_RESOURCE_TITLES[name]} {share:.0%}"
        for name, share in core_map.utilisation.items()
        if name in _RESOURCE_TITLES
    )
    console.print(f"in use on average: {use}")
    per_step = summary["traffic"]["per_step"]
    console.print(
        f"messages a step: {per_step['within_core']:,.0f} within cores, "
        f"{per_step['between_cores']:,.0f} between cores of a chip, "
        f"{per_step['between_chips']:,.0f} between chips ({core_map.activity.source})"
    )
    busiest = summary["busiest_core"]
    console.print(
        f"busiest core: {busiest['synops_per_step']:,.0f} synaptic operations and "
        f"{busiest['neuron_updates_per_step']:,} neuron updates a step "
        f"({', '.join(busiest['populations'])})"
    )


def _print_shifted(compiled: CompiledNetwork, core_map: CoreMap) -> None:
    """Print the cost of the relays of first layers with full weights."""
    from sdt_lava.compiler.passes.relay_shifted import RELAY_SUFFIX

    cores = {layer.name: layer.cores for layer in core_map.layers}
    for name, note in zip(compiled.shifted, compiled.shifted_notes, strict=True):
        relay_cores = cores.get(f"{name}{RELAY_SUFFIX}", 0)
        console.print(
            f"{note} ({relay_cores:,} of {_plural(len(core_map.cores), 'core')} hold a part of it)",
            markup=False,
        )


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _print_hint(network: Path | None, preset: str | None, data: str | None) -> None:
    source = f"--preset {preset}" if network is None else quoted(network)
    if data is None and network is not None:
        console.print(f"next: measured spikes: sdt-lava map {source} --data DATA")
    else:
        console.print(f"next: what the target does not allow: sdt-lava check {source}")
