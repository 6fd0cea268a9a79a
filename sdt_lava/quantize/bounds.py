"""Proof that no integer sum overflows, from weights, biases and thresholds alone.

Every node gets an interval per channel that holds for any input; borders of convolutions only
shrink it. A neuron that does not fire keeps ``v <= threshold``, so its upper bound does not grow
with time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdt_lava.graph import (
    LIF_KINDS,
    And,
    Conv,
    CubaLif,
    Dense,
    Flatten,
    Gate,
    Graph,
    Input,
    Lif,
    MaxPool,
    MaxRelay,
    Node,
    OrPool,
    Readout,
    Relay,
    Shortcut,
    Sparse,
    Subsample,
    TokenDilate,
    TokenMean,
    TokenSum,
)
from sdt_lava.graph.base import EVENTS, Shape
from sdt_lava.numerics import (
    ACTIVATION_SHIFT,
    DECAY_UNITY,
    IntArray,
    decay,
    divide_by_power,
    power_shift,
)

Interval = tuple[IntArray, IntArray]


@dataclass(frozen=True)
class Extremes:
    """Largest magnitudes in a neuron population.

    Parameters
    ----------
    activation : int
        Largest ``|sum of weighted input|``.
    membrane : int
        Largest ``|v|`` before saturation, in the units of the 24-bit state.
    """

    activation: int
    membrane: int


@dataclass(frozen=True)
class Bounds:
    """What every node of an integer graph, traced or compiled, can reach.

    Parameters
    ----------
    intervals : dict of str to tuple of ndarray
        Lowest and highest value that each node emits, by channel, ``(C,)``.
    extremes : dict of str to Extremes
        Of each LIF.
    """

    intervals: dict[str, Interval]
    extremes: dict[str, Extremes]


def bound(graph: Graph) -> Bounds:
    """Bound the output of every node, and the state of every LIF, for any input."""
    return _bound(graph, graph.nodes)


def bound_extremes(graph: Graph) -> dict[str, Extremes]:
    """Bound the activation and membrane of every LIF for any input.

    Returns
    -------
    dict of str to Extremes
        By LIF name.
    """
    return bound(graph).extremes


def bound_nodes(graph: Graph, nodes: Mapping[str, Node]) -> dict[str, Extremes]:
    """Bound the LIFs of one group whose nodes replace those of a float graph.

    Parameters
    ----------
    graph : Graph
        Graph that the nodes belong to.
    nodes : mapping of str to Node
        Integer nodes by name; currents that they read come from one another.

    Returns
    -------
    dict of str to Extremes
        By LIF name.
    """
    return _bound(graph, nodes).extremes


def _bound(graph: Graph, nodes: Mapping[str, Node]) -> Bounds:
    intervals: dict[str, Interval] = {}
    extremes: dict[str, Extremes] = {}
    for name in graph.order:
        node = nodes.get(name)
        # Of the other nodes only those count that send events, whose range knows no weights.
        if node is None and graph.signals[name] not in EVENTS:
            continue
        arriving = [intervals[source] for source in graph.nodes[name].inputs if source in intervals]
        shapes = [graph.shapes[source] for source in graph.nodes[name].inputs]
        if isinstance(node, LIF_KINDS):
            if isinstance(node, CubaLif) and node.weight_rec is not None:
                arriving.append(_feedback(node.weight_rec, graph.shapes[name]))
            extremes[name] = _lif_extremes(node, arriving, graph.timesteps)
        bounded = graph.nodes[name] if node is None else node
        intervals[name] = _INTERVALS[type(bounded)](bounded, arriving, shapes)
    return Bounds(intervals, extremes)


def _lif_extremes(node: Lif | CubaLif, arriving: list[Interval], timesteps: int) -> Extremes:
    low = np.sum([interval[0] for interval in arriving], axis=0, dtype=np.int64)
    high = np.sum([interval[1] for interval in arriving], axis=0, dtype=np.int64)
    bias = np.int64(0) if node.bias is None else np.asarray(node.bias, np.int64)
    bias = bias << node.bias_exponent
    current_low, current_high = np.zeros_like(low), np.zeros_like(high)
    lowest, highest = np.zeros_like(low), np.zeros_like(high)
    rest = np.zeros_like(low)
    shift = node.drive_shift if isinstance(node, CubaLif) else 0
    ceiling = np.maximum(np.asarray(node.threshold, np.int64) << ACTIVATION_SHIFT, 0)
    for _ in range(_most_steps(node, timesteps)):
        before = (current_low, current_high, lowest, highest, rest)
        current_low = decay(current_low, node.current_decay) + (low << ACTIVATION_SHIFT)
        current_high = decay(current_high, node.current_decay) + (high << ACTIVATION_SHIFT)
        # After a step the membrane is at most the threshold, or it has fired and is 0.
        drive_low = divide_by_power(current_low + bias, shift)
        drive_high = divide_by_power(current_high + bias, shift)
        rest = decay(np.minimum(rest, 0), node.voltage_decay) + drive_low
        lowest = np.minimum(lowest, rest)
        start = decay(np.minimum(np.maximum(highest, 0), ceiling), node.voltage_decay)
        highest = np.maximum(highest, start + drive_high)
        after = (current_low, current_high, lowest, highest, rest)
        if all(map(np.array_equal, before, after)):
            break
    activation = int(max(np.abs(low).max(initial=0), np.abs(high).max(initial=0)))
    if np.min(node.current_decay) < DECAY_UNITY:
        # With memory in u, the current accumulates beyond one step's activation.
        largest = max(np.abs(current_low).max(initial=0), np.abs(current_high).max(initial=0))
        activation = max(activation, int(largest) >> ACTIVATION_SHIFT)
    membrane = int(max(np.abs(lowest).max(initial=0), np.abs(highest).max(initial=0)))
    return Extremes(activation, membrane)


# Neurons that leak settle: the bound then holds for any number of steps. The slowest decays are
# followed for this long; neurons without a leak are followed for the steps of a sample.
_MOST_STEPS = 65_536


def _most_steps(node: Lif | CubaLif, timesteps: int) -> int:
    leaks = np.min(node.voltage_decay) > 0 and np.min(node.current_decay) > 0
    return _MOST_STEPS if leaks else timesteps


def _feedback(weight_rec: Any, shape: Shape) -> Interval:
    """Bound what a population sends to itself: per channel, from none to all of its spikes."""
    weight = np.asarray(weight_rec, np.int64)
    low, high = np.minimum(weight, 0).sum(axis=1), np.maximum(weight, 0).sum(axis=1)
    return low.reshape(shape[0], -1).min(axis=1), high.reshape(shape[0], -1).max(axis=1)


def _weight_interval(weight: Any, events: Interval, groups: int = 1) -> Interval:
    matrix = np.asarray(weight, np.int64)
    out, per_group = matrix.shape[:2]
    flat = matrix.reshape(out, per_group, -1)
    low, high = np.empty(out, np.int64), np.empty(out, np.int64)
    share = out // groups
    for group in range(groups):
        rows = slice(group * share, (group + 1) * share)
        columns = slice(group * per_group, (group + 1) * per_group)
        # An event may be absent (0), so every interval includes 0: padding and silence.
        event_low = np.minimum(events[0][columns], 0)[None, :, None]
        event_high = np.maximum(events[1][columns], 0)[None, :, None]
        positive, negative = np.maximum(flat[rows], 0), np.minimum(flat[rows], 0)
        high[rows] = (positive * event_high + negative * event_low).sum(axis=(1, 2))
        low[rows] = (positive * event_low + negative * event_high).sum(axis=(1, 2))
    return low, high


def _input(node: Input, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    ones = np.ones(node.shape[0], np.int64)
    return node.low * ones, node.high * ones


def _conv(node: Conv, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    low, high = _weight_interval(node.weight, arriving[0], node.groups)
    return power_shift(low, node.exponent, 0), power_shift(high, node.exponent, 0)


def _dense(node: Dense | Readout, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    low, high = _weight_interval(node.weight, _per_value(arriving[0], shapes[0]))
    bias = 0 if node.bias is None else np.asarray(node.bias, np.int64)
    low, high = power_shift(low, node.exponent, 0), power_shift(high, node.exponent, 0)
    return low + bias, high + bias


def _flatten(node: Flatten, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    return _per_value(arriving[0], shapes[0])


def _per_value(channels: Interval, shape: Shape) -> Interval:
    """Repeat an interval per channel for every position, as flattening in C order does."""
    repeats = int(np.prod(shape)) // shape[0]
    return np.repeat(channels[0], repeats), np.repeat(channels[1], repeats)


def _spikes(node: Node, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    channels = node.output_shape(shapes)[0]
    return np.zeros(channels, np.int64), np.ones(channels, np.int64)


def _sparse(node: Sparse, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    low, high = _per_value(arriving[0], shapes[0])
    event_low, event_high = np.minimum(low, 0), np.maximum(high, 0)
    weight = node.weight.astype(np.int64)
    positive, negative = weight.maximum(0), weight.minimum(0)
    lowest = positive @ event_low + negative @ event_high
    highest = positive @ event_high + negative @ event_low
    channels = node.shape[0]
    return (
        power_shift(lowest.reshape(channels, -1).min(axis=1), node.exponent, 0),
        power_shift(highest.reshape(channels, -1).max(axis=1), node.exponent, 0),
    )


def _sum(node: Node, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    return (
        np.sum([low for low, _ in arriving], axis=0, dtype=np.int64),
        np.sum([high for _, high in arriving], axis=0, dtype=np.int64),
    )


def _same(node: Node, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    return arriving[0]


def _token_sum(node: TokenSum, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    tokens = shapes[0][1] * shapes[0][2]
    return arriving[0][0] * 0, arriving[0][1] * tokens * node.weight


def _token_mean(node: TokenMean, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    tokens = shapes[0][1] * shapes[0][2]
    return arriving[0][0] * tokens >> node.shift, arriving[0][1] * tokens >> node.shift


_INTERVALS: dict[type[Node], Callable[[Any, list[Interval], list[Shape]], Interval]] = {
    Input: _input,
    Conv: _conv,
    Dense: _dense,
    Flatten: _flatten,
    Lif: _spikes,
    CubaLif: _spikes,
    And: _spikes,
    OrPool: _spikes,
    TokenDilate: _spikes,
    Shortcut: _sum,
    Relay: _sum,
    MaxRelay: _sum,
    Gate: _spikes,
    Sparse: _sparse,
    Subsample: _same,
    MaxPool: _same,
    TokenSum: _token_sum,
    TokenMean: _token_mean,
    Readout: _dense,
}
