"""``sdt-export model.pt --out net.h5``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sdt_lava.cli.console import console, make_table, print_table, simulation_hint
from sdt_lava.cli.data import Binning, DataRoot, Download, model_input
from sdt_lava.datasets import (
    DATASETS,
    SourceOptions,
    first_samples,
    fitting_options,
    open_source,
)
from sdt_lava.files import check_writable, write_json
from sdt_lava.model.config import SdtConfig
from sdt_lava.quantize.post_training import CalibrationData
from sdt_lava.quantize.report import QuantizationReport


def export_command(
    model: Annotated[
        Path, typer.Argument(help="Checkpoint: model.pt, or an official model_best.pth.tar.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Network file to write (net.h5).")],
    bits: Annotated[int, typer.Option(help="Bits of a weight, 2 to 8.")] = 8,
    config: Annotated[
        str | None,
        typer.Option(help="Preset, JSON file or official conf.yml; replaces what the file says."),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(help="Data set or .npz on which ranges are measured that cannot be proved."),
    ] = None,
    ema: Annotated[
        bool, typer.Option("--ema", help="Moving average of the weights (official checkpoints).")
    ] = False,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
    json: Annotated[Path | None, typer.Option(help="Write the report to this file.")] = None,
) -> None:
    """Quantize a trained model and write it as an HDF5 network file."""
    from sdt_lava.checkpoint import load_with_report
    from sdt_lava.quantize.export import export

    started = time.perf_counter()
    for path in filter(None, (out, json)):
        check_writable(path)
    loaded, imported = load_with_report(model, config, ema)
    for line in imported.lines() if imported else ():
        console.print(line)
    name = calibration or (loaded.config.dataset if loaded.config.dataset in DATASETS else None)
    options = SourceOptions(root=data_root, download=download, binning=binning)
    data = _calibration(name, loaded.config, options) if name else None
    report = export(loaded, out, bits, data)
    if json is not None:
        write_json(json, report.to_dict())
    print_report(report)
    size = out.stat().st_size / 1024
    console.print(f"wrote {out} ({size:.0f} KiB) in {time.perf_counter() - started:.1f} s")
    console.print(f"next: {simulation_hint(out, loaded.config.dataset)}")


# More samples hardly move the extremes, and calibration should not take minutes.
_CALIBRATION_SAMPLES = 256


def _calibration(name: str, config: SdtConfig, options: SourceOptions) -> CalibrationData:
    source = open_source(name, "train", fitting_options(name, *model_input(config), options))
    data = first_samples(source, min(_CALIBRATION_SAMPLES, len(source)))
    return CalibrationData(data.x, f"{len(data.x)} training samples of {data.name}")


def print_report(report: QuantizationReport) -> None:
    """Print what quantization did to weights and neurons."""
    print_table(_synapse_table(report))
    print_table(_neuron_table(report))
    measured = [row.name for row in report.neurons if row.evidence == "measured"]
    if measured:
        console.print(
            f"headroom of {', '.join(measured)} was measured on {report.calibration}; "
            "all others hold for any input"
        )
    else:
        console.print("no 24-bit sum can overflow, for any input")


def _synapse_table(report: QuantizationReport) -> Table:
    table = make_table(
        f"Weights, {report.bits} bit",
        {
            "layer": "left",
            "shape": "left",
            "bits": "right",
            "scale": "right",
            "exponent": "right",
            "largest": "right",
            "clipped": "right",
            "rounding": "right",
        },
    )
    for row in report.synapses:
        table.add_row(
            row.name,
            "x".join(map(str, row.shape)),
            str(row.bits),
            f"{row.scale:.1f}",
            str(row.exponent),
            str(row.largest_weight),
            f"{row.clipped_share:.2%}",
            f"{row.rounding_error:.2%}",
        )
    return table


def _neuron_table(report: QuantizationReport) -> Table:
    table = make_table(
        "Neurons",
        {
            "layer": "left",
            "shape": "left",
            "scale": "right",
            "threshold": "right",
            "bias": "right",
            "headroom": "right",
            "evidence": "left",
        },
    )
    for row in report.neurons:
        exponent = "" if row.bias_exponent == 6 else f" << {row.bias_exponent - 6}"
        table.add_row(
            row.name,
            "x".join(map(str, row.shape)),
            f"{row.scale:.1f}",
            str(row.threshold),
            f"{row.bias_low}..{row.bias_high}{exponent}",
            f"{row.headroom:.2f}x",
            row.evidence,
        )
    return table
