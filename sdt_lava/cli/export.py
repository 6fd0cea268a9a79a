"""``sdt-export model.pt --out net.h5``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from sdt_lava.cli.console import (
    console,
    make_table,
    place_text,
    print_table,
    simulation_hint,
)
from sdt_lava.cli.data import Binning, DataRoot, Download, Ema, FirstLayer, data_options
from sdt_lava.cli.places import Reads, ReadsConfig, ReadsData, Writes
from sdt_lava.datasets import SourceOptions
from sdt_lava.io.files import write_json
from sdt_lava.quantize.calibration import calibration_data
from sdt_lava.quantize.report import QuantizationReport, ScaleChoices

if TYPE_CHECKING:
    from sdt_lava.quantize.changes import SpikeChanges


def export_command(
    model: Annotated[
        Path,
        typer.Argument(help="Checkpoint: model.pt, or an official model_best.pth.tar."),
        Reads(),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Network file to write (net.h5)."), Writes()
    ],
    bits: Annotated[int, typer.Option(help="Bits of a weight, 2 to 8.")] = 8,
    config: Annotated[
        str | None,
        typer.Option(help="Preset, JSON file or official conf.yml; replaces what the file says."),
        ReadsConfig(),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(help="Data set or .npz on which scales are chosen and spikes compared."),
        ReadsData(),
    ] = None,
    per_channel: Annotated[
        bool,
        typer.Option("--per-channel", help="A weight exponent for each output channel."),
    ] = False,
    first_layer: FirstLayer = "full",
    ema: Ema = False,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the report to this file."), Writes()
    ] = None,
) -> None:
    """Quantize a trained model and write it as an HDF5 network file."""
    from sdt_lava.families import load_with_report
    from sdt_lava.quantize.export import export

    start_time = time.perf_counter()
    float_model, import_report = load_with_report(model, config, ema)
    for line in import_report.lines() if import_report else ():
        console.print(line)
    options = SourceOptions(root=data_root, download=download, binning=binning)
    data = calibration_data(calibration, float_model.config, options)
    report = export(float_model, out, bits, data, by_channel=per_channel, first_layer=first_layer)
    if json is not None:
        origin = import_report.to_dict() if import_report else None
        write_json(json, {**report.to_dict(), "import": origin})
    print_report(report)
    size = out.stat().st_size / 1024
    console.print(f"wrote {out} ({size:.0f} KiB) in {time.perf_counter() - start_time:.1f} s")
    place = "" if calibration is None else data_options("--data", calibration, data_root, binning)
    console.print(f"next: {simulation_hint(out, float_model.config.dataset, place)}")


def print_report(report: QuantizationReport) -> None:
    """Print the effects of quantization on weights, neurons and spikes."""
    print_table(_synapse_table(report))
    print_table(_neuron_table(report))
    if report.spikes is not None:
        print_table(_spike_table(report.spikes))
    for line in _sentences(report):
        console.print(line, markup=False)


def _sentences(report: QuantizationReport) -> Iterator[str]:
    measured_names = [row.name for row in report.neurons if row.evidence == "measured"]
    if measured_names:
        yield (
            f"headroom of {', '.join(measured_names)} was measured on {report.calibration}; "
            "all others hold for any input"
        )
    else:
        yield "no 24-bit sum can overflow, for any input"
    if report.choices is not None:
        groups = report.choices.groups
        before, after = (
            sum(getattr(group, field) for group in groups)
            for field in ("default_differing", "differing")
        )
        yield (
            f"scales chosen on {_used(report.choices)}: {after:,} of "
            f"{sum(group.decisions for group in groups):,} spikes differ, teacher-forced; "
            f"{before:,} with the largest weights as clips"
        )
    shifted = [row.name for row in report.synapses if row.exponent < 0 and len(row.shape) == 4]
    if shifted:
        yield (
            f"sums of {', '.join(shifted)} are shifted to the right: on Loihi 2 this takes a relay "
            "with a neuron for each (sdt-lava map says how much), which --first-layer fitted saves"
        )
    yield from report.notes
    if report.spikes is None:
        yield "spikes were not compared with the float model: pass --calibration DATA"
    elif (first := report.spikes.first_layer) is None:
        yield "no spike differs from the float model"
    else:
        yield f"the first difference is in {first.name}: {place_text(first.first)}"


def _used(data: ScaleChoices | SpikeChanges) -> str:
    return data.data if data.samples == data.available else f"{data.samples} of the {data.data}"


def _spike_table(changes: SpikeChanges) -> Table:
    columns = {"layer": "left", "decisions": "right", "teacher-forced": "right"}
    columns |= {"free-running": "right", "first difference": "left"}
    table = make_table(f"Spikes that differ from the float model's: {_used(changes)}", columns)
    for row in changes.layers:
        table.add_row(
            row.name,
            f"{row.decisions:,}",
            f"{row.forced:,} ({row.forced / row.decisions:.3%})",
            f"{row.free:,} ({row.free / row.decisions:.3%})",
            place_text(row.first),
        )
    return table


def _synapse_table(report: QuantizationReport) -> Table:
    table = make_table(
        f"Weights, {report.bits} bit",
        {
            "layer": "left",
            "shape": "left",
            "bits": "right",
            "scale": "right",
            "exponent": "right",
            "clip": "right",
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
            str(row.exponent) if row.exponents == 1 else f"{row.exponents} up to {row.exponent}",
            f"{row.clip:.2f}",
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
