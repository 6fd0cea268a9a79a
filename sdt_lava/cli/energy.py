"""``sdt-lava energy --preset 8-768``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sdt_lava.cli.console import console, make_table, print_table
from sdt_lava.report.energy_model import ENERGY_MODELS, load_energy_model
from sdt_lava.report.formula import formula_layers
from sdt_lava.report.formula_energy import FormulaEnergy, formula_energy
from sdt_lava.report.rates import read_rates


def energy_command(
    preset: Annotated[str, typer.Option(help="Network of the paper, such as 8-768.")],
    rates: Annotated[
        Path | None, typer.Option(help="CSV name,rate: firing rates by layer or population.")
    ] = None,
    model: Annotated[
        str, typer.Option(help=f"Costs: one of {', '.join(ENERGY_MODELS)}, or a .toml file.")
    ] = "horowitz45-fp32",
    timesteps: Annotated[int | None, typer.Option(min=1, help="T, if not the preset's.")] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the image, if not the preset's.")
    ] = None,
    downsampling: Annotated[
        str, typer.Option(help="max (the paper's network), or or stride.")
    ] = "max",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compute operations and energy by the paper's formula, layer by layer."""
    from sdt_lava.model.presets import preset as preset_config

    config = preset_config(preset, downsampling=downsampling)
    if timesteps is not None:
        config = replace(config, timesteps=timesteps)
    if image_size is not None:
        config = replace(config, image_size=(image_size, image_size))
    known = read_rates(rates, formula_layers(config)) if rates is not None else {}
    energy = formula_energy(config, load_energy_model(model), known)
    if json:
        console.print_json(data={"preset": preset, **energy.to_dict()})
    else:
        _print(preset, energy)


def _print(name: str, energy: FormulaEnergy) -> None:
    columns = {"layer": "left", "FLOPs": "right", "from": "left", "parameters": "right"}
    rest = {"R": "right", "operations": "right", "energy [µJ]": "right"}
    config = energy.config
    table = make_table(
        f"{name}, {config.image_size[0]} x {config.image_size[1]}, T = {config.timesteps}",
        {**columns, **rest},
    )
    for row in energy.rows:
        known = row.energy_pj is not None
        table.add_row(
            row.layer.name,
            f"{row.layer.flops:,}",
            row.layer.formula,
            f"{row.layer.parameters:,}" if row.layer.parameters else "",
            f"{row.rate:.4f}" if row.rate is not None else "?",
            f"{row.operations:,.0f} {row.layer.operation.upper()}" if known else "?",
            f"{(row.energy_pj or 0.0) / 1e6:,.2f}" if known else "?",
        )
    print_table(table)
    console.print(f"parameters {energy.parameters:,}; {energy.flops:,} FLOPs a step")
    _print_energy(energy)


def _print_energy(energy: FormulaEnergy) -> None:
    model = energy.model
    console.print(f"costs: {model.name}, {model.title} ({model.source})", markup=False)
    for assumption in model.assumptions:
        console.print(f"  - {assumption}", markup=False)
    console.print(f"first convolution, T * FLOPs * E_MAC: {energy.mac_energy_mj:.3f} mJ")
    console.print(
        f"the same layers as a dense network with softmax attention: "
        f"{energy.dense_energy_mj:.2f} mJ"
    )
    if energy.energy_mj is not None:
        console.print(f"energy of a sample: {energy.energy_mj:.3f} mJ", style="bold")
        return
    missing = energy.missing_rates
    console.print(
        f"energy of a sample: not known, {len(missing)} layers lack a rate: {missing[0]}, ...; "
        "give --rates rates.csv"
    )
