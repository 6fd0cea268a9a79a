"""``sdt-lava lower net.h5 --data digits``, and the lowering options of other commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdt_lava.cli.console import (
    console,
    make_table,
    print_plain_json,
    print_table,
    progress_bar,
    simulation_hint,
)
from sdt_lava.cli.data import Binning, DataRoot, Download, load_fitting, network_takes
from sdt_lava.cli.networks import (
    InputShape,
    NumLayers,
    SkipLayers,
    Timesteps,
    network_title,
    read_network,
    trained_on,
)
from sdt_lava.cli.places import Reads, ReadsData
from sdt_lava.datasets import SourceOptions
from sdt_lava.errors import ConfigError
from sdt_lava.hardware.targets import BUILT_IN_TARGETS

if TYPE_CHECKING:
    from sdt_lava.backends.result import Result
    from sdt_lava.ir import Graph
    from sdt_lava.report.lowerings import LoweringComparison, LoweringRow

_MEASURED_SAMPLES = 64

ShortcutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--shortcut",
        metavar="WAY|STREAM=WAY",
        help="Membrane shortcuts: relay, unrolled or auto; or STREAM=WAY, repeated.",
    ),
]
SdsaOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sdsa",
        metavar="WAY|COLUMN=WAY",
        help="SDSA: and, column-gate, columnless, single-gate or auto; or COLUMN=WAY, repeated.",
    ),
]


def parse_choice(option: str, values: list[str] | None) -> str | dict[str, str] | None:
    """Return the choice of ``--shortcut`` or ``--sdsa``: one way, or ways by name.

    Raises
    ------
    ConfigError
        If both forms are mixed, or several ways are specified without a name.
    """
    if not values:
        return None
    if len(values) == 1 and "=" not in values[0]:
        return values[0]
    pairs = [value.rpartition("=") for value in values]
    if not all(name and way for name, _, way in pairs):
        raise ConfigError(option, " ".join(values), "one WAY, or NAME=WAY for each of some names")
    return {name: way for name, _, way in pairs}


def chosen_ways(shortcut: list[str] | None, sdsa: list[str] | None) -> dict[str, Any]:
    """Return the arguments of ``compile_network`` that the options specify."""
    choices = {
        "shortcut": parse_choice("--shortcut", shortcut),
        "sdsa": parse_choice("--sdsa", sdsa),
    }
    return {name: choice for name, choice in choices.items() if choice is not None}


def lower_command(
    network: Annotated[Path | None, typer.Argument(help="Network file (net.h5)."), Reads()] = None,
    preset: Annotated[
        str | None, typer.Option(help="A preset with random weights instead of a file.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Data set or .npz: count work instead of estimating it."),
        ReadsData(),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help=f"Samples of --data; at most {_MEASURED_SAMPLES} by default."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Without --data: spikes per neuron and step."),
    ] = None,
    target: Annotated[
        str, typer.Option(help="What 'auto' chooses for."), Reads(BUILT_IN_TARGETS)
    ] = "lava-cpu",
    seed: Annotated[int, typer.Option(help="Seed of a preset's weights.")] = 0,
    timesteps: Timesteps = None,
    input_shape: InputShape = None,
    num_layers: NumLayers = None,
    skip_layers: SkipLayers = 0,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the ways to lower membrane shortcuts and SDSA: size, work, latency."""
    from sdt_lava.report.lowerings import compare_lowerings

    if data is not None and rate is not None:
        raise ConfigError("--rate", "a rate and --data", "one of them")
    net = read_network(network, preset, seed, timesteps, input_shape, num_layers, skip_layers)
    options = SourceOptions(root=data_root, download=download, binning=binning)
    run = rate if data is None else _run(net, data, options, samples)
    with progress_bar("lowerings") as update:
        comparison = compare_lowerings(net, run, target=target, on_progress=update)
    if json:
        print_plain_json(comparison.to_dict())
        return
    _print(comparison, network_title(network, net))
    if network is not None:
        hint = simulation_hint(network, trained_on(net))
        console.print(f"next: {hint} --shortcut auto")


def _run(net: Graph, data: str, options: SourceOptions, samples: int | None) -> Result:
    from sdt_lava.backends.run import simulate

    takes = network_takes(net)
    dataset = load_fitting(data, "test", takes, options, samples, at_most=_MEASURED_SAMPLES)
    with progress_bar(f"engine: {data}") as update:
        return simulate(net, dataset.x, on_progress=update)


def _print(comparison: LoweringComparison, title: str) -> None:
    work = (
        f"work of one sample, counted on {comparison.samples} samples"
        if comparison.samples
        else f"work of one sample, estimated from a firing rate of {comparison.rates:g}"
    )
    numbers = ("neurons", "synapses", "weights", "processes", "synops", "spikes", "graded")
    columns = {"shortcut": "left", "sdsa": "left"}
    columns |= dict.fromkeys((*numbers, "latency", "cost"), "right")
    table = make_table(f"{title}: lowerings; {work}", columns)
    for row in comparison.rows:
        table.add_row(*_cells(row))
    print_table(table)
    console.print(
        "synapses: with those of convolutions unrolled; weights: stored, where a convolution "
        "stores its kernel once;\nspikes and graded: sent without and with a payload; latency: "
        "machine steps; cost: geometric mean of neurons,\nsynapses and synops, relative to the "
        "first row: what auto minimises",
    )
    for line in _remarks(comparison):
        console.print(line)


def _cells(row: LoweringRow) -> tuple[str, ...]:
    sizes = (row.neurons, row.synapses, row.weights, row.processes)
    work = (row.synops, row.binary_spikes, row.graded_spikes)
    return (
        row.shortcut,
        row.sdsa,
        *(f"{value:,}" for value in sizes),
        *(f"{value:,.0f}" for value in work),
        str(row.latency),
        f"{row.cost:.3f}",
    )


def _remarks(comparison: LoweringComparison) -> list[str]:
    auto = comparison.rows[-1].lowering
    lines = [f"auto, {name}: {way}" for name, way in {**auto.shortcut, **auto.sdsa}.items()]
    lines += [
        f"{name} is a relay in every row: {reason}" for name, reason in comparison.kept.items()
    ]
    lines += [f"no {way}: {reason}" for way, reason in comparison.skipped.items()]
    lines += [
        f"{row.shortcut}, {row.sdsa}: {row.delay_chains} connections wait longer than the target "
        "can and are split over further populations"
        for row in comparison.rows
        if row.delay_chains
    ]
    lines += [
        f"{row.shortcut}, {row.sdsa}: {comparison.target} has no {', '.join(row.missing)}"
        for row in comparison.rows
        if row.missing
    ]
    for way, reasons in comparison.refused.items():
        name, reason = next(iter(reasons.items()))
        suffix = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        lines.append(f"no {way} for {name}{suffix}: {reason}")
    return lines
