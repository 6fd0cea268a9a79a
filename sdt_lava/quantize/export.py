"""The exporter: model in, HDF5 network file out."""

from __future__ import annotations

import os
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdt_lava.graph import Graph
from sdt_lava.model.normalisation import measured_levels
from sdt_lava.quantize.post_training import CalibrationData, quantize
from sdt_lava.quantize.report import QuantizationReport

if TYPE_CHECKING:
    from sdt_lava.model.transformer import SpikeDrivenTransformer


def to_network(
    model: SpikeDrivenTransformer,
    bits: int = 8,
    calibration: CalibrationData | None = None,
    *,
    by_channel: bool = False,
) -> tuple[Graph, QuantizationReport]:
    """Fold and quantize a model into an integer graph, without writing a file.

    Parameters and report are those of `export`.

    Raises
    ------
    ConfigError
        If the model has a part that the integer graph cannot express.
    QuantizationError
        If it does not fit the integer ranges.
    """
    from sdt_lava.model.trace import trace
    from sdt_lava.simulate.run import simulate

    def spikes(x: Any) -> Any:
        return simulate(model, x, "torch").spikes

    entry, note = _entry(model, calibration)
    graph, report = quantize(trace(entry), bits, calibration, by_channel=by_channel, teacher=spikes)
    return graph, report if note is None else replace(report, notes=(*report.notes, note))


def _entry(
    model: SpikeDrivenTransformer, calibration: CalibrationData | None
) -> tuple[SpikeDrivenTransformer, str | None]:
    """Return the model with input levels for the data, if nobody knew any, and a note on them."""
    if not model.assumes_levels:
        return model, None
    config = model.config
    low, high = config.input_range
    if calibration is None or not calibration.choose:
        return model, (
            f"input levels {low}..{high}, {config.input_scale:g} a unit, are assumed: nothing is "
            "known of the data; --calibration DATA chooses them"
        )
    levels, reason = measured_levels(calibration.x)
    config = replace(config, input_scale=levels.scale, input_range=(levels.low, levels.high))
    entry = copy(model)
    entry.config = config
    return entry, (
        f"input levels {levels.low}..{levels.high}, {levels.scale:g} a unit: {reason} in "
        f"{calibration.name}"
    )


def export(
    model: SpikeDrivenTransformer,
    path: str | os.PathLike[str],
    bits: int = 8,
    calibration: CalibrationData | None = None,
    *,
    by_channel: bool = False,
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
        Input on which scales are chosen, ranges measured where they cannot be proved, and spikes
        compared with the model's.
    by_channel : bool
        Let each output channel of a layer have its own weight exponent: finer weights, for which
        the compiler makes one connection of each distinct exponent.

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

    graph, report = to_network(model, bits, calibration, by_channel=by_channel)
    save_network(graph, path)
    return report
