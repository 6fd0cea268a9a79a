"""``sdt-lava report net.h5 --data digits --out report/``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdt_lava.backends.backend import find_backend, simulator_names
from sdt_lava.cli.console import console, progress_bar
from sdt_lava.cli.data import Binning, DataRoot, Download, load_fitting, network_takes
from sdt_lava.cli.networks import InputShape, NumLayers, SkipLayers, Timesteps, parse_shape
from sdt_lava.cli.places import Reads, ReadsData, WritesInto
from sdt_lava.cli.runtime import RuntimeOption, load_needing
from sdt_lava.hardware.targets import BUILT_IN_TARGETS
from sdt_lava.io.output_files import REPORT_FILES
from sdt_lava.report.energy_model import ENERGY_MODELS, load_energy_model
from sdt_lava.support.text import quoted


def report_command(
    network: Annotated[Path, typer.Argument(help="Network file (net.h5)."), Reads()],
    data: Annotated[
        str, typer.Option(help="Data set name (digits) or .npz file with x, y."), ReadsData()
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write."), WritesInto(REPORT_FILES)
    ],
    samples: Annotated[int | None, typer.Option(min=1, help="Number of samples.")] = None,
    backend: Annotated[
        str, typer.Option(help=f"One of {', '.join(simulator_names())}.")
    ] = "engine",
    compare_with: Annotated[
        list[str] | None,
        typer.Option(help="Back end that runs the first samples again; may be repeated."),
    ] = None,
    compare_samples: Annotated[int, typer.Option(min=1, help="How many samples it runs.")] = 2,
    model: Annotated[
        list[str] | None,
        typer.Option(help=f"Costs: {', '.join(ENERGY_MODELS)}, or a .toml file; may be repeated."),
        Reads(ENERGY_MODELS),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(help="Layers whose spikes are drawn: a name or pattern; may be repeated."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Map to the cores of a target: loihi2, or a .toml file."),
        Reads(BUILT_IN_TARGETS),
    ] = None,
    board: Annotated[str | None, typer.Option(help="Board of the target.")] = None,
    runtime: RuntimeOption = None,
    timesteps: Timesteps = None,
    input_shape: InputShape = None,
    num_layers: NumLayers = None,
    skip_layers: SkipLayers = 0,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="Also write figures as PNG and SVG.")
    ] = False,
) -> None:
    """Run a network and write a report page that explains every number."""
    from sdt_lava.datasets import SourceOptions
    from sdt_lava.evaluate.identity import network_digest
    from sdt_lava.io.netx.reader import load_with_content
    from sdt_lava.report.page import ReportOptions, collect_report, write_report

    other_backends = tuple(compare_with or ["reference"])
    for name in (backend, *other_backends):
        find_backend("back end", name).require()
    options = ReportOptions(
        backend=backend,
        others=other_backends,
        compared_samples=compare_samples,
        models=tuple(load_energy_model(name) for name in model or ENERGY_MODELS),
        layers=tuple(layers or ["*"]),
        target=target,
        board=board,
        runtime=load_needing(runtime, "--target", target),
    )
    net, content = load_with_content(
        network, timesteps, parse_shape(input_shape), num_layers, skip_layers
    )
    source = SourceOptions(root=data_root, download=download, binning=binning)
    dataset = load_fitting(data, "test", network_takes(net), source, samples)
    run = {"network": network.name, "sha256": network_digest(content), "data": data}
    with progress_bar(f"report: {network.name}") as update:
        report = collect_report(
            net, dataset.x, dataset.y, run, options, lambda stage, done, total: update(done, total)
        )
    page = write_report(report, out, figures=figures)
    if report.accuracy is not None:
        console.print(f"accuracy {report.accuracy:.2%} on {len(dataset.x)} samples")
    console.print(
        f"{report.counts.synops / report.counts.samples:,.0f} synaptic operations a sample"
    )
    for row in report.differences:
        console.print(f"{row.backend}: {row.differing} of {row.decisions:,} spike decisions differ")
    console.print(f"wrote {page}, report.json and tables")
    console.print(f"next: open {quoted(page)} in a browser")
