"""Quantization after training: choose scales, round, and make sure that no sum overflows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import QuantizationError
from sdt_lava.graph import Graph, Lif, Synapse
from sdt_lava.numerics import BIAS_MANTISSA_HIGH, THRESHOLD_LIMIT
from sdt_lava.quantize.biases import gather_biases
from sdt_lava.quantize.bounds import Extremes, bound_extremes
from sdt_lava.quantize.groups import LifGroup, lif_groups, token_count, token_mean_before
from sdt_lava.quantize.integer import initial_scales, quantize_graph, round_scale
from sdt_lava.quantize.report import QuantizationReport, build_report, fits

logger = logging.getLogger(__name__)

# Room demanded above what calibration data reached, because other data may reach further.
CALIBRATION_MARGIN = 1.5
_MOST_ROUNDS = 64
_SYNTHETIC_SAMPLES = 8


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
    scales = initial_scales(gathered, bits)
    shift = _smallest_shift(gathered, scales)
    for _ in range(_MOST_ROUNDS):
        graph = quantize_graph(gathered, scales, bits, shift)
        bounds = bound_extremes(graph)
        unproved = [name for name, extremes in bounds.items() if not fits(extremes)]
        if _can_shift(gathered, shift, unproved):
            # The token mean has precision to spare: shift it into the provable range.
            shift += 1
            continue
        finer = _finer_than_needed(graph, unproved)
        if finer:
            scales, shift = _lower(gathered, scales, shift, finer)
            continue
        measured = _measure(graph, data) if unproved else {}
        tight = [name for name in unproved if not fits(measured[name], CALIBRATION_MARGIN)]
        if not tight:
            report = build_report(gathered, graph, scales, bits, bounds, measured, data.name)
            return graph.with_metadata(quantization=report.to_dict()), report
        logger.info("lowering scales: %s would overflow", ", ".join(tight))
        scales, shift = _lower(gathered, scales, shift, tight)
    raise QuantizationError(
        f"neurons {unproved}",
        "sums leave the 24-bit state at every scale",
        remedy="train with weight decay, or check the calibration data for outliers",
    )


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
    for start in range(0, frames.shape[1], 1):
        engine.run(frames[:, start : start + 1], keep=())
    return engine.extremes


def _smallest_shift(graph: Graph, scales: dict[str, float]) -> int:
    """Return the smallest shift of the token mean at which threshold and bias fit."""
    shift = 0
    for group in lif_groups(graph):
        for name in group.lifs:
            mean = token_mean_before(graph, name)
            if mean is None:
                continue
            scale = scales[group.name] * token_count(graph, mean)
            lif = graph.nodes[name]
            assert isinstance(lif, Lif)
            largest = 0.0 if lif.bias is None else float(np.abs(lif.bias).max(initial=0))
            while (
                lif.threshold * scale / 2.0**shift > THRESHOLD_LIMIT / 2
                or largest * scale / 2.0**shift > BIAS_MANTISSA_HIGH
            ):
                shift += 1
    return shift


def _finer_than_needed(graph: Graph, unproved: list[str]) -> list[str]:
    """Return neurons whose layers use exponents: a proof is worth more than that resolution."""
    return [
        name
        for group in lif_groups(graph)
        if any(_exponent(graph, synapse) for synapse in group.synapses)
        for name in group.lifs
        if name in unproved and token_mean_before(graph, name) is None
    ]


def _exponent(graph: Graph, name: str) -> int:
    node = graph.nodes[name]
    return node.exponent if isinstance(node, Synapse) else 0


def _can_shift(graph: Graph, shift: int, unproved: list[str]) -> bool:
    means = filter(None, (token_mean_before(graph, name) for name in unproved))
    return any(2**shift < token_count(graph, mean) for mean in means)


def _lower(
    graph: Graph, scales: dict[str, float], shift: int, tight: list[str]
) -> tuple[dict[str, float], int]:
    lowered = dict(scales)
    for group in lif_groups(graph):
        behind_mean = {name for name in group.lifs if token_mean_before(graph, name)}
        if behind_mean & set(tight):
            shift += 1
        if (set(group.lifs) - behind_mean) & set(tight):
            lowered[group.name] = _three_quarters(graph, group, scales[group.name])
    return lowered, shift


def _three_quarters(graph: Graph, group: LifGroup, scale: float) -> float:
    return round_scale(graph, group, scale * 0.75)
