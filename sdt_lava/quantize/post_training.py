"""Quantize after training: choose scales, round, and ensure that no sum overflows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sdt_lava.errors import QuantizationError
from sdt_lava.ir import Graph
from sdt_lava.ir.biases import gather_biases
from sdt_lava.ir.bounds import Extremes, bound_extremes
from sdt_lava.quantize.first_layer import input_before
from sdt_lava.quantize.headroom import fits, headroom
from sdt_lava.quantize.reachable import check_alive
from sdt_lava.quantize.report import (
    QuantizationReport,
    RangedNetwork,
    ScaleChoices,
    build_report,
)
from sdt_lava.quantize.samples import CalibrationData, spread, work_of
from sdt_lava.quantize.search import ScaleSearch
from sdt_lava.quantize.weight_format import MAX_BITS, WeightFormat

if TYPE_CHECKING:
    from sdt_lava.quantize.forced import Teacher

logger = logging.getLogger(__name__)

# Required headroom above the values that calibration data reach: other data may reach more.
CALIBRATION_MARGIN = 1.5
_MOST_ROUNDS = 64
_SYNTHETIC_SAMPLES = 4
# Limit on the multiplications of one measurement, which takes a minute or two.
_MOST_WORK = 5 * 10**11
# Small, because networks that need measuring are large.
_CALIBRATION_BATCH = 4


def synthetic_calibration(graph: Graph, seed: int = 0) -> CalibrationData:
    """Return uniform noise over the input range, a substitute for missing data."""
    source = graph.input
    rng = np.random.default_rng(seed)
    integers = rng.integers(source.low, source.high + 1, (_SYNTHETIC_SAMPLES, *source.shape))
    return CalibrationData(
        integers / source.scale, f"{_SYNTHETIC_SAMPLES} frames of uniform noise (synthetic)"
    )


def quantize(
    float_graph: Graph,
    bits: int = 8,
    calibration: CalibrationData | None = None,
    *,
    by_channel: bool = False,
    first_layer: str = "full",
    teacher: Teacher | None = None,
) -> tuple[Graph, QuantizationReport]:
    """Quantize a float graph to the integer graph.

    Parameters
    ----------
    float_graph : Graph
        As traced from a model.
    bits : int
        Width of a weight, 2 to 8.
    calibration : CalibrationData, optional
        Data on which scales are chosen and ranges are measured that cannot be proved from the
        weights; the report then also counts the spikes that change.
    by_channel : bool
        Whether each output channel has its own weight exponent.
    first_layer : {'full', 'fitted'}
        Whether layers that read an image or counts have weights of full width, for which Loihi 2
        needs a relay, or weights so small that their sums fit.
    teacher : callable, optional
        Function from input to the float model's spikes, ``(T, B, *shape)`` for each LIF. By
        default, the float graph is evaluated.

    Returns
    -------
    graph : Graph
        The integer graph.
    report : QuantizationReport
        The changes to each layer.

    Raises
    ------
    QuantizationError
        If a weight is not finite, the network does not fit the integer ranges, or rounding empties
        a layer or makes a threshold unreachable. The error suggests more bits or full weights only
        if they were tried and help.
    """
    weights = WeightFormat(bits, by_channel, first_layer)
    _check_finite(float_graph)
    gathered = gather_biases(float_graph)
    try:
        return _quantized(gathered, weights, calibration, teacher)
    except QuantizationError as error:
        remedies = (*_what_helps(gathered, weights, calibration), error.remedy)
        remedy = "; or ".join(filter(None, remedies))
        raise QuantizationError(error.where, error.found, error.allowed, remedy) from error


def _what_helps(
    gathered: Graph, weights: WeightFormat, calibration: CalibrationData | None
) -> Iterator[str]:
    """Yield remedies: weight formats with which the network can be quantized."""
    candidates = []
    if weights.first_layer != "full":
        candidates.append(
            (replace(weights, first_layer="full"), "full weights (--first-layer full)")
        )
    if weights.bits < MAX_BITS:
        candidates.append((replace(weights, bits=MAX_BITS), f"{MAX_BITS} bits (--bits {MAX_BITS})"))
    for other, advice in candidates:
        try:
            check_alive(gathered, _settled(gathered, other, calibration)[0].graph)
        except QuantizationError:
            continue
        yield f"take {advice}"


def _settled(
    gathered: Graph, weights: WeightFormat, calibration: CalibrationData | None
) -> tuple[RangedNetwork, CalibrationData]:
    """Return the network at scales that fit its ranges, and the data for measuring ranges."""
    search = ScaleSearch(gathered, weights)
    ranging = _fewer(calibration or synthetic_calibration(gathered), search)
    return _settle(search, ranging), ranging


def _quantized(
    gathered: Graph,
    weights: WeightFormat,
    calibration: CalibrationData | None,
    teacher: Teacher | None,
) -> tuple[Graph, QuantizationReport]:
    ranged, ranging = _settled(gathered, weights, calibration)
    choices, spikes = None, None
    if calibration is not None:
        # Imported here because torch is needed only with data, not for the proof.
        from sdt_lava.quantize.changes import count_changes
        from sdt_lava.quantize.float_run import teacher_of

        teacher = teacher or teacher_of(gathered)
        if calibration.choose:
            ranged, choices = _calibrated(ranged, calibration, ranging, teacher)
        spikes = count_changes(gathered, ranged.graph, calibration, teacher)
    notes = check_alive(gathered, ranged.graph)
    report = build_report(gathered, ranged, ranging.name, choices, spikes, notes)
    return ranged.graph.with_metadata(quantization=report.to_dict()), report


def _fewer(data: CalibrationData, search: ScaleSearch) -> CalibrationData:
    """Return as many samples as can be measured in a few minutes."""
    work = work_of(search.float_graph, search.groups)
    indices = spread(len(data.x), work, _MOST_WORK)
    if len(indices) == len(data.x):
        return data
    return replace(data, x=data.x[indices], name=f"{len(indices)} of the {data.name}")


def _settle(search: ScaleSearch, data: CalibrationData) -> RangedNetwork:
    """Lower scales until every range is proved, or fits the data with a margin."""
    tight: list[str] = []
    for _ in range(_MOST_ROUNDS):
        ranged = _ranged(search)
        if search.towards_proof(ranged.bounds, ranged.unproved):
            continue
        ranged = _measured(ranged, data)
        tight = _tight(ranged)
        if not tight:
            return ranged
        logger.info("lowering scales: %s would overflow", ", ".join(tight))
        headrooms = {name: headroom(ranged.measured[name]) for name in tight}
        search.lower({name: room / CALIBRATION_MARGIN for name, room in headrooms.items()})
    raise QuantizationError(
        f"neurons {tight}",
        "sums leave the 24-bit state at every scale",
        remedy="train with weight decay, or check the calibration data for outliers",
    )


def _calibrated(
    default: RangedNetwork, data: CalibrationData, ranging: CalibrationData, teacher: Teacher
) -> tuple[RangedNetwork, ScaleChoices]:
    """Choose clips on data; a group that overflows in the whole network keeps the default."""
    from sdt_lava.quantize.clip_search import ClipSearch

    clips = ClipSearch(default.search, data.x, teacher, CALIBRATION_MARGIN)
    parts = clips.run()
    while True:
        ranged = _measured(_ranged(default.search.with_parts(parts)), ranging)
        tight = set(_tight(ranged))
        if not tight:
            return ranged, clips.chosen(data.name)
        # Changes in other groups may increase the input of an unchanged group: then revert all.
        rejected = [part for part in parts if tight.intersection(part.groups[0].lifs)] or parts
        clips.revert([part.groups[0].name for part in rejected])
        parts = [part for part in parts if part not in rejected]


def _ranged(search: ScaleSearch) -> RangedNetwork:
    graph = search.graph()
    return RangedNetwork(search, graph, bound_extremes(graph), {})


def _measured(ranged: RangedNetwork, data: CalibrationData) -> RangedNetwork:
    extremes = _measure(ranged.graph, data) if ranged.unproved else {}
    return replace(ranged, measured=extremes)


def _tight(ranged: RangedNetwork) -> list[str]:
    """Return the neurons that exceed the margin required on data."""
    measured = ranged.measured
    return [name for name in ranged.unproved if not fits(measured[name], CALIBRATION_MARGIN)]


def quantize_unmeasured(float_graph: Graph, bits: int = 8, *, first_layer: str = "full") -> Graph:
    """Quantize a float graph without running it.

    Scales are lowered if that proves ranges at little cost, and if the input alone reaches a
    layer's extremes. Deeper ranges that stay unproved are not checked, so the network is suitable
    for counting, checking and mapping; use `quantize` for a network that is to be run.

    Parameters
    ----------
    float_graph : Graph
        As traced from a model.
    bits : int
        Width of a weight, 2 to 8.
    first_layer : {'full', 'fitted'}
        As for `quantize`.

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
    search = ScaleSearch(gather_biases(float_graph), WeightFormat(bits, first_layer=first_layer))
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
    """Return whether all currents of a neuron come directly from the input."""
    synapses = [graph.nodes[name] for name in graph.nodes[lif].inputs]
    return all(input_before(graph, node) is not None for node in synapses)


def _check_finite(graph: Graph) -> None:
    for node in graph:
        for field in ("weight", "bias"):
            values = getattr(node, field, None)
            if isinstance(values, np.ndarray) and not np.isfinite(values).all():
                raise QuantizationError(
                    f"node {node.name!r}", f"{field} with NaN or infinity", "finite values"
                )


def _measure(graph: Graph, data: CalibrationData) -> dict[str, Extremes]:
    # Imported here because torch is needed only for measuring, not for the proof.
    from sdt_lava.engine import Engine
    from sdt_lava.ir.encoding import encode

    engine = Engine(graph, strict=False)
    frames = encode(graph, data.x)
    for start in range(0, frames.shape[1], _CALIBRATION_BATCH):
        engine.run(frames[:, start : start + _CALIBRATION_BATCH], ())
    return engine.extremes
