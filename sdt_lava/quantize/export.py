"""Export a model to an HDF5 network file."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdt_lava.datasets.normalisation import measured_levels
from sdt_lava.ir import Graph
from sdt_lava.quantize.calibration import levels_note, with_levels_of
from sdt_lava.quantize.post_training import quantize
from sdt_lava.quantize.report import QuantizationReport
from sdt_lava.quantize.samples import CalibrationData

if TYPE_CHECKING:
    from torch import nn

    from sdt_lava.quantize.forced import Teacher


def to_network(
    model: nn.Module,
    bits: int = 8,
    calibration: CalibrationData | None = None,
    *,
    by_channel: bool = False,
    first_layer: str = "full",
    example: Any = None,
    axes: str | None = None,
    timesteps: int | None = None,
) -> tuple[Graph, QuantizationReport]:
    """Fold and quantize a model into an integer graph, without writing a file.

    The parameters and the report are those of `export`.

    Raises
    ------
    ConfigError, TraceError
        If the model has a part that the integer graph cannot express.
    QuantizationError
        If it does not fit the integer ranges.
    """
    from sdt_lava.families.model import FamilyModel

    if isinstance(model, FamilyModel):
        graph, teacher, notes = _of_ours(model, calibration)
    else:
        graph, teacher, notes = _of_any(model, calibration, example, axes, timesteps)
    network, report = quantize(
        graph,
        bits,
        calibration,
        by_channel=by_channel,
        first_layer=first_layer,
        teacher=teacher,
    )
    return network, replace(report, notes=(*report.notes, *notes)) if notes else report


def _of_ours(
    model: Any, calibration: CalibrationData | None
) -> tuple[Graph, Teacher | None, list[str]]:
    """Trace a network whose configuration says what its input is."""
    from sdt_lava.families.run import run_model
    from sdt_lava.importers import trace

    def spikes(x: Any) -> Any:
        return run_model(model, x)[1]

    calibrated = model
    if calibration is not None and calibration.choose:
        calibrated = with_levels_of(model, calibration.x, calibration.name)
    note = levels_note(calibrated)
    return trace(calibrated), spikes, [] if note is None else [note]


def _of_any(
    model: nn.Module,
    calibration: CalibrationData | None,
    example: Any,
    axes: str | None,
    timesteps: int | None,
) -> tuple[Graph, Teacher | None, list[str]]:
    """Trace a network of somebody else's, on an example or on the calibration data."""
    from sdt_lava.importers import trace

    levels = None
    if calibration is not None:
        measured, _ = measured_levels(calibration.x)
        levels = measured.scale, measured.low, measured.high
        example = calibration.x if example is None else example
    graph = trace(model, example, axes=axes, timesteps=timesteps, levels=levels)
    entry = graph.input
    notes = [f"input levels {entry.low}..{entry.high}, {entry.scale:g} a unit, fit the example"]
    for title, names in graph.metadata.get("trace", {}).items():
        notes.append(f"{title}: {', '.join(names)}")
    return graph, None, notes


def export(
    model: nn.Module,
    path: str | os.PathLike[str],
    bits: int = 8,
    calibration: CalibrationData | None = None,
    *,
    by_channel: bool = False,
    first_layer: str = "full",
    example: Any = None,
    axes: str | None = None,
    timesteps: int | None = None,
) -> QuantizationReport:
    """Quantize a model and write it as an HDF5 network file.

    Parameters
    ----------
    model : nn.Module
        Trained model: one of this package, or any network that `sdt_lava.trace` understands.
    path : path-like
        File to write; an existing file is replaced only after the new one is complete.
    bits : int
        Width of a weight, 2 to 8.
    calibration : CalibrationData, optional
        Input data on which scales are chosen, ranges are measured if they cannot be proved, and
        spikes are compared with the model's.
    by_channel : bool
        Whether each output channel of a layer has its own weight exponent: weights are finer, but
        the compiler creates one connection for each distinct exponent.
    first_layer : {'full', 'fitted'}
        Whether layers that read an image or counts have weights of full width, for which Loihi 2
        needs a relay with a neuron for each of their sums, or weights so small that their sums fit.
    example : array_like or Tensor, optional
        Input on which a network that is not of this package is traced; by default the calibration
        data.
    axes, timesteps : str and int, optional
        Axes of the example, and the number of steps of a network that computes one step a call:
        see `sdt_lava.trace`.

    Returns
    -------
    QuantizationReport
        The changes to each layer.

    Raises
    ------
    ConfigError, TraceError, QuantizationError, NetworkFileError
        If the model cannot be expressed, does not fit the integer ranges, or the file cannot be
        written.
    """
    from sdt_lava.io.netx.writer import save_network

    graph, report = to_network(
        model,
        bits,
        calibration,
        by_channel=by_channel,
        first_layer=first_layer,
        example=example,
        axes=axes,
        timesteps=timesteps,
    )
    save_network(graph, path)
    return report
