"""Prove that integer sums do not overflow, from weights, biases and thresholds alone.

Every node gets an interval per channel that holds for any input; borders of convolutions can only
shrink it. A neuron that does not fire has ``v <= threshold``, so its upper bound does not grow with
time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sdt_lava.ir.attention import TokenMean
from sdt_lava.ir.base import EVENTS, Node, Shape
from sdt_lava.ir.graph import Graph
from sdt_lava.ir.intervals import Interval, feedback, total
from sdt_lava.ir.leaks import Climb, reached
from sdt_lava.ir.message_bounds import MessageSums
from sdt_lava.ir.neurons import SpikingNeurons
from sdt_lava.ir.numerics import ACTIVATION_SHIFT, DECAY_UNITY, IntArray
from sdt_lava.ir.registers import sum_limit
from sdt_lava.ir.sigma_delta import MessageNeurons
from sdt_lava.ir.watch import SUM24, SUM32

# Key of the bounds that are cached in a graph.
_KEY = "bounds"


@dataclass(frozen=True)
class Extremes:
    """Largest magnitudes in a neuron population.

    Parameters
    ----------
    activation : int
        Largest ``|sum of weighted input|``.
    membrane : int
        Largest ``|v|`` before saturation, in the units of the 24-bit state; for sigma-delta
        neurons, the largest of their states.
    """

    activation: int
    membrane: int

    def or_larger(self, other: Extremes | None) -> Extremes:
        """Return the elementwise maximum with other extremes."""
        if other is None:
            return self
        return Extremes(max(self.activation, other.activation), max(self.membrane, other.membrane))


@dataclass(frozen=True)
class Bounds:
    """Bounds on the values of every node of a traced or compiled integer graph.

    Parameters
    ----------
    intervals : dict of str to Interval
        Lowest and highest value that each node can emit, by channel, ``(C,)``.
    extremes : dict of str to Extremes
        Extremes of each LIF.
    """

    intervals: dict[str, Interval]
    extremes: dict[str, Extremes]


def bound(graph: Graph) -> Bounds:
    """Bound the output of every node and the state of every LIF for any input.

    If a sum may leave its register, its interval includes all values to which it may wrap.

    The bounds are cached in the graph. Neurons with a slow leak are bounded for runs of
    ``graph.timesteps`` steps, others for runs of any length.
    """
    if _KEY not in graph.derived:
        graph.derived[_KEY] = _bound(graph, graph.nodes)
    bounds: Bounds = graph.derived[_KEY]
    return bounds


def bound_extremes(graph: Graph) -> dict[str, Extremes]:
    """Bound the activation and membrane of every LIF for any input.

    Returns
    -------
    dict of str to Extremes
        Extremes by LIF name.
    """
    return bound(graph).extremes


def never_fires(graph: Graph, node: SpikingNeurons, steps: int) -> bool:
    """Return whether no input can make neurons fire that start from rest.

    Parameters
    ----------
    graph : Graph
        Integer graph with the neurons.
    node : SpikingNeurons
        Neurons to check.
    steps : int
        Number of steps over which the neurons integrate.
    """
    intervals = bound(graph).intervals
    arriving = total([intervals[source] for source in node.inputs])
    # Neurons that never fire receive no recurrent input.
    high = arriving.or_nothing.high << ACTIVATION_SHIFT
    _, voltage = reached(Climb(high, *_drive(node), None), steps)
    return bool(np.all(voltage <= np.asarray(node.threshold, np.int64) << ACTIVATION_SHIFT))


def bound_nodes(graph: Graph, nodes: Mapping[str, Node]) -> dict[str, Extremes]:
    """Bound the LIFs of a group whose integer nodes replace those of a float graph.

    Parameters
    ----------
    graph : Graph
        Graph of the nodes.
    nodes : mapping of str to Node
        Integer nodes by name, which read currents only from one another.

    Returns
    -------
    dict of str to Extremes
        Extremes by LIF name.
    """
    return _bound(graph, nodes).extremes


def _bound(graph: Graph, nodes: Mapping[str, Node]) -> Bounds:
    intervals: dict[str, Interval] = {}
    extremes: dict[str, Extremes] = {}
    sums = MessageSums(graph) if graph.message_names else None
    for name in graph.order:
        node = nodes.get(name)
        # Other nodes matter only if they send events, whose range does not depend on weights.
        if node is None and graph.signals[name] not in EVENTS:
            continue
        arriving = [intervals[source] for source in graph.nodes[name].inputs if source in intervals]
        shapes = [graph.shapes[source] for source in graph.nodes[name].inputs]
        if isinstance(node, SpikingNeurons):
            if node.weight_rec is not None:
                arriving.append(feedback(node.weight_rec, graph.shapes[name]))
            extremes[name] = _lif_extremes(node, total(arriving), graph.timesteps)
        bounded = graph.nodes[name] if node is None else node
        if sums is not None and isinstance(bounded, MessageNeurons):
            intervals[name], state = sums.of_neurons(bounded, arriving)
            extremes[name] = Extremes(0, state)
            continue
        emitted = bounded.interval(arriving, shapes)
        intervals[name] = _held(bounded, emitted, arriving, shapes)
        if sums is not None:
            sums.follow(bounded, intervals[name])
    return Bounds(intervals, extremes)


def _held(node: Node, emitted: Interval, arriving: list[Interval], shapes: list[Shape]) -> Interval:
    """Extend an interval that may leave its register by all values to which it may wrap."""
    low, high = SUM32.low, SUM32.high
    if isinstance(node, TokenMean):
        tokens = shapes[0][1] * shapes[0][2]
        fits = arriving[0].times(tokens).largest <= high
        low, high = low >> node.shift, high >> node.shift
    elif node.holds_sums:
        fits = emitted.largest <= sum_limit(node)
        if not node.is_matrix:
            low, high = SUM24.low, SUM24.high
    else:
        fits = emitted.largest <= high
    if fits:
        return emitted
    return Interval(np.minimum(emitted.low, low), np.maximum(emitted.high, high))


def _drive(node: SpikingNeurons) -> tuple[IntArray, IntArray, IntArray, int]:
    """Return bias, losses and shift of neurons for a `Climb`."""
    bias = np.asarray(0 if node.bias is None else node.bias, np.int64) << node.bias_exponent
    losses = (np.asarray(node.current_decay, np.int64), np.asarray(node.voltage_decay, np.int64))
    return bias, *losses, node.drive_shift


def _lif_extremes(node: SpikingNeurons, arriving: Interval, timesteps: int) -> Extremes:
    drive = _drive(node)
    # After a step, the membrane is at most the threshold, or 0 after a spike.
    ceiling = np.maximum(np.asarray(node.threshold, np.int64) << ACTIVATION_SHIFT, 0)
    # There is no input before the first sample.
    low, high = (end << ACTIVATION_SHIFT for end in arriving.or_nothing)
    # Rounding is towards zero, so falling mirrors rising.
    sides = (
        reached(Climb(-low, -drive[0], *drive[1:], None), timesteps),
        reached(Climb(high, *drive, ceiling), timesteps),
    )
    activation = arriving.largest
    if np.min(node.current_decay) < DECAY_UNITY:
        # With memory in u, the current can exceed the activation of a step.
        largest = max(int(current.max(initial=0)) for current, _ in sides)
        activation = max(activation, largest >> ACTIVATION_SHIFT)
    return Extremes(activation, max(int(voltage.max(initial=0)) for _, voltage in sides))
