"""What quantization did, layer by layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sdt_lava.graph import Graph, Lif, Readout, Synapse
from sdt_lava.numerics import (
    ACTIVATION_LIMIT,
    ACTIVATION_SHIFT,
    STATE_LIMIT,
)
from sdt_lava.quantize.bounds import Extremes
from sdt_lava.quantize.groups import lif_groups
from sdt_lava.quantize.integer import WeightFormat, effective_weight


@dataclass(frozen=True)
class SynapseReport:
    """Rounding of one layer of weights.

    Parameters
    ----------
    name : str
        Layer.
    shape : tuple of int
        Shape of the weights.
    bits : int
        Width of a weight.
    scale : float
        Integer units per unit of the float weights, exponent included.
    exponent : int
        Weight exponent: the sums are multiplied by ``2 ** exponent``.
    largest_weight : int
        Largest magnitude after rounding.
    clipped_share : float
        Share of the weights that were clipped.
    rounding_error : float
        Root mean square of the rounding error over that of the weights.
    """

    name: str
    shape: tuple[int, ...]
    bits: int
    scale: float
    exponent: int
    largest_weight: int
    clipped_share: float
    rounding_error: float


@dataclass(frozen=True)
class NeuronReport:
    """Thresholds, biases and room of one population of neurons.

    Parameters
    ----------
    name : str
        Population.
    shape : tuple of int
        Shape of the population.
    scale : float
        Integer units per unit of the float membrane.
    threshold : int
        Threshold mantissa.
    bias_low, bias_high, bias_exponent : int
        Range of the bias mantissas and their exponent.
    headroom : float
        Largest value that the 24-bit state holds, over the largest that occurs.
    evidence : str
        'proved' for any input, or 'measured' on the calibration data.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    threshold: int
    bias_low: int
    bias_high: int
    bias_exponent: int
    headroom: float
    evidence: str


@dataclass(frozen=True)
class QuantizationReport:
    """The whole record of a quantization.

    Parameters
    ----------
    bits : int
        Width of a weight.
    calibration : str
        What the measured headroom was measured on; empty if everything is proved.
    synapses, neurons : tuple
        A row for each layer of weights and each population of neurons.
    """

    bits: int
    calibration: str
    synapses: tuple[SynapseReport, ...]
    neurons: tuple[NeuronReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def fits(extremes: Extremes, margin: float = 1.0) -> bool:
    """Tell whether values stay within the 24-bit state, times a safety margin."""
    return headroom(extremes) >= margin


def headroom(extremes: Extremes) -> float:
    """Return how often the largest values fit into the 24-bit state."""
    return min(
        ACTIVATION_LIMIT / max(extremes.activation, 1),
        STATE_LIMIT / max(extremes.membrane, 1 << ACTIVATION_SHIFT),
    )


def build_report(
    float_graph: Graph,
    graph: Graph,
    scales: dict[str, float],
    bits: int,
    bounds: dict[str, Extremes],
    measured: dict[str, Extremes],
    calibration: str,
) -> QuantizationReport:
    """Compare the float graph with the integer graph and collect the rows."""
    scale_of = {
        name: scales.get(group.name, 1.0)
        for group in lif_groups(float_graph)
        for name in (*group.lifs, *group.synapses)
    }
    synapses = [
        _synapse_row(float_graph, node, scale_of.get(node.name, 1.0), bits)
        for node in graph
        if isinstance(node, Synapse)
    ]
    neurons = [
        _neuron_row(graph, node, float_graph, bounds, measured)
        for node in graph
        if isinstance(node, Lif)
    ]
    return QuantizationReport(
        bits=bits,
        calibration=calibration if measured else "",
        synapses=tuple(synapses),
        neurons=tuple(neurons),
    )


def _synapse_row(float_graph: Graph, node: Synapse, scale: float, bits: int) -> SynapseReport:
    before = float_graph.nodes[node.name]
    assert isinstance(before, Synapse)
    if isinstance(node, Readout):
        scale = node.scale
    wanted = effective_weight(float_graph, before) * scale / 2.0**node.exponent
    rounded = np.asarray(node.weight, np.float64)
    weights = WeightFormat(bits)
    power = float(np.sqrt(np.mean(wanted**2)))
    error = float(np.sqrt(np.mean((wanted - rounded) ** 2)))
    return SynapseReport(
        name=node.name,
        shape=tuple(node.weight.shape),
        bits=bits,
        scale=scale,
        exponent=int(node.channel_exponents.max()),
        largest_weight=int(np.abs(rounded).max(initial=0)),
        clipped_share=float(np.mean(np.abs(wanted) > weights.largest + weights.step / 2)),
        rounding_error=error / power if power else 0.0,
    )


def _neuron_row(
    graph: Graph,
    node: Lif,
    float_graph: Graph,
    bounds: dict[str, Extremes],
    measured: dict[str, Extremes],
) -> NeuronReport:
    proved = fits(bounds[node.name])
    seen = bounds[node.name] if proved else measured[node.name]
    before = float_graph.nodes[node.name]
    assert isinstance(before, Lif)
    bias = np.zeros(1, np.int64) if node.bias is None else np.asarray(node.bias)
    return NeuronReport(
        name=node.name,
        shape=graph.shapes[node.name],
        scale=node.threshold / before.threshold,
        threshold=int(node.threshold),
        bias_low=int(bias.min()),
        bias_high=int(bias.max()),
        bias_exponent=node.bias_exponent,
        headroom=headroom(seen),
        evidence="proved" if proved else "measured",
    )
