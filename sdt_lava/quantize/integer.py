"""Round a float graph to the integer graph, group by group.

Each LIF group has one scale S: ``threshold = 2 v_th S`` and ``bias_int = round(b S)``. Each of its
layers (or each output channel) has the smallest exponent e for which
``W_int = step round(W S / 2^e / step)`` is within +-254; ``step`` is 2 for 8 bits and doubles with
each bit less. S is the largest scale for which the layer with the smallest weights fills its range,
the threshold is an integer within 17 bits, the biases fit in 13 bits and no sum exceeds 24 bits.
Layers that read a graded input may have negative exponents, so that their weights fill the range,
too. With a *clip* below 1, only that fraction of a layer's largest weight fills the range: larger
weights are clipped, and all others are rounded to finer steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor
from typing import Any

import numpy as np

from sdt_lava.errors import QuantizationError
from sdt_lava.importers.fold import FloatArray
from sdt_lava.importers.grid import grid_of, whole
from sdt_lava.ir import (
    Graph,
    Lif,
    Node,
    Readout,
    SpikingNeurons,
    Synapse,
    TokenSum,
)
from sdt_lava.ir.numerics import (
    ACTIVATION_LIMIT,
    BIAS_EXPONENT,
    BIAS_EXPONENT_HIGH,
    BIAS_MANTISSA_HIGH,
    MAX_WEIGHT_EXPONENT,
    THRESHOLD_LIMIT,
    IntArray,
)
from sdt_lava.quantize.first_layer import effective_weight, least_exponent
from sdt_lava.quantize.groups import LifGroup, token_count, token_mean_before
from sdt_lava.quantize.weight_format import WeightFormat

# Largest scale: 2 v_th S must fit the threshold, and the membrane needs room above it.
_LARGEST_SCALE = 2**14
# Largest bias that fits the mantissa at the largest exponent, in units of an activation.
_BIAS_LIMIT = BIAS_MANTISSA_HIGH << (BIAS_EXPONENT_HIGH - BIAS_EXPONENT)
# Weight of one spike in a token sum; even, like all weights. The coarse weight suffices if every
# count fires at once; the fine weight leaves room for the fractions of a leaking count.
_COARSE_COUNT, _FINE_COUNT = 2, 64

# Fraction of the largest weight that must fit in the range, by layer; 1 for layers not listed.
Clips = Mapping[str, float]


def reach(graph: Graph, name: str, weights: WeightFormat, clips: Clips) -> FloatArray:
    """Return the magnitudes that must fit in a layer's range, one for each of its exponents.

    The result has shape ``(O,)`` with exponents by channel, else ``(1,)``: the largest magnitudes
    of the effective weights, times the layer's clip.
    """
    synapse = graph.nodes[name]
    assert isinstance(synapse, Synapse)
    magnitudes = np.abs(effective_weight(graph, synapse))
    rows = magnitudes.reshape(len(magnitudes) if weights.by_channel else 1, -1)
    return np.asarray(rows.max(axis=1, initial=0)) * clips.get(name, 1.0)


def layer_exponents(
    graph: Graph, name: str, weights: WeightFormat, clips: Clips, scale: float
) -> int | IntArray:
    """Return the smallest exponents at which a layer's weights fit at a scale.

    Sums are not shifted to the right if no weight is rounded without the shift.
    """
    largest = reach(graph, name, weights, clips) * scale
    plain, smallest = weights.exponents(largest), least_exponent(graph, name, weights)
    if not smallest:
        return plain
    synapse = graph.nodes[name]
    assert isinstance(synapse, Synapse)
    scaled = effective_weight(graph, synapse) * scale
    if whole(scaled / powers(synapse, plain) / weights.step):
        return plain
    return weights.exponents(largest, smallest)


def largest_scale(graph: Graph, group: LifGroup, weights: WeightFormat, clips: Clips) -> float:
    """Return the largest scale of a LIF group that its weights, thresholds and biases allow.

    Parameters
    ----------
    graph : Graph
        Float graph with biases gathered in the neurons.
    group : LifGroup
        A group of that graph that does not integrate counts.
    weights : WeightFormat
        Format of the weights.
    clips : mapping of str to float
        Fraction of the largest weight that must fit in the range, by layer.

    Raises
    ------
    QuantizationError
        If the group cannot be represented.
    """
    lifs = [graph.nodes[name] for name in group.lifs]
    silent = lifs and all(isinstance(lif, SpikingNeurons) and is_silent(lif) for lif in lifs)
    limits = [] if silent else [float(_LARGEST_SCALE)]
    if group.synapses:
        largest = np.concatenate([reach(graph, name, weights, clips) for name in group.synapses])
        present = largest[largest > 0]
        if present.size:
            limits.append(float(weights.largest / present.min()))
            limits.append(float((weights.largest << MAX_WEIGHT_EXPONENT) / present.max()))
    for name in group.lifs:
        limits.extend(_neuron_limits(graph, name, weights))
    return min(limits, default=float(_LARGEST_SCALE))


def is_silent(lif: SpikingNeurons) -> bool:
    """Return whether neurons of a float graph never fire because their threshold is infinite."""
    return bool(np.isinf(lif.threshold).all())


def _neuron_limits(graph: Graph, name: str, weights: WeightFormat) -> list[float]:
    lif = graph.nodes[name]
    assert isinstance(lif, SpikingNeurons)
    if np.min(lif.threshold) <= 0:
        raise QuantizationError(f"node {name!r}", f"threshold {np.min(lif.threshold)}", "above 0")
    limits = [] if is_silent(lif) else [THRESHOLD_LIMIT / float(np.max(lif.threshold))]
    # Recurrent weights have no exponent, so the largest one must fit unshifted.
    if isinstance(lif, SpikingNeurons) and lif.weight_rec is not None:
        largest_recurrent = float(np.abs(np.asarray(lif.weight_rec, np.float64)).max(initial=0))
        if largest_recurrent > 0:
            limits.append(weights.largest / largest_recurrent)
    # The shift of a token mean is increased until the bias fits.
    if lif.bias is not None and token_mean_before(graph, name) is None:
        largest = float(np.abs(lif.bias).max(initial=0))
        if largest > 0:
            limits.append(_BIAS_LIMIT / largest)
    return limits


def round_scale(graph: Graph, group: LifGroup, scale: float) -> float:
    """Lower a scale until the group's smallest threshold is an integer and needs no rounding."""
    thresholds = [
        float(np.min(lif.threshold))
        for lif in (graph.nodes[name] for name in group.lifs)
        if isinstance(lif, SpikingNeurons) and not is_silent(lif)
    ]
    if not thresholds:
        return scale
    smallest = min(thresholds)
    mantissa = floor(scale * smallest)
    if mantissa < 1:
        raise QuantizationError(
            f"group of {group.name!r}",
            f"scale {scale:.3g}: the threshold {smallest:g} rounds to 0",
            "weights and biases that are not larger than the threshold by orders of magnitude",
            "check the unit of weights, biases and threshold, or train with weight decay",
        )
    return mantissa / smallest


def quantize_groups(
    graph: Graph,
    groups: Sequence[LifGroup],
    scales: Mapping[str, float],
    weights: WeightFormat,
    clips: Clips,
    shift: int = 0,
) -> dict[str, Node]:
    """Round the weights, thresholds and biases of LIF groups.

    Parameters
    ----------
    graph : Graph
        Float graph with biases gathered in the neurons.
    groups : sequence of LifGroup
        Groups of that graph.
    scales : mapping of str to float
        Scale by group name.
    weights : WeightFormat
        Format of the weights.
    clips : mapping of str to float
        Fraction of the largest weight that must fit in the range, by layer.
    shift : int
        Right shift of the token mean's sum.

    Returns
    -------
    dict of str to Node
        All nodes of the groups; nodes without numbers are unchanged.
    """
    rounded: dict[str, Node] = {}
    for group in groups:
        if group.counts:
            rounded.update(_quantize_counts(graph, group))
        else:
            scale = scales[group.name]
            rounded.update(_quantize_group(graph, group, scale, weights, clips, shift))
    return rounded


def with_rounded(graph: Graph, rounded: Mapping[str, Node], weights: WeightFormat) -> Graph:
    """Return the integer graph: the float graph with rounded groups and a rounded head."""
    return graph.rebuild(
        _quantize_readout(node, weights)
        if isinstance(node, Readout)
        else rounded.get(node.name, node)
        for node in graph
    )


def _quantize_group(
    graph: Graph, group: LifGroup, scale: float, weights: WeightFormat, clips: Clips, shift: int
) -> dict[str, Node]:
    rounded: dict[str, Node] = {name: graph.nodes[name] for name in group.between}
    for name in group.synapses:
        synapse = graph.nodes[name]
        assert isinstance(synapse, Synapse)
        exponent = layer_exponents(graph, name, weights, clips, scale)
        scaled = effective_weight(graph, synapse) * scale / powers(synapse, exponent)
        rounded[name] = replace(synapse, weight=weights.round(scaled), exponent=exponent)
    for name in group.lifs:
        mean, gain = token_mean_before(graph, name), 1.0
        if mean is not None:
            rounded[mean.name] = replace(mean, shift=shift)
            gain = token_count(graph, mean) / 2.0**shift
        rounded[name] = _quantize_lif(graph, name, scale * gain, weights)
    return rounded


def powers(synapse: Synapse, exponent: int | IntArray) -> FloatArray:
    """Return ``2 ** exponent`` of each output channel, shaped to divide the weights."""
    exponents = np.broadcast_to(np.asarray(exponent), len(synapse.weight))
    return np.asarray(2.0 ** exponents.reshape(-1, *(1,) * (synapse.weight.ndim - 1)))


def _quantize_lif(graph: Graph, name: str, scale: float, weights: WeightFormat) -> SpikingNeurons:
    lif = graph.nodes[name]
    assert isinstance(lif, SpikingNeurons)
    scaled = THRESHOLD_LIMIT if is_silent(lif) else np.asarray(lif.threshold, np.float64) * scale
    thresholds: Any = np.rint(scaled).astype(np.int64)
    for threshold in (int(thresholds.min()), int(thresholds.max())):
        if not 1 <= threshold <= THRESHOLD_LIMIT:
            raise QuantizationError(
                f"node {name!r}", f"threshold {threshold}", f"1 to {THRESHOLD_LIMIT}"
            )
    rounded = replace(lif, threshold=thresholds if thresholds.ndim else int(thresholds))
    if isinstance(rounded, SpikingNeurons) and rounded.weight_rec is not None:
        scaled = np.asarray(rounded.weight_rec, np.float64) * scale
        rounded = replace(rounded, weight_rec=weights.round(scaled))
    if lif.bias is None:
        return rounded
    exponent, mantissas = encode_bias(lif.bias, scale, name)
    return replace(
        rounded,
        bias=mantissas if mantissas.any() else None,
        bias_exponent=exponent if mantissas.any() else BIAS_EXPONENT,
    )


def encode_bias(bias: object, scale: float, where: str) -> tuple[int, IntArray]:
    """Encode a bias as mantissa and exponent, with exponent 6 (activation units) if it fits.

    Raises
    ------
    QuantizationError
        If the bias does not fit with exponent 7 either.
    """
    for exponent in range(BIAS_EXPONENT, BIAS_EXPONENT_HIGH + 1):
        unit = 2.0 ** (exponent - BIAS_EXPONENT)
        mantissas = np.rint(np.asarray(bias, np.float64) * scale / unit).astype(np.int64)
        if np.abs(mantissas).max(initial=0) <= BIAS_MANTISSA_HIGH:
            return exponent, mantissas
    raise QuantizationError(
        f"node {where!r}",
        f"bias of {int(np.abs(mantissas).max())} << {BIAS_EXPONENT_HIGH}",
        f"mantissas within +-{BIAS_MANTISSA_HIGH}",
    )


def _quantize_counts(graph: Graph, group: LifGroup) -> dict[str, Node]:
    """Quantize neurons that integrate token counts, which are integers.

    The float neuron fires at ``v >= threshold``, the hardware strictly above its threshold, and a
    count may be equal to it. Up to a threshold of 1 (``v_th = 0.5``, the official network), every
    count fires and nothing leaks, so the result is exact. Above that, a bias of one unit of the
    state (1/4096 of a count) turns ``>`` into ``>=``: the result is exact for ten steps after a
    spike or the start of a sample.
    """
    counts = graph.nodes[group.counts]
    assert isinstance(counts, TokenSum)
    thresholds = [lif.threshold for lif in map(graph.nodes.get, group.lifs) if isinstance(lif, Lif)]
    fires_at_once = max(thresholds) <= 1
    weight = _COARSE_COUNT if fires_at_once else _FINE_COUNT
    tokens = token_count(graph, counts)
    while weight > _COARSE_COUNT and tokens * weight > ACTIVATION_LIMIT // 4:
        weight //= 2
    rounded: dict[str, Node] = {counts.name: replace(counts, weight=weight)}
    for name in group.lifs:
        lif = graph.nodes[name]
        assert isinstance(lif, Lif)
        if fires_at_once:
            rounded[name] = replace(lif, threshold=weight - 1)
        else:
            rounded[name] = _leaking_count(graph, lif, weight)
    return rounded


def _leaking_count(graph: Graph, lif: Lif, weight: int) -> Lif:
    threshold = round(lif.threshold * weight)
    if threshold > THRESHOLD_LIMIT:
        raise QuantizationError(
            f"node {lif.name!r}",
            f"threshold {lif.threshold:g}: {threshold} at {weight} units a count",
            f"at most {THRESHOLD_LIMIT}",
            "train with a lower attention_threshold",
        )
    bias = np.ones(graph.shapes[lif.name][0], np.int64)
    return replace(lif, threshold=threshold, bias=bias, bias_exponent=0)


def _quantize_readout(node: Readout, weights: WeightFormat) -> Readout:
    weight = np.asarray(node.weight, np.float64)
    largest = float(np.abs(weight).max(initial=0))
    scale = weights.largest / largest if largest > 0 else 1.0
    step = grid_of(weight, weights.mantissa)
    if step:
        # On a grid, the step is scaled to a whole number of our steps, so that nothing is rounded,
        # even if the largest weight then does not fill the range.
        scale = weights.step * (weights.mantissa // round(largest / step)) / step
    bias = (
        None
        if node.bias is None
        else np.rint(np.asarray(node.bias, np.float64) * scale).astype(np.int64)
    )
    return replace(node, weight=weights.round(weight * scale), bias=bias, scale=scale)
