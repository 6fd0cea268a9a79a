"""Quantization after training: choose scales, round, and make sure that no sum overflows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import QuantizationError
from sdt_lava.graph import Graph
from sdt_lava.quantize.biases import gather_biases
from sdt_lava.quantize.bounds import Extremes, bound_extremes
from sdt_lava.quantize.report import QuantizationReport, build_report, fits, headroom
from sdt_lava.quantize.search import ScaleSearch

logger = logging.getLogger(__name__)

# Room demanded above what calibration data reached, because other data may reach further.
CALIBRATION_MARGIN = 1.5
_MOST_ROUNDS = 64
_SYNTHETIC_SAMPLES = 4
# Few at once: networks that need measuring are large.
_CALIBRATION_BATCH = 4


@dataclass(frozen=True)
class CalibrationData:
    """Input on which ranges are measured when they cannot be proved.

    Parameters
    ----------
    x : ndarray
        ``(B, C, H, W)`` or ``(B, T, C, H, W)``, in the units of the model's input.
    name : str
        What it is, for the report.
    """

    x: NDArray[np.floating[Any]]
    name: str


def synthetic_calibration(graph: Graph, seed: int = 0) -> CalibrationData:
    """Return uniform noise over the input range: a stand-in when no data is given."""
    entry = graph.input
    rng = np.random.default_rng(seed)
    integers = rng.integers(entry.low, entry.high + 1, (_SYNTHETIC_SAMPLES, *entry.shape))
    return CalibrationData(
        integers / entry.scale, f"{_SYNTHETIC_SAMPLES} frames of uniform noise (synthetic)"
    )


def quantize(
    float_graph: Graph, bits: int = 8, calibration: CalibrationData | None = None
) -> tuple[Graph, QuantizationReport]:
    """Turn a float graph into the integer graph.

    Parameters
    ----------
    float_graph : Graph
        As traced from a model.
    bits : int
        Width of a weight, 2 to 8.
    calibration : CalibrationData, optional
        Used only where the range of a sum cannot be proved from the weights.

    Returns
    -------
    graph : Graph
        The integer graph.
    report : QuantizationReport
        What was done, per layer.

    Raises
    ------
    QuantizationError
        If a weight is not finite or the network does not fit the integer ranges.
    """
    _check_finite(float_graph)
    gathered = gather_biases(float_graph)
    data = calibration or synthetic_calibration(gathered)
    search = ScaleSearch(gathered, bits)
    for _ in range(_MOST_ROUNDS):
        graph = search.graph()
        bounds = bound_extremes(graph)
        unproved = [name for name, extremes in bounds.items() if not fits(extremes)]
        if search.towards_proof(bounds, unproved):
            continue
        measured = _measure(graph, data) if unproved else {}
        tight = [name for name in unproved if not fits(measured[name], CALIBRATION_MARGIN)]
        if not tight:
            report = build_report(gathered, graph, search.scales, bits, bounds, measured, data.name)
            return graph.with_metadata(quantization=report.to_dict()), report
        logger.info("lowering scales: %s would overflow", ", ".join(tight))
        search.lower({name: headroom(measured[name]) / CALIBRATION_MARGIN for name in tight})
    raise QuantizationError(
        f"neurons {unproved}",
        "sums leave the 24-bit state at every scale",
        remedy="train with weight decay, or check the calibration data for outliers",
    )


def quantize_unmeasured(float_graph: Graph, bits: int = 8) -> Graph:
    """Turn a float graph into an integer graph without running it.

    Scales are lowered where that proves ranges at little cost, and where the input alone reaches
    a layer's extremes. Deeper ranges that stay unproved are not looked at, so the network is good
    for counting, checking and mapping; a network that is to be run needs `quantize`.

    Parameters
    ----------
    float_graph : Graph
        As traced from a model.
    bits : int
        Width of a weight, 2 to 8.

    Returns
    -------
    Graph
        The integer graph, without a quantization report.

    Raises
    ------
    QuantizationError
        If a weight is not finite or the network does not fit the integer ranges.
    """
    _check_finite(float_graph)
    search = ScaleSearch(gather_biases(float_graph), bits)
    for _ in range(_MOST_ROUNDS):
        graph = search.graph()
        bounds = bound_extremes(graph)
        unproved = [name for name, extremes in bounds.items() if not fits(extremes)]
        if search.towards_proof(bounds, unproved):
            continue
        certain = {name: headroom(bounds[name]) for name in unproved if _reads_input(graph, name)}
        if not certain:
            return graph
        search.lower(certain)
    raise QuantizationError(
        f"neurons {list(certain)}", "sums leave the 24-bit state at every scale", "a finer input"
    )


def _reads_input(graph: Graph, lif: str) -> bool:
    """Tell whether all currents of a neuron come straight from the input."""
    synapses = [graph.nodes[name] for name in graph.nodes[lif].inputs]
    return all(node.inputs == (graph.input.name,) for node in synapses)


def _check_finite(graph: Graph) -> None:
    for node in graph:
        for field in ("weight", "bias"):
            values = getattr(node, field, None)
            if isinstance(values, np.ndarray) and not np.isfinite(values).all():
                raise QuantizationError(
                    f"node {node.name!r}", f"{field} with NaN or infinity", "finite values"
                )


def _measure(graph: Graph, data: CalibrationData) -> dict[str, Extremes]:
    # Imported here: torch is needed for measuring only, not for the proof.
    from sdt_lava.simulate.engine import Engine
    from sdt_lava.simulate.inputs import encode

    engine = Engine(graph, strict=False)
    frames = encode(graph, data.x)
    for start in range(0, frames.shape[1], _CALIBRATION_BATCH):
        engine.run(frames[:, start : start + _CALIBRATION_BATCH], keep=())
    return engine.extremes
