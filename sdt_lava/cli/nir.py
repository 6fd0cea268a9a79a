"""``sdt-lava nir net.h5 --out net.nir``, and the reverse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdt_lava.cli.console import console, error_console, simulation_hint
from sdt_lava.cli.data import FirstLayer
from sdt_lava.cli.networks import (
    InputShape,
    NumLayers,
    SkipLayers,
    Timesteps,
    load_file,
    parse_shape,
)
from sdt_lava.cli.places import Reads, ReadsData, Writes
from sdt_lava.errors import ConfigError
from sdt_lava.io.files import write_json
from sdt_lava.support.text import quoted

if TYPE_CHECKING:
    from sdt_lava.ir import Graph
    from sdt_lava.quantize.samples import CalibrationData

_SUFFIX = ".nir"


def nir_command(
    source: Annotated[
        Path, typer.Argument(help="Network file (net.h5), or NIR file (net.nir)."), Reads()
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="NIR file, or network file to write."), Writes()
    ],
    dt: Annotated[
        float | None,
        typer.Option(help="Time step in seconds; by default the NIR file's own, else 0.0001."),
    ] = None,
    timesteps: Timesteps = None,
    input_shape: InputShape = None,
    num_layers: NumLayers = None,
    skip_layers: SkipLayers = 0,
    bits: Annotated[int, typer.Option(help="Bits of a weight when quantizing, 2 to 8.")] = 8,
    first_layer: FirstLayer = "full",
    calibration: Annotated[
        str | None,
        typer.Option(help="Built-in data set or .npz on which ranges are measured."),
        ReadsData(),
    ] = None,
    input_range: Annotated[
        tuple[int, int], typer.Option(help="Smallest and largest integer input.")
    ] = (0, 1),
    input_scale: Annotated[float, typer.Option(help="Integer levels per unit of the input.")] = 1.0,
    requantize: Annotated[
        bool, typer.Option("--requantize", help="Quantize again a file that sdt-lava wrote.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write the report of an import."), Writes()
    ] = None,
) -> None:
    """Convert a network to NIR, or NIR to a network, depending on the suffix .nir."""
    from sdt_lava.cli.export import print_report
    from sdt_lava.io.netx import save_network
    from sdt_lava.quantize.from_nir import NirOptions, load_nir

    if (source.suffix == _SUFFIX) == (out.suffix == _SUFFIX):
        raise ConfigError(
            "files", f"{source} to {out}", f"one of them with the suffix {_SUFFIX}",
            f"name the NIR file NAME{_SUFFIX}",
        )  # fmt: skip
    if out.suffix == _SUFFIX:
        _write(load_file(source, timesteps, input_shape, num_layers, skip_layers), out, dt)
        return
    options = NirOptions(
        timesteps=timesteps, dt=dt, requantize=requantize, bits=bits,
        calibration=_calibration(calibration), input_scale=input_scale, input_range=input_range,
        input_shape=parse_shape(input_shape), first_layer=first_layer,
    )  # fmt: skip
    with error_console.status(f"reading {source}"):
        graph, report = load_nir(source, options)
        save_network(graph, out)
    if report.quantization is not None:
        print_report(report.quantization)
    for line in report.lines():
        console.print(line)
    if json is not None:
        write_json(json, report.to_dict())
    console.print(f"wrote {out}: {len(graph)} nodes, T = {graph.timesteps}")
    console.print(f"next: {simulation_hint(out, '')}")


def _write(graph: Graph, out: Path, dt: float | None) -> None:
    from sdt_lava.io.nir.exporter import save_nir
    from sdt_lava.io.nir.units import DEFAULT_DT

    save_nir(graph, out, DEFAULT_DT if dt is None else dt)
    console.print(f"wrote {out}: {len(graph)} nodes, weights and thresholds as integers")
    back = out.with_name(f"{out.stem}-again.h5")
    console.print(f"next: sdt-lava nir {quoted(out)} --out {quoted(back)}")


# More samples hardly change the extremes.
_CALIBRATION_SAMPLES = 256


def _calibration(name: str | None) -> CalibrationData | None:
    if name is None:
        return None
    from sdt_lava.datasets import load_dataset
    from sdt_lava.quantize.samples import CalibrationData

    data = load_dataset(name, "train")
    data = data.head(min(_CALIBRATION_SAMPLES, len(data)))
    return CalibrationData(data.x, f"{len(data)} samples of {data.name}")
