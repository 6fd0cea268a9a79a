"""``sdt-lava evaluate net.h5 --data imagenet --out runs/eval``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from sdt_lava.backends.backend import find_backend, simulator_names
from sdt_lava.backends.lava.process_guard import Terminated
from sdt_lava.cli.console import (
    console,
    error_console,
    make_table,
    print_plain_json,
    print_table,
    progress_bar,
)
from sdt_lava.cli.data import Binning, DataRoot, Download
from sdt_lava.cli.engine import Device, Memory
from sdt_lava.cli.networks import InputShape, NumLayers, SkipLayers, Timesteps, parse_shape
from sdt_lava.cli.places import Reads, ReadsData, WritesInto
from sdt_lava.datasets import SourceOptions
from sdt_lava.io.output_files import EVALUATION_FILES
from sdt_lava.report.energy_model import ENERGY_MODELS, load_energy_model
from sdt_lava.support.text import quoted

_MOST_LISTED = 10


def evaluate_command(
    network: Annotated[Path, typer.Argument(help="Network file (net.h5)."), Reads()],
    data: Annotated[str, typer.Option(help="Data set name or .npz file with x, y."), ReadsData()],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder of the results."),
        WritesInto(EVALUATION_FILES),
    ],
    backend: Annotated[
        str, typer.Option(help=f"One of {', '.join(simulator_names())}.")
    ] = "engine",
    part: Annotated[str, typer.Option(help="Part of the data set: test or train.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Evaluate this many samples.")] = None,
    indices: Annotated[
        str | None, typer.Option(help="Samples by number, such as 0-99,250,300-310.")
    ] = None,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="In random order, before the limit applies.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the order.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an evaluation that was interrupted.")
    ] = False,
    on_bad: Annotated[
        str, typer.Option(help="Samples that cannot be read: stop, or list and skip them.")
    ] = "stop",
    shard_size: Annotated[int, typer.Option(min=1, help="Samples that are stored together.")] = 16,
    workers: Annotated[
        int, typer.Option(min=1, help="Local processes; 1 evaluates in this one.")
    ] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler, tcp://host:8786.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help=f"Costs: {', '.join(ENERGY_MODELS)}, or a .toml file; may be repeated."),
        Reads(ENERGY_MODELS),
    ] = None,
    timesteps: Timesteps = None,
    input_shape: InputShape = None,
    num_layers: NumLayers = None,
    skip_layers: SkipLayers = 0,
    memory: Memory = None,
    device: Device = None,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate a whole data set; results are stored continuously, so that it can be resumed."""
    from sdt_lava.evaluate import EvaluationOptions, evaluate

    find_backend("--backend", backend).require()
    options = EvaluationOptions(
        backend=backend,
        part=part,
        source=SourceOptions(root=data_root, download=download, binning=binning),
        indices=indices,
        shuffle_seed=seed if shuffle else None,
        limit=limit,
        on_bad=on_bad,
        shard_size=shard_size,
        resume=resume,
        memory=memory,
        device=device,
        models=tuple(load_energy_model(name) for name in model or ENERGY_MODELS),
        timesteps=timesteps,
        input_shape=parse_shape(input_shape),
        num_layers=num_layers,
        skip_layers=skip_layers,
    )
    message = f"finished shards are in {out}"
    with resumable("evaluate", message, workers, scheduler) as (executor, update):
        evaluation = evaluate(network, data, out, options, executor=executor, on_progress=update)
    if json:
        print_plain_json(evaluation.to_dict())
        return
    _print(evaluation)
    console.print(f"wrote {out / 'results.json'} and predictions.csv")
    samples = min(100, max(1, len(evaluation.results)))
    console.print(
        f"next: sdt-lava report {quoted(network)} --data {quoted(data)} --samples {samples} "
        "--out report"
    )


@contextmanager
def resumable(title: str, kept: str, workers: int, scheduler: str | None) -> Iterator[Any]:
    """Yield the executor and the progress function; print ``kept`` if interrupted."""
    try:
        with _executor(workers, scheduler) as executor, progress_bar(title) as update:
            yield executor, update
    except (KeyboardInterrupt, Terminated):
        error_console.print(f"{kept}: repeat the command with --resume")
        raise


def _executor(workers: int, scheduler: str | None) -> Any:
    """Return a context that yields the executor: None for this process, or that of a cluster."""
    if workers == 1 and scheduler is None:
        return nullcontext(None)
    from sdt_lava.evaluate.cluster import ClusterOptions, cluster_executor

    return cluster_executor(ClusterOptions(workers, scheduler))


def _print(evaluation: Any) -> None:
    from sdt_lava.evaluate.sample import TOP

    first = evaluation.accuracy()
    if first is not None:
        top = evaluation.accuracy(TOP)
        console.print(
            f"top-1 {first:.2%}, top-{TOP} {top:.2%} on {len(evaluation.good)} samples",
            style="bold",
        )
    table = make_table(
        "A sample", {"operation": "left", "mean": "right", "std": "right", "total": "right"}
    )
    for name, row in evaluation.statistics().items():
        if row["total"]:
            table.add_row(name, f"{row['mean']:,.1f}", f"{row['std']:,.1f}", f"{row['total']:,}")
    print_table(table)
    for name, energy in evaluation.energy().items():
        missing = ", ".join(energy["not_charged"])
        note = f" (not charged: {missing})" if missing else ""
        console.print(f"{name}: {energy['per_sample_nj']:,.1f} nJ a sample{note}")
    bad = evaluation.bad
    for row in bad[:_MOST_LISTED]:
        console.print(f"skipped sample {row.index}: {row.error}")
    if len(bad) > _MOST_LISTED:
        console.print(f"skipped {len(bad)} samples in all: see results.json")
