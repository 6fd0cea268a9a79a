"""``sdt-lava sweep model.pt --data digits --bits 4,6,8 --out runs/sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdt_lava.cli.console import console, make_table, print_plain_json, print_table
from sdt_lava.cli.data import Binning, DataRoot, Download, Ema, load_imported
from sdt_lava.cli.evaluate import resumable
from sdt_lava.cli.export import calibration_data
from sdt_lava.cli.places import Reads, ReadsConfig, ReadsData, WritesInto
from sdt_lava.datasets import SourceOptions
from sdt_lava.errors import ConfigError
from sdt_lava.io.output_files import SWEEP_FILES
from sdt_lava.report.energy_model import ENERGY_MODELS, load_energy_model
from sdt_lava.support.text import quoted

if TYPE_CHECKING:
    from sdt_lava.evaluate.sweep import Sweep


def sweep_command(
    model: Annotated[
        Path, typer.Argument(help="Checkpoint: model.pt, or an official one."), Reads()
    ],
    data: Annotated[str, typer.Option(help="Data set name or .npz file with x, y."), ReadsData()],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the results."), WritesInto(SWEEP_FILES)
    ],
    bits: Annotated[str, typer.Option(help="Widths of weights, 2 to 8.")] = "8,6,4",
    shortcut: Annotated[str, typer.Option(help="Of relay, unrolled, auto.")] = "relay,unrolled",
    sdsa: Annotated[
        str, typer.Option(help="Of and, column-gate, columnless, single-gate, auto.")
    ] = "and",
    config: Annotated[
        str | None,
        typer.Option(help="Preset or file, for checkpoints without a configuration."),
        ReadsConfig(),
    ] = None,
    ema: Ema = False,
    calibration: Annotated[
        str | None,
        typer.Option(help="Data set or .npz on which ranges are measured."),
        ReadsData(),
    ] = None,
    part: Annotated[str, typer.Option(help="Part of the data set: test or train.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Evaluate this many samples.")] = None,
    counted_samples: Annotated[
        int, typer.Option(min=1, help="Samples on which the work of lowerings is counted.")
    ] = 64,
    cost: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help=f"Costs: {', '.join(ENERGY_MODELS)}, or a .toml file; may be repeated."
        ),
        Reads(ENERGY_MODELS),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue, or add widths and lowerings.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, help="Local processes; 1 evaluates in this one.")
    ] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler, tcp://host:8786.")
    ] = None,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare widths of weights and lowerings of a model: accuracy, work, energy, size."""
    from sdt_lava.evaluate import EvaluationOptions
    from sdt_lava.evaluate.sweep import SweepOptions, sweep

    source = SourceOptions(root=data_root, download=download, binning=binning)
    options = SweepOptions(
        bits=tuple(_number("--bits", text) for text in _split(bits)),
        shortcuts=_split(shortcut),
        sdsa=_split(sdsa),
        counted_samples=counted_samples,
        evaluation=EvaluationOptions(
            part=part,
            source=source,
            limit=limit,
            resume=resume,
            models=tuple(load_energy_model(name) for name in cost or ENERGY_MODELS),
        ),
    )
    network_model = load_imported(model, config, ema=ema)
    calibration_samples = calibration_data(calibration, network_model.config, source)
    message = f"what is finished is in {out}"
    with resumable("sweep", message, workers, scheduler) as (executor, update):
        result = sweep(
            network_model, data, out, options,
            calibration=calibration_samples, executor=executor, on_progress=update,
        )  # fmt: skip
    if json:
        print_plain_json(result.to_dict())
        return
    _print(result)
    console.print(f"wrote {out / 'sweep.json'}, sweep.csv and, with labels, pareto.png and .svg")
    best = max(result.rows, key=lambda row: row.accuracy or 0.0, default=None)
    if best is not None:
        network = out / f"{best.bits}-bit" / "net.h5"
        console.print(f"next: sdt-lava report {quoted(network)} --data {quoted(data)} --out report")


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _number(option: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise ConfigError(option, repr(text), "numbers, as in 8,6,4")
    return int(text)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


def _print(result: Sweep) -> None:
    columns = dict.fromkeys(("bits", "top-1", "top-5"), "right")
    columns |= dict.fromkeys(("shortcut", "sdsa"), "left")
    sizes = ("synops", "neurons", "synapses", "weights", "processes", "latency", "KiB")
    columns |= dict.fromkeys((*sizes, *(f"{name} [nJ]" for name in result.models)), "right")
    table = make_table(
        f"Accuracy on {result.samples} samples; work of one, mean of {result.counted_samples}",
        columns,
    )
    fronts = {name: result.pareto(name) for name in result.models}
    for row in result.rows:
        energies = [
            f"{energy:,.1f}{' *' if row in fronts[name] else ''}"
            for name, energy in row.energy_nj.items()
        ]
        table.add_row(
            str(row.bits), _percent(row.accuracy), _percent(row.top5), row.shortcut, row.sdsa,
            f"{row.synops:,.0f}", f"{row.neurons:,}", f"{row.synapses:,}", f"{row.weights:,}",
            str(row.processes), str(row.latency), f"{row.file_bytes / 1024:,.0f}", *energies,
        )  # fmt: skip
    print_table(table)
    if any(fronts.values()):
        console.print("* no other row is at least as accurate with no more energy")
    impossible: dict[tuple[str, str, str], list[str]] = {}
    for entry in result.refused:
        lowering = (entry["shortcut"], entry["sdsa"], entry["reason"])
        impossible.setdefault(lowering, []).append(str(entry["bits"]))
    for (shortcut, sdsa, reason), widths in impossible.items():
        name = f"{', '.join(widths)} bit, {shortcut}, {sdsa}"
        console.print(f"not possible: {name}: {reason}")
    missing = {
        (model, operation)
        for row in result.rows
        for model, operations in row.not_charged.items()
        for operation in operations
    }
    for model, operation in sorted(missing):
        console.print(f"{model} does not charge {operation}")
