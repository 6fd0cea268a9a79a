"""What quantization did, layer by layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.ir import LIF_KINDS, CubaLif, Graph, Lif, Readout, Synapse
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.numerics import ACTIVATION_LIMIT, ACTIVATION_SHIFT, STATE_LIMIT
from sdt_lava.quantize.first_layer import effective_weight
from sdt_lava.quantize.integer import is_silent, powers

if TYPE_CHECKING:
    from sdt_lava.quantize.changes import SpikeChanges
    from sdt_lava.quantize.search import ScaleSearch


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
        Largest weight exponent: the sums are multiplied by ``2 ** exponent``.
    exponents : int
        Number of distinct weight exponents.
    clip : float
        Share of the layer's largest weight that fills the range.
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
    exponents: int
    clip: float
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
        Threshold mantissa; the largest where they differ.
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
class ClipChoice:
    """What was chosen on data for one group of neurons that share a scale.

    Parameters
    ----------
    group : str
        First neuron of the group.
    neurons : tuple of str
        All of them.
    clips : dict of str to float
        By layer: share of its largest weight that fills the range.
    decisions : int
        Neurons times steps times samples.
    default_differing, differing : int
        Decisions that differ from the float model's, teacher-forced, at clips of 1 and at the
        chosen ones.
    """

    group: str
    neurons: tuple[str, ...]
    clips: dict[str, float]
    decisions: int
    default_differing: int
    differing: int


@dataclass(frozen=True)
class ScaleChoices:
    """The choice of scales from data.

    Parameters
    ----------
    data : str
        What the data is.
    samples, available : int
        How many of its samples were used, and how many there were.
    groups : tuple of ClipChoice
        One for each group that has weights.
    """

    data: str
    samples: int
    available: int
    groups: tuple[ClipChoice, ...]


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
    choices : ScaleChoices or None
        How scales were chosen from data; None if from the largest weights.
    spikes : SpikeChanges or None
        Spikes that differ from the float model's; None without data.
    notes : tuple of str
        Layers without weights, and neurons that no input makes fire.
    """

    bits: int
    calibration: str
    synapses: tuple[SynapseReport, ...]
    neurons: tuple[NeuronReport, ...]
    choices: ScaleChoices | None = None
    spikes: SpikeChanges | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        spikes = None if self.spikes is None else self.spikes.to_dict()
        return {**asdict(self), "spikes": spikes}


@dataclass(frozen=True)
class RangedNetwork:
    """An integer graph whose ranges are known.

    Parameters
    ----------
    search : ScaleSearch
        The scales behind it.
    graph : Graph
        The integer graph.
    bounds : dict of str to Extremes
        Proved extremes of each LIF.
    measured : dict of str to Extremes
        Extremes on data; empty if there was no need to measure.
    """

    search: ScaleSearch
    graph: Graph
    bounds: dict[str, Extremes]
    measured: dict[str, Extremes]

    @property
    def unproved(self) -> list[str]:
        """Neurons whose ranges the weights do not prove to fit."""
        return [name for name, extremes in self.bounds.items() if not fits(extremes)]


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
    ranged: RangedNetwork,
    calibration: str,
    choices: ScaleChoices | None = None,
    spikes: SpikeChanges | None = None,
    notes: tuple[str, ...] = (),
) -> QuantizationReport:
    """Compare the float graph with the integer graph and collect the rows."""
    search, graph = ranged.search, ranged.graph
    scale_of = {
        name: search.scales.get(group.name, 1.0)
        for group in search.groups
        for name in (*group.lifs, *group.synapses)
    }
    synapses = [
        _synapse_row(float_graph, node, scale_of.get(node.name, 1.0), search)
        for node in graph
        if isinstance(node, Synapse)
    ]
    synapses += [
        _recurrent_row(float_graph, node, scale_of[node.name], search)
        for node in graph
        if isinstance(node, CubaLif) and node.weight_rec is not None
    ]
    neurons = [
        _neuron_row(ranged, node, float_graph, scale_of[node.name])
        for node in graph
        if isinstance(node, LIF_KINDS)
    ]
    return QuantizationReport(
        bits=search.weights.bits,
        calibration=calibration if ranged.measured else "",
        synapses=tuple(synapses),
        neurons=tuple(neurons),
        choices=choices,
        spikes=spikes,
        notes=notes,
    )


def _synapse_row(
    float_graph: Graph, node: Synapse, scale: float, search: ScaleSearch
) -> SynapseReport:
    before = float_graph.nodes[node.name]
    assert isinstance(before, Synapse)
    if isinstance(node, Readout):
        scale = node.scale
    wanted = effective_weight(float_graph, before) * scale / powers(before, node.exponent)
    rounded = np.asarray(node.weight, np.float64)
    weights = search.weights
    power = float(np.sqrt(np.mean(wanted**2)))
    error = float(np.sqrt(np.mean((wanted - rounded) ** 2)))
    return SynapseReport(
        name=node.name,
        shape=tuple(node.weight.shape),
        bits=weights.bits,
        scale=scale,
        exponent=int(node.channel_exponents.max()),
        exponents=len(np.unique(node.channel_exponents)),
        clip=search.clips.get(node.name, 1.0),
        largest_weight=int(np.abs(rounded).max(initial=0)),
        clipped_share=float(np.mean(np.abs(wanted) > weights.largest + weights.step / 2)),
        rounding_error=error / power if power else 0.0,
    )


def _recurrent_row(
    float_graph: Graph, node: CubaLif, scale: float, search: ScaleSearch
) -> SynapseReport:
    before = float_graph.nodes[node.name]
    assert isinstance(before, CubaLif)
    wanted = np.asarray(before.weight_rec, np.float64) * scale
    rounded = np.asarray(node.weight_rec, np.float64)
    power = float(np.sqrt(np.mean(wanted**2)))
    error = float(np.sqrt(np.mean((wanted - rounded) ** 2)))
    return SynapseReport(
        name=f"{node.name}: recurrent",
        shape=tuple(rounded.shape),
        bits=search.weights.bits,
        scale=scale,
        exponent=0,
        exponents=1,
        clip=1.0,
        largest_weight=int(np.abs(rounded).max(initial=0)),
        clipped_share=0.0,
        rounding_error=error / power if power else 0.0,
    )


def _neuron_row(
    ranged: RangedNetwork, node: Lif | CubaLif, float_graph: Graph, scale: float
) -> NeuronReport:
    bounds = ranged.bounds[node.name]
    proved = fits(bounds)
    seen = bounds if proved else ranged.measured[node.name]
    before = float_graph.nodes[node.name]
    assert isinstance(before, LIF_KINDS)
    bias = np.zeros(1, np.int64) if node.bias is None else np.asarray(node.bias)
    return NeuronReport(
        name=node.name,
        shape=ranged.graph.shapes[node.name],
        # Thresholds of token counts and means have a scale of their own.
        scale=scale
        if is_silent(before)
        else float(np.max(node.threshold) / np.max(before.threshold)),
        threshold=int(np.max(node.threshold)),
        bias_low=int(bias.min()),
        bias_high=int(bias.max()),
        bias_exponent=node.bias_exponent,
        headroom=headroom(seen),
        evidence="proved" if proved else "measured",
    )
