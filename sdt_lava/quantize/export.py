"""Export a model to an HDF5 network file."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdt_lava.ir import Graph
from sdt_lava.quantize.calibration import levels_note, with_levels_of
from sdt_lava.quantize.post_training import quantize
from sdt_lava.quantize.report import QuantizationReport
from sdt_lava.quantize.samples import CalibrationData

if TYPE_CHECKING:
    from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer


def to_network(
    model: SpikeDrivenTransformer,
    bits: int = 8,
    calibration: CalibrationData | None = None,
    *,
    by_channel: bool = False,
    first_layer: str = "full",
) -> tuple[Graph, QuantizationReport]:
    """Fold and quantize a model into an integer graph, without writing a file.

    The parameters and the report are those of `export`.

    Raises
    ------
    ConfigError
        If the model has a part that the integer graph cannot express.
    QuantizationError
        If it does not fit the integer ranges.
    """
    from sdt_lava.families.run import run_model
    from sdt_lava.importers import trace

    def spikes(x: Any) -> Any:
        return run_model(model, x)[1]

    calibrated = model
    if calibration is not None and calibration.choose:
        calibrated = with_levels_of(model, calibration.x, calibration.name)
    note = levels_note(calibrated)
    graph, report = quantize(
        trace(calibrated),
        bits,
        calibration,
        by_channel=by_channel,
        first_layer=first_layer,
        teacher=spikes,
    )
    return graph, report if note is None else replace(report, notes=(*report.notes, note))


def export(
    model: SpikeDrivenTransformer,
    path: str | os.PathLike[str],
    bits: int = 8,
    calibration: CalibrationData | None = None,
    *,
    by_channel: bool = False,
    first_layer: str = "full",
) -> QuantizationReport:
    """Quantize a model and write it as an HDF5 network file.

    Parameters
    ----------
    model : SpikeDrivenTransformer
        Trained model.
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

    Returns
    -------
    QuantizationReport
        The changes to each layer.

    Raises
    ------
    ConfigError, QuantizationError, NetworkFileError
        If the model cannot be expressed, does not fit the integer ranges, or the file cannot be
        written.
    """
    from sdt_lava.io.netx.writer import save_network

    graph, report = to_network(
        model, bits, calibration, by_channel=by_channel, first_layer=first_layer
    )
    save_network(graph, path)
    return report
