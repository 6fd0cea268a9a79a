"""The exporter: model in, HDF5 network file out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sdt_lava.graph import Graph
from sdt_lava.quantize.post_training import CalibrationData, quantize
from sdt_lava.quantize.report import QuantizationReport

if TYPE_CHECKING:
    from sdt_lava.model.transformer import SpikeDrivenTransformer


def to_network(
    model: SpikeDrivenTransformer, bits: int = 8, calibration: CalibrationData | None = None
) -> tuple[Graph, QuantizationReport]:
    """Fold and quantize a model into an integer graph, without writing a file.

    Raises
    ------
    ConfigError
        If the model has a part that the integer graph cannot express.
    QuantizationError
        If it does not fit the integer ranges.
    """
    from sdt_lava.model.trace import trace

    return quantize(trace(model), bits, calibration)


def export(
    model: SpikeDrivenTransformer,
    path: str | os.PathLike[str],
    bits: int = 8,
    calibration: CalibrationData | None = None,
) -> QuantizationReport:
    """Quantize a model and write it as an HDF5 network file.

    Parameters
    ----------
    model : SpikeDrivenTransformer
        Trained model.
    path : path-like
        File to write; an existing one is replaced at the very end.
    bits : int
        Width of a weight, 2 to 8.
    calibration : CalibrationData, optional
        Input on which ranges are measured where they cannot be proved.

    Returns
    -------
    QuantizationReport
        What was done, per layer.

    Raises
    ------
    ConfigError, QuantizationError, NetworkFileError
        If the model cannot be expressed, does not fit, or the file cannot be written.
    """
    from sdt_lava.netx.writer import save_network

    graph, report = to_network(model, bits, calibration)
    save_network(graph, path)
    return report
