"""``sdt-lava energy --preset 8-768`` and ``sdt-lava energy net.h5 --data digits``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdt_lava.cli.console import console, make_table, print_plain_json, print_table, progress_bar
from sdt_lava.cli.data import Binning, DataRoot, Download, load_fitting, network_takes
from sdt_lava.cli.networks import InputShape, NumLayers, SkipLayers, load_file
from sdt_lava.cli.places import Reads, ReadsData, Writes
from sdt_lava.cli.runtime import RuntimeOption, load_needing, print_bound
from sdt_lava.datasets import Dataset, SourceOptions
from sdt_lava.errors import ConfigError
from sdt_lava.families.registry import formula_of
from sdt_lava.families.registry import preset as preset_config
from sdt_lava.hardware.targets import BUILT_IN_TARGETS
from sdt_lava.ir import Graph
from sdt_lava.report.accounting import Accounting, compare_accountings
from sdt_lava.report.cores import core_table, map_run
from sdt_lava.report.counting import count
from sdt_lava.report.energy_model import ENERGY_MODELS, load_energy_model
from sdt_lava.report.energy_table import EnergyTable, energy
from sdt_lava.report.formula_energy import FormulaEnergy, formula_energy
from sdt_lava.report.rates import read_rates
from sdt_lava.report.rates import write_rates as write_rates_file
from sdt_lava.report.runtime_bound import RuntimeBound, runtime_bound
from sdt_lava.report.runtime_model import RuntimeModel
from sdt_lava.support.text import quoted

if TYPE_CHECKING:
    from sdt_lava.backends.result import Result
    from sdt_lava.hardware.core_map import CoreMap

_PAPER_MODEL = ENERGY_MODELS[0]


@dataclass(frozen=True)
class _Cores:
    """The target and runtime model for mapping the network to cores, if any."""

    target: str | None
    board: str | None
    runtime: RuntimeModel | None

    def map(self, net: Graph, result: Result) -> tuple[CoreMap | None, RuntimeBound | None]:
        if self.target is None:
            return None, None
        core_map = map_run(net, result, self.target, self.board)
        bound = None if self.runtime is None else runtime_bound(core_map, self.runtime)
        return core_map, bound


def energy_command(
    network: Annotated[
        Path | None,
        typer.Argument(help="Network file (net.h5) to run and count."),
        Reads(),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Network of the paper, such as 8-768: formulas, no run.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="For a network file: data set name or .npz file."),
        ReadsData(),
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Number of samples to run.")] = None,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
    rates: Annotated[
        Path | None,
        typer.Option(help="For a preset: CSV name,rate with firing rates by layer or population."),
        Reads(),
    ] = None,
    write_rates: Annotated[
        Path | None,
        typer.Option(help="For a network file: write the firing rates of the run to this CSV."),
        Writes(),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help=f"Costs: {', '.join(ENERGY_MODELS)}, or a .toml file; may be repeated."),
        Reads(ENERGY_MODELS),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="For a network file: map to cores, and count messages between them."),
        Reads(BUILT_IN_TARGETS),
    ] = None,
    board: Annotated[str | None, typer.Option(help="Board of the target.")] = None,
    runtime: RuntimeOption = None,
    timesteps: Annotated[
        int | None,
        typer.Option(min=1, help="T, if not the preset's; of a network file that does not say it."),
    ] = None,
    input_shape: InputShape = None,
    num_layers: NumLayers = None,
    skip_layers: SkipLayers = 0,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the image, if not the preset's.")
    ] = None,
    downsampling: Annotated[
        str, typer.Option(help="For a preset: max (the paper's network), or, stride.")
    ] = "max",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count operations and energy: exactly for a run, or by the paper's formula for a preset."""
    if (network is None) == (preset is None):
        raise ConfigError("arguments", "need one network", "a network file, or --preset NAME")
    if preset is not None:
        costs = (model or [_PAPER_MODEL])[0]
        changes = {"timesteps": timesteps, "image_size": image_size, "downsampling": downsampling}
        if write_rates is not None:
            raise ConfigError(
                "--write-rates", "a preset", "a network file with --data: a preset does not run",
                "read rates with --rates",
            )  # fmt: skip
        _preset_energy(preset, changes, rates, costs, json)
        return
    if rates is not None:
        raise ConfigError(
            "--rates", "a network file", "a preset: of a network its own rates are counted",
            "write them with --write-rates",
        )  # fmt: skip
    if data is None:
        raise ConfigError("--data", "missing", "a data set name or an .npz file")
    assert network is not None
    cores = _Cores(target, board, load_needing(runtime, "--target", target))
    net = load_file(network, timesteps, input_shape, num_layers, skip_layers)
    options = SourceOptions(root=data_root, download=download, binning=binning)
    dataset = load_fitting(data, "test", network_takes(net), options, samples)
    _run_energy(network, net, dataset, list(model or ENERGY_MODELS), cores, write_rates, json)
    if not json:
        console.print(f"next: sdt-lava energy {quoted(network)} --data {quoted(data)} --json")


def _preset_energy(
    preset: str, changes: dict[str, Any], rates: Path | None, costs: str, json: bool
) -> None:
    config = preset_config(preset)
    layers_of = formula_of(config).layers
    if hasattr(config, "downsampling"):
        config = replace(config, downsampling=changes["downsampling"])
    if changes["timesteps"] is not None:
        config = replace(config, timesteps=changes["timesteps"])
    if changes["image_size"] is not None:
        config = replace(config, image_size=(changes["image_size"],) * 2)
    ignored_rates: list[str] = []
    layer_rates = read_rates(rates, layers_of(config), ignored_rates) if rates is not None else {}
    result = formula_energy(config, load_energy_model(costs), layer_rates)
    if json:
        print_plain_json({"preset": preset, "ignored_rates": ignored_rates, **result.to_dict()})
        return
    _print(preset, result)
    for line in _notes_on_rates(result, layer_rates, ignored_rates):
        console.print(line, markup=False)


def _notes_on_rates(
    result: FormulaEnergy, known: dict[str, float], ignored: list[str]
) -> Iterator[str]:
    """Yield notes on unused rates, and on rates of neurons used for pooled input."""
    if ignored:
        yield (
            f"not needed by the formula, and ignored: the rates of {len(ignored)} populations, "
            f"such as {ignored[0]}"
        )
    unpooled = [
        row.layer.name
        for row in result.rows
        if row.layer.pooled
        and row.rate is not None
        and not {row.layer.name, *row.layer.pooled_inputs} & set(known)
    ]
    if unpooled:
        yield (
            f"{', '.join(unpooled)}: R is that of the neurons, and the layer reads pooled spikes, "
            "which are more; give the rate of the pool or of the layer"
        )


def _run_energy(
    network: Path,
    net: Graph,
    dataset: Dataset,
    models: list[str],
    cores: _Cores,
    rates: Path | None,
    json: bool,
) -> None:
    from sdt_lava.backends.run import simulate

    costs = [load_energy_model(name) for name in models]
    with progress_bar(f"engine: {network.name}") as update:
        result = simulate(net, dataset.x, "engine", on_progress=update, count=True)
    core_map, bound = cores.map(net, result)
    counts = result.counts if core_map is None else count(result, core_map=core_map)
    accounting = compare_accountings(counts)
    tables = [energy(counts, cost) for cost in costs]
    if rates is not None:
        write_rates_file(rates, counts)
    if json:
        content = {
            "network": str(network),
            "counts": counts.to_dict(),
            "accounting": accounting.to_dict(),
            "energy": [table.to_dict() for table in tables],
            "core_map": None if core_map is None else core_table(core_map, bound),
        }
        print_plain_json(content)
        return
    _print_accounting(accounting, counts.samples)
    for table in tables:
        _print_table(table)
    if core_map is not None:
        messages = ", ".join(f"{number:,} {name}" for name, number in counts.messages.items())
        console.print(f"{len(core_map.cores):,} cores of {core_map.target.title}: {messages}")
    if bound is not None:
        print_bound(bound)


def _print_accounting(accounting: Accounting, samples: int) -> None:
    columns = {"layer": "left", "R": "right", "FLOPs": "right", "T R FLOPs": "right"}
    table = make_table(
        f"Operations of a sample, mean of {samples}: the formula and what happened",
        {**columns, "exact": "right", "difference": "left"},
    )
    for row in accounting.rows:
        table.add_row(
            row.name,
            f"{row.rate:.4f}",
            f"{row.flops:,}",
            f"{row.formula:,.0f}",
            f"{row.exact:,.0f} {'MAC' if row.operation == 'mac' else 'AC'}",
            row.reason,
        )
    table.add_section()
    for name, operations in accounting.not_in_formula.items():
        formula = f"{accounting.sdsa_formula:,.0f}" if name == "mask" else ""
        table.add_row(name, "", "", formula, f"{operations:,.0f}", "")
    table.add_row("total", "", "", f"{accounting.formula:,.0f}", f"{accounting.exact:,.0f}", "")
    print_table(table)


def _print_table(table: EnergyTable) -> None:
    model = table.model
    console.print(f"{model.name}: {table.per_sample_nj:,.1f} nJ a sample", style="bold")
    console.print(f"  {model.title} ({model.source})")
    for operation, picojoule in table.by_operation.items():
        cost = model.costs[operation]
        share = f"{picojoule / table.samples / 1e3:,.1f} nJ"
        console.print(
            f"  {operation}: {share}, {cost.pj:g} pJ each ({cost.source})",
        )
    for assumption in model.assumptions:
        console.print(f"  - {assumption}")
    for operation, number in table.not_charged.items():
        console.print(f"  not charged: {number / table.samples:,.0f} {operation} a sample")


def _print(name: str, result: FormulaEnergy) -> None:
    columns = {"layer": "left", "FLOPs": "right", "from": "left", "parameters": "right"}
    result_columns = {"R": "right", "operations": "right", "energy [µJ]": "right"}
    config = result.config
    table = make_table(
        f"{name}, {config.image_size[0]} x {config.image_size[1]}, T = {config.timesteps}",
        {**columns, **result_columns},
    )
    for row in result.rows:
        has_energy = row.energy_pj is not None
        table.add_row(
            row.layer.name,
            f"{row.layer.flops:,}",
            row.layer.formula,
            f"{row.layer.parameters:,}" if row.layer.parameters else "",
            f"{row.rate:.4f}" if row.rate is not None else "?",
            f"{row.operations:,.0f} {row.layer.operation.upper()}" if has_energy else "?",
            f"{(row.energy_pj or 0.0) / 1e6:,.2f}" if has_energy else "?",
        )
    print_table(table)
    console.print(f"parameters {result.parameters:,}; {result.flops:,} FLOPs a step")
    _print_energy(result)


def _print_energy(result: FormulaEnergy) -> None:
    model = result.model
    console.print(f"costs: {model.name}, {model.title} ({model.source})")
    for assumption in model.assumptions:
        console.print(f"  - {assumption}")
    console.print(f"first convolution, T * FLOPs * E_MAC: {result.mac_energy_mj:.3f} mJ")
    console.print(
        f"the same layers as a dense network with softmax attention: "
        f"{result.dense_energy_mj:.2f} mJ"
    )
    if result.energy_mj is not None:
        console.print(f"energy of a sample: {result.energy_mj:.3f} mJ", style="bold")
        return
    missing = result.missing_rates
    console.print(
        f"energy of a sample: not known, {len(missing)} layers lack a rate: {missing[0]}, ...; "
        "give --rates rates.csv"
    )
