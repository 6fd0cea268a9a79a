"""Report the effects of quantization, layer by layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.ir import Graph, Readout, SpikingNeurons, Synapse
from sdt_lava.ir.bounds import Extremes
from sdt_lava.quantize.first_layer import effective_weight
from sdt_lava.quantize.headroom import fits, headroom
from sdt_lava.quantize.integer import is_silent, powers

if TYPE_CHECKING:
    from sdt_lava.quantize.changes import SpikeChanges
    from sdt_lava.quantize.search import ScaleSearch


@dataclass(frozen=True)
class SynapseReport:
    """The effects of rounding on one layer of weights.

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
        Fraction of the layer's largest weight that fills the range.
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
    """Threshold, biases and headroom of one population of neurons.

    Parameters
    ----------
    name : str
        Population.
    shape : tuple of int
        Shape of the population.
    scale : float
        Integer units per unit of the float membrane.
    threshold : int
        Threshold mantissa; the largest if they differ.
    bias_low, bias_high, bias_exponent : int
        Range of the bias mantissas and their exponent.
    headroom : float
        Largest value that fits in the 24-bit state, divided by the largest that occurs.
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
    """The clips chosen on data for one group of neurons that share a scale.

    Parameters
    ----------
    group : str
        First neuron of the group.
    neurons : tuple of str
        All neurons of the group.
    clips : dict of str to float
        Fraction of the layer's largest weight that fills the range, by layer.
    decisions : int
        Neurons times steps times samples.
    default_differing, differing : int
        Decisions that differ from the float model's under teacher forcing, with clips of 1 and
        with the chosen clips.
    """

    group: str
    neurons: tuple[str, ...]
    clips: dict[str, float]
    decisions: int
    default_differing: int
    differing: int


@dataclass(frozen=True)
class ScaleChoices:
    """The scales chosen on data.

    Parameters
    ----------
    data : str
        Name of the data.
    samples, available : int
        Numbers of samples used and available.
    groups : tuple of ClipChoice
        One choice for each group with weights.
    """

    data: str
    samples: int
    available: int
    groups: tuple[ClipChoice, ...]


@dataclass(frozen=True)
class QuantizationReport:
    """The complete record of a quantization.

    Parameters
    ----------
    bits : int
        Width of a weight.
    calibration : str
        Name of the data on which headroom was measured; empty if everything is proved.
    synapses, neurons : tuple
        One row for each layer of weights and each population of neurons.
    choices : ScaleChoices or None
        Scales chosen on data; None if they follow from the largest weights.
    spikes : SpikeChanges or None
        Spikes that differ from the float model's; None without data.
    notes : tuple of str
        Notes on layers whose weights are all 0, and on neurons that no input makes fire.
    """

    bits: int
    calibration: str
    synapses: tuple[SynapseReport, ...]
    neurons: tuple[NeuronReport, ...]
    choices: ScaleChoices | None = None
    spikes: SpikeChanges | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        spikes = None if self.spikes is None else self.spikes.to_dict()
        return {**asdict(self), "spikes": spikes}


@dataclass(frozen=True)
class RangedNetwork:
    """An integer graph with proved or measured ranges.

    Parameters
    ----------
    search : ScaleSearch
        The scales of the graph.
    graph : Graph
        The integer graph.
    bounds : dict of str to Extremes
        Proved extremes of each LIF.
    measured : dict of str to Extremes
        Extremes on data; empty if nothing had to be measured.
    """

    search: ScaleSearch
    graph: Graph
    bounds: dict[str, Extremes]
    measured: dict[str, Extremes]

    @property
    def unproved(self) -> list[str]:
        """Neurons whose ranges cannot be proved from the weights."""
        return [name for name, extremes in self.bounds.items() if not fits(extremes)]


def build_report(
    float_graph: Graph,
    ranged: RangedNetwork,
    calibration: str,
    choices: ScaleChoices | None = None,
    spikes: SpikeChanges | None = None,
    notes: tuple[str, ...] = (),
) -> QuantizationReport:
    """Compare the float graph with the integer graph and return the report."""
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
        if isinstance(node, SpikingNeurons) and node.weight_rec is not None
    ]
    neurons = [
        _neuron_row(ranged, node, float_graph, scale_of[node.name])
        for node in graph
        if isinstance(node, SpikingNeurons)
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
    scaled = effective_weight(float_graph, before) * scale / powers(before, node.exponent)
    rounded = np.asarray(node.weight, np.float64)
    weights = search.weights
    power = float(np.sqrt(np.mean(scaled**2)))
    error = float(np.sqrt(np.mean((scaled - rounded) ** 2)))
    return SynapseReport(
        name=node.name,
        shape=tuple(node.weight.shape),
        bits=weights.bits,
        scale=scale,
        exponent=int(node.channel_exponents.max()),
        exponents=len(np.unique(node.channel_exponents)),
        clip=search.clips.get(node.name, 1.0),
        largest_weight=int(np.abs(rounded).max(initial=0)),
        clipped_share=float(np.mean(np.abs(scaled) > weights.largest + weights.step / 2)),
        rounding_error=error / power if power else 0.0,
    )


def _recurrent_row(
    float_graph: Graph, node: SpikingNeurons, scale: float, search: ScaleSearch
) -> SynapseReport:
    before = float_graph.nodes[node.name]
    assert isinstance(before, SpikingNeurons)
    scaled = np.asarray(before.weight_rec, np.float64) * scale
    rounded = np.asarray(node.weight_rec, np.float64)
    power = float(np.sqrt(np.mean(scaled**2)))
    error = float(np.sqrt(np.mean((scaled - rounded) ** 2)))
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
    ranged: RangedNetwork, node: SpikingNeurons, float_graph: Graph, scale: float
) -> NeuronReport:
    bounds = ranged.bounds[node.name]
    proved = fits(bounds)
    extremes = bounds if proved else ranged.measured[node.name]
    before = float_graph.nodes[node.name]
    assert isinstance(before, SpikingNeurons)
    bias = np.zeros(1, np.int64) if node.bias is None else np.asarray(node.bias)
    return NeuronReport(
        name=node.name,
        shape=ranged.graph.shapes[node.name],
        # Thresholds on token counts and means have their own scale.
        scale=scale
        if is_silent(before)
        else float(np.max(node.threshold) / np.max(before.threshold)),
        threshold=int(np.max(node.threshold)),
        bias_low=int(bias.min()),
        bias_high=int(bias.max()),
        bias_exponent=node.bias_exponent,
        headroom=headroom(extremes),
        evidence="proved" if proved else "measured",
    )
