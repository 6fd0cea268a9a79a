"""``sdt-sim net.h5 --data digits --backend lava``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from sdt_lava.backends.backend import graph_names
from sdt_lava.backends.default import other_backend
from sdt_lava.backends.result import Result
from sdt_lava.backends.run import simulate
from sdt_lava.cli.console import console, make_table, print_table, progress_bar
from sdt_lava.cli.data import Binning, DataRoot, Download, load_fitting, network_takes
from sdt_lava.cli.engine import Device, Memory, Threads
from sdt_lava.cli.hardware import (
    BoardName,
    Check,
    Convolutions,
    HardwareArguments,
    Measure,
    Record,
    Target,
    choose_backend,
    data_of,
    print_hardware_run,
    usual_backend,
)
from sdt_lava.cli.lowering import SdsaOption, ShortcutOption, chosen_ways
from sdt_lava.cli.networks import InputShape, NumLayers, SkipLayers, Timesteps, load_file
from sdt_lava.cli.places import Reads, ReadsData, Writes, WritesFigure
from sdt_lava.counts.synops import ROLES, SynopsTable
from sdt_lava.datasets.labels import check_classes
from sdt_lava.io.files import write_json

# Numbers of samples, and of values per sample, whose output is printed.
_OUTPUTS_SHOWN, _VALUES_SHOWN = 8, 10


def sim_command(
    network: Annotated[Path, typer.Argument(help="Network file (net.h5)."), Reads()],
    data: Annotated[
        str | None,
        typer.Option(help="Data set name (digits) or .npz file with x, y; else the network's."),
        ReadsData(),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Number of samples, from the start.")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help=f"One of {', '.join(graph_names())}; by default lava where it is installed, "
            "otherwise machine for small networks and engine for large ones."
        ),
    ] = None,
    target: Target = None,
    board: BoardName = None,
    record: Record = "all",
    convolutions: Convolutions = None,
    check: Check = True,
    measure: Measure = True,
    models: Annotated[
        str | None,
        typer.Option(
            help="Lava: ProcessModels; lava, accelerated, fused-blocks or fused. By default "
            "Lava's own, in one process the accelerated ones."
        ),
    ] = None,
    timesteps: Timesteps = None,
    input_shape: InputShape = None,
    num_layers: NumLayers = None,
    skip_layers: SkipLayers = 0,
    timeout: Annotated[
        float | None,
        typer.Option(help="Lava and hardware: limit in seconds for starting and for running."),
    ] = None,
    reset: Annotated[
        bool,
        typer.Option(
            "--reset/--no-reset",
            help="Start every sample from rest, or run them as one continuous stream.",
        ),
    ] = True,
    shortcut: ShortcutOption = None,
    sdsa: SdsaOption = None,
    memory: Memory = None,
    threads: Threads = None,
    device: Device = None,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
    json: Annotated[Path | None, typer.Option(help="Write results to this file."), Writes()] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw spikes and rates to this PNG."), WritesFigure()
    ] = None,
) -> None:
    """Simulate a network file and report accuracy, spikes and synaptic operations."""
    from sdt_lava.datasets import SourceOptions

    arguments = HardwareArguments(target, board, record, convolutions, check, measure)
    # Checked first, because the command cannot continue without hardware or Lava.
    backend, hardware = choose_backend(backend, arguments)
    net = load_file(network, timesteps, input_shape, num_layers, skip_layers)
    options = SourceOptions(root=data_root, download=download, binning=binning)
    name = data_of(net, data)
    dataset = load_fitting(name, "test", network_takes(net), options, samples)
    check_classes(net, dataset.y, dataset.name)
    backend = backend or usual_backend(net)
    with progress_bar(f"{backend}: {network.name}") as update:
        result = simulate(
            net,
            dataset.x,
            backend,
            timeout=timeout,
            on_progress=update,
            reset=reset,
            hardware=hardware,
            **chosen_ways(shortcut, sdsa),
            models=models,
            memory=memory,
            threads=threads,
            device=device,
            count=True,
        )
    summary = summarize(result, dataset.y)
    if json is not None:
        membranes = {name: values.tolist() for name, values in result.membranes.items()}
        write_json(json, {**summary, "membranes": membranes})
    if plot is not None:
        from sdt_lava.report.figures import plot_run

        plot_run(result, plot, labels=dataset.y)
    print_synops(result.synops)
    _print_summary(summary)
    _print_outputs(result)
    console.print(str(result.timing))
    if result.execution is not None:
        console.print(str(result.execution))
    for path in filter(None, (json, plot)):
        console.print(f"wrote {path}")
    if result.measured is not None:
        print_hardware_run(result, dataset.x, network, name)
        return
    console.print(f"next: the same spikes elsewhere: add --backend {other_backend(backend)}")


def summarize(result: Result, y: Any) -> dict[str, Any]:
    """Return the results of a run as plain values."""
    summary: dict[str, Any] = {
        "backend": result.backend,
        "samples": len(result.logits),
        "seconds": result.seconds,
        "reset": result.reset,
        "timing": result.timing.to_dict(),
        "execution": result.execution and result.execution.to_dict(),
        "labels": result.labels.tolist(),
        "logits": result.logits.tolist(),
        "outputs": None if result.outputs is None else result.outputs.swapaxes(0, 1).tolist(),
        "synops": result.synops.to_dict(),
        "measured": None if result.measured is None else result.measured.to_dict(),
    }
    if result.compiled is not None:
        # For the usual lowering, both counts are equal, and counting takes a while.
        counts = result.counts if result.compiled.is_usual else result.compiled_counts
        summary["compiled"] = {
            **asdict(result.compiled.lowering),
            "notes": list(result.compiled.notes),
            "synops_per_inference": counts.synops / counts.samples,
            "graded_messages_per_inference": counts.graded_messages / counts.samples,
        }
    # A single output has no classes.
    if y is not None and result.logits[0].size > 1:
        summary["accuracy"] = float(np.mean(result.labels == np.asarray(y)))
    return summary


def _print_outputs(result: Result) -> None:
    """Print the decoded outputs of the first samples at the last step, in real units.

    The output of neurons that never fire is their membrane, in units of a weight.
    """
    if result.outputs is not None:
        outputs = result.outputs[-1]
    elif result.net is not None and result.is_membrane:
        outputs = result.logits
    else:
        return
    samples = len(outputs)
    for index in range(min(samples, _OUTPUTS_SHOWN)):
        values = outputs[index].ravel()
        ellipsis = " ..." if values.size > _VALUES_SHOWN else ""
        text = " ".join(f"{value:.6g}" for value in values[:_VALUES_SHOWN])
        console.print(f"sample {index}: output {text}{ellipsis}")
    if samples > _OUTPUTS_SHOWN:
        console.print(f"... and {samples - _OUTPUTS_SHOWN} more; --json has every step")


def print_synops(synops: SynopsTable) -> None:
    """Print the spikes and synaptic operations of each population."""
    table = make_table(
        f"Spikes sent and synaptic operations received, sum over {synops.samples} samples of "
        f"{synops.timesteps} steps",
        {
            "layer": "left",
            "kind": "left",
            "neurons": "right",
            "spikes": "right",
            "rate": "right",
            **dict.fromkeys(ROLES, "right"),
            "synops": "right",
        },
    )
    for row in synops.layers:
        counts = [f"{getattr(row, role):,}" if getattr(row, role) else "" for role in ROLES]
        table.add_row(
            row.name,
            row.kind,
            f"{row.neurons:,}",
            f"{row.events:,}",
            f"{row.firing_rate:.4f}",
            *counts,
            f"{row.synops:,}",
        )
    totals = [f"{synops.by_role[role]:,}" for role in ROLES]
    table.add_section()
    table.add_row("total", "", "", "", "", *totals, f"{synops.total:,}")
    print_table(table)


def _print_summary(summary: dict[str, Any]) -> None:
    if "accuracy" in summary:
        console.print(f"accuracy {summary['accuracy']:.2%} on {summary['samples']} samples")
    if "compiled" in summary:
        ways = {way for name in ("shortcut", "sdsa") for way in summary["compiled"][name].values()}
        console.print(
            f"{summary['compiled']['synops_per_inference']:,.0f} synaptic operations per inference "
            f"as compiled ({', '.join(sorted(ways)) or 'no shortcuts'})",
        )
    per_inference = summary["synops"]["per_inference"]
    console.print(
        f"{per_inference:,.0f} synaptic operations per inference, "
        f"{summary['seconds']:.1f} s on back end {summary['backend']}"
    )
