"""``sdt-lava compare model.pt net.h5 --data digits``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from sdt_lava.backends.backend import find_backend, graph_names
from sdt_lava.backends.result import Result
from sdt_lava.backends.run import simulate
from sdt_lava.cli.console import console, make_table, place_text, print_table, progress_bar
from sdt_lava.cli.data import (
    Binning,
    DataRoot,
    Download,
    Ema,
    Takes,
    load_fitting,
    load_imported,
    model_takes,
    network_takes,
)
from sdt_lava.cli.networks import InputShape, NumLayers, SkipLayers, Timesteps, load_file
from sdt_lava.cli.places import Reads, ReadsConfig, ReadsData, Writes, WritesFigure
from sdt_lava.io.file_kinds import NETWORK, file_kind
from sdt_lava.io.files import write_json
from sdt_lava.report.compare import Comparison, compare

_NETWORK_SUFFIXES = (".h5", ".hdf5", ".net")


def compare_command(
    left: Annotated[
        Path, typer.Argument(help="Checkpoint (float model) or network file."), Reads()
    ],
    right: Annotated[
        Path, typer.Argument(help="Checkpoint (float model) or network file."), Reads()
    ],
    data: Annotated[str, typer.Option(help="Data set name (digits) or .npz file."), ReadsData()],
    samples: Annotated[int | None, typer.Option(min=1, help="Number of samples.")] = None,
    left_backend: Annotated[
        str, typer.Option(help=f"For a network file: one of {', '.join(graph_names())}.")
    ] = "engine",
    right_backend: Annotated[str, typer.Option(help="The same for the second.")] = "engine",
    timesteps: Timesteps = None,
    input_shape: InputShape = None,
    num_layers: NumLayers = None,
    skip_layers: SkipLayers = 0,
    config: Annotated[
        str | None,
        typer.Option(help="Preset or file, for checkpoints without a configuration."),
        ReadsConfig(),
    ] = None,
    ema: Ema = False,
    data_root: DataRoot = None,
    download: Download = False,
    binning: Binning = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the comparison to this file."), Writes()
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw differences by layer to this PNG."),
        WritesFigure(),
    ] = None,
) -> None:
    """Compare two executions layer by layer: share of differing spikes and first difference."""
    from sdt_lava.datasets import SourceOptions

    sides = [
        _Side.load(
            path, backend, _Float(config, ema), (timesteps, input_shape, num_layers, skip_layers)
        )
        for path, backend in ((left, left_backend), (right, right_backend))
    ]
    options = SourceOptions(root=data_root, download=download, binning=binning)
    x = load_fitting(data, "test", sides[0].takes, options, samples).x
    first, second = (side.run(x) for side in sides)
    comparison = compare(first, second)
    names = (f"{left} ({first.backend})", f"{right} ({second.backend})")
    _print(comparison, names)
    if json is not None:
        write_json(json, {"left": names[0], "right": names[1], **comparison.to_dict()})
    if plot is not None:
        from sdt_lava.report.figures import plot_comparison

        plot_comparison(comparison, plot, names)
    for path in filter(None, (json, plot)):
        console.print(f"wrote {path}")


@dataclass(frozen=True)
class _Float:
    """The configuration and set of weights to read from a checkpoint."""

    config: str | None
    ema: bool


@dataclass(frozen=True)
class _Side:
    """One of the two executions: a network file on a back end, or the float model."""

    name: str
    network: Any
    backend: str
    takes: Takes

    @classmethod
    def load(
        cls,
        path: Path,
        backend: str,
        float_model: _Float,
        of_network: tuple[int | None, str | None, int | None, int],
    ) -> _Side:
        find_backend("back end", backend, with_hardware=True).require()
        if path.suffix in _NETWORK_SUFFIXES or file_kind(path) is NETWORK:
            net = load_file(path, *of_network)
            return cls(path.name, net, backend, network_takes(net))
        model = load_imported(path, float_model.config, ema=float_model.ema)
        return cls(path.name, model, "torch", model_takes(model.config))

    def run(self, x: Any) -> Result:
        with progress_bar(f"{self.backend}: {self.name}") as update:
            return simulate(self.network, x, self.backend, on_progress=update)


def _print(comparison: Comparison, names: tuple[str, str]) -> None:
    console.print(f"left  {names[0]}\nright {names[1]}")
    columns = {"layer": "left", "decisions": "right", "differ": "right", "share": "right"}
    rates = {"left rate": "right", "right rate": "right", "first difference": "left"}
    table = make_table(f"Spikes, {comparison.samples} samples", {**columns, **rates})
    for row in comparison.layers:
        table.add_row(
            row.name,
            f"{row.decisions:,}",
            f"{row.differing:,}",
            f"{row.share:.3%}",
            f"{row.left_rate:.4f}",
            f"{row.right_rate:.4f}",
            place_text(row.first),
        )
    print_table(table)
    first = comparison.first_layer
    if first is None:
        console.print("no spike differs")
    else:
        console.print(f"the first difference is in {first.name}: {place_text(first.first)}")
    console.print(
        f"same prediction for {comparison.agreeing_labels} of {comparison.samples} samples"
    )
