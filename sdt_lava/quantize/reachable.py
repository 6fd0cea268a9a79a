"""Detect thresholds that no input can reach, and layers that rounding has emptied.

The membrane is highest for the input that drives a neuron most in every step, starting from rest.
A population never fires if none of its neurons exceeds its threshold in the T steps of a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdt_lava.errors import QuantizationError
from sdt_lava.importers.fold import FloatArray
from sdt_lava.ir import (
    Conv,
    Dense,
    Flatten,
    Graph,
    Input,
    MaxPool,
    Node,
    Readout,
    Shape,
    Shortcut,
    Signal,
    SpikingNeurons,
    Subsample,
    Synapse,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.numerics import BIAS_EXPONENT, DECAY_UNITY
from sdt_lava.quantize.first_layer import effective_weight
from sdt_lava.quantize.integer import is_silent, powers

Range = tuple[FloatArray, FloatArray]
_SAME = 1e-9


@dataclass(frozen=True)
class Reach:
    """The highest membrane that a population can reach.

    Parameters
    ----------
    drive : float
        Largest sum of weighted input and bias in one step.
    highest : float
        Highest membrane at the end of a sample without a spike, of the neuron that comes nearest
        to its threshold.
    threshold : float
        That neuron's threshold, in the same unit.
    fires : bool
        Whether some neuron can fire.
    """

    drive: float
    highest: float
    threshold: float
    fires: bool


def reaches(graph: Graph, *, integer: bool = False) -> dict[str, Reach]:
    """Return the highest membrane of each population of LIF neurons in T steps, except silent ones.

    Parameters
    ----------
    graph : Graph
        A float graph, with biases in neurons or synapses, or an integer graph.
    integer : bool
        Whether the graph is an integer graph.
    """
    maker = _Ranges(graph, integer)
    result: dict[str, Reach] = {}
    for node in graph:
        inputs = [maker.ranges[name] for name in node.inputs]
        if isinstance(node, SpikingNeurons) and not is_silent(node):
            result[node.name] = maker.reach(node, inputs)
        shapes = [graph.shapes[name] for name in node.inputs]
        maker.ranges[node.name] = _range(maker, node, inputs, shapes)
    return result


@dataclass
class _Ranges:
    graph: Graph
    integer: bool

    def __post_init__(self) -> None:
        # Lowest and highest value of each channel, by node.
        self.ranges: dict[str, Range] = {}

    def weight(self, node: Synapse) -> FloatArray:
        if self.integer:
            return np.asarray(node.weight, np.float64) * powers(node, node.exponent)
        return effective_weight(self.graph, node)

    def reach(self, node: Any, arriving: list[Range]) -> Reach:
        drive = np.sum([high for _, high in arriving], axis=0)
        bias = np.zeros_like(drive) if node.bias is None else np.asarray(node.bias, np.float64)
        threshold = np.broadcast_to(np.asarray(node.threshold, np.float64), drive.shape)
        if self.integer:
            bias = bias * 2.0 ** (node.bias_exponent - BIAS_EXPONENT)
        if node.weight_rec is not None:
            back = np.maximum(np.asarray(node.weight_rec, np.float64), 0).sum(axis=1)
            drive = drive + back.reshape(len(drive), -1).max(axis=1)
        share = 2.0**-node.drive_shift
        drive, bias = drive * share, bias * share
        highest = _after(self.graph.timesteps, node, drive, bias)
        nearest = int(np.argmax(highest - threshold))
        # Our integer neurons fire above their threshold, those of a trained model at it.
        lowest_firing = threshold * (1 - _SAME)
        fires = highest > threshold if self.integer else highest >= lowest_firing
        return Reach(
            float((drive + bias).max()), float(highest[nearest]), float(threshold[nearest]),
            bool(fires.any()),
        )  # fmt: skip


def _after(steps: int, node: Any, drive: FloatArray, bias: FloatArray) -> FloatArray:
    """Return the membrane after a number of steps of constant input without a spike, ``(C,)``.

    If the membrane rises at all, it is highest at the end, because the current only grows.
    """
    matrices = np.zeros((len(drive), 3, 3))
    keep_u, keep_v = (
        1 - np.asarray(decay, np.float64) / DECAY_UNITY
        for decay in (node.current_decay, node.voltage_decay)
    )
    matrices[:, 0, 0], matrices[:, 0, 2] = keep_u, drive
    matrices[:, 1, 0], matrices[:, 1, 1], matrices[:, 1, 2] = keep_u, keep_v, drive + bias
    matrices[:, 2, 2] = 1.0
    # Float64 covers every value that a state of 24 bits can reach.
    with np.errstate(over="ignore", invalid="ignore"):
        powered = np.linalg.matrix_power(matrices, steps)
    end = np.nan_to_num(powered[:, 1, 2], nan=np.inf)
    return np.asarray(np.maximum(end, drive + bias))


def check_alive(float_graph: Graph, graph: Graph) -> tuple[str, ...]:
    """Check that quantization has not emptied a layer or silenced a population.

    Parameters
    ----------
    float_graph : Graph
        The network before quantization, biases gathered in the neurons.
    graph : Graph
        The integer graph.

    Returns
    -------
    tuple of str
        Notes on layers that were empty and neurons that were silent before quantization.

    Raises
    ------
    QuantizationError
        If all weights of a layer were rounded to 0, or no input reaches a threshold that some
        input reached before.
    """
    before, after = reaches(float_graph), reaches(graph, integer=True)
    notes = []
    for node in float_graph:
        if isinstance(node, Synapse) and node.origin:
            # Auxiliary nodes of a population, such as a source that always fires.
            continue
        if isinstance(node, Synapse) and not np.any(node.weight):
            notes.append(f"{node.name}: all weights are 0")
        elif isinstance(node, Synapse):
            rounded = graph.nodes[node.name]
            assert isinstance(rounded, Synapse)
            if not np.any(rounded.weight):
                raise _emptied(float_graph, node, graph)
    for name, reach in before.items():
        if not reach.fires:
            notes.append(
                f"{name}: no input reaches the threshold in {graph.timesteps} steps "
                f"({reach.highest:.3g} of {reach.threshold:.3g}): these neurons are silent"
            )
        elif not after[name].fires:
            raise _silenced(name, reach, after[name], graph)
    return tuple(notes)


def _emptied(float_graph: Graph, node: Synapse, graph: Graph) -> QuantizationError:
    largest = float(np.abs(effective_weight(float_graph, node)).max())
    neurons = [name for name in graph.consumers[node.name] if name in graph.lif_names]
    where = f"node {node.name!r} ({node.kind})"
    problem = f"all {node.weight.size} weights, up to {largest:.3g}, are rounded to 0"
    lif: Any = float_graph.nodes[neurons[0]] if neurons else None
    if lif is not None and not is_silent(lif):
        threshold = float(np.max(lif.threshold))
        steps = np.max(graph.nodes[neurons[0]].threshold)  # type: ignore[attr-defined]
        problem += (
            f": the threshold of {neurons[0]!r}, {threshold:.3g} in the same unit, is {steps} steps"
        )
    return QuantizationError(
        where, problem, "weights that are not smaller than the threshold by orders of magnitude",
        "check the unit of weights, input and threshold, or remove the layer",
    )  # fmt: skip


def _silenced(name: str, before: Reach, after: Reach, graph: Graph) -> QuantizationError:
    return QuantizationError(
        f"node {name!r} ({graph.nodes[name].kind})",
        f"a threshold of {after.threshold:.0f} that no input reaches in {graph.timesteps} steps "
        f"after rounding (at most {after.highest:.6g}; before it {before.highest:.6g} of "
        f"{before.threshold:.6g})",
        "weights that keep some input above the threshold",
        "train with a lower threshold",
    )


def _range(maker: _Ranges, node: Node, arriving: list[Range], shapes: list[Shape]) -> Range:
    """Return the output range of a node: that of spikes, or as computed by its kind."""
    if node.emits is Signal.SPIKE:
        return _ones(node, shapes)
    reach = node.entry_of(_RANGES, "what its float form can reach", __name__)
    return reach(maker, node, arriving, shapes)


def _ones(node: Node, shapes: list[Shape]) -> Range:
    channels = node.output_shape(shapes)[0]
    return np.zeros(channels), np.ones(channels)


def _input(maker: _Ranges, node: Input, arriving: list[Range], shapes: list[Shape]) -> Range:
    ones = np.ones(node.shape[0])
    return min(node.low, 0) * ones, max(node.high, 0) * ones


def _conv(maker: _Ranges, node: Conv, arriving: list[Range], shapes: list[Shape]) -> Range:
    weight = maker.weight(node)
    out, per_group = weight.shape[:2]
    flat = weight.reshape(node.groups, out // node.groups, per_group, -1)
    positive, negative = np.maximum(flat, 0).sum(axis=3), np.minimum(flat, 0).sum(axis=3)
    low, high = (values.reshape(node.groups, per_group, 1) for values in arriving[0])
    lowest = positive @ low + negative @ high
    highest = positive @ high + negative @ low
    return _biased(maker, node, lowest.reshape(out), highest.reshape(out))


def _dense(maker: _Ranges, node: Any, arriving: list[Range], shapes: list[Shape]) -> Range:
    weight = maker.weight(node)
    positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
    low, high = _flatten(maker, node, arriving, shapes)
    return _biased(maker, node, positive @ low + negative @ high, positive @ high + negative @ low)


def _biased(maker: _Ranges, node: Synapse, low: FloatArray, high: FloatArray) -> Range:
    bias = 0.0 if node.bias is None or maker.integer else np.asarray(node.bias, np.float64)
    return low + bias, high + bias


def _flatten(maker: _Ranges, node: Node, arriving: list[Range], shapes: list[Shape]) -> Range:
    repeats = int(np.prod(shapes[0])) // shapes[0][0]
    low, high = arriving[0]
    return np.repeat(low, repeats), np.repeat(high, repeats)


def _sum(maker: _Ranges, node: Node, arriving: list[Range], shapes: list[Shape]) -> Range:
    low, high = zip(*arriving, strict=True)
    return np.sum(low, axis=0), np.sum(high, axis=0)


def _same(maker: _Ranges, node: Node, arriving: list[Range], shapes: list[Shape]) -> Range:
    return arriving[0]


def _token_sum(maker: _Ranges, node: TokenSum, arriving: list[Range], shapes: list[Shape]) -> Range:
    tokens = shapes[0][1] * shapes[0][2]
    weight = node.weight if maker.integer else 1
    return arriving[0][0] * 0, arriving[0][1] * tokens * weight


def _token_mean(
    maker: _Ranges, node: TokenMean, arriving: list[Range], shapes: list[Shape]
) -> Range:
    factor = shapes[0][1] * shapes[0][2] / 2.0**node.shift if maker.integer else 1.0
    return arriving[0][0] * factor, arriving[0][1] * factor


_RANGES: Mapping[type[Node], Callable[[_Ranges, Any, list[Range], list[Shape]], Range]] = {
    Input: _input,
    Conv: _conv,
    Dense: _dense,
    Readout: _dense,
    Flatten: _flatten,
    Shortcut: _sum,
    Subsample: _same,
    MaxPool: _same,
    TokenSum: _token_sum,
    TokenMean: _token_mean,
}
