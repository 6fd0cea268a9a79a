"""Find the values that are proven to fit their registers for any input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sdt_lava.ir import Conv, Graph, Input, Node, Readout, Signal, TokenMean
from sdt_lava.ir.bounds import Bounds, bound
from sdt_lava.ir.intervals import Interval
from sdt_lava.ir.numerics import ACTIVATION_LIMIT, INT32_HIGH, STATE_LIMIT, power_shift
from sdt_lava.ir.registers import certain_limit, relayed_currents, sum_limit


def unproved(graph: Graph, bounds: Bounds) -> frozenset[str]:
    """Return the nodes with values that the weights do not prove to fit.

    Parameters
    ----------
    graph : Graph
        Integer graph, traced or compiled.
    bounds : Bounds
        Bounds of this graph.
    """
    neurons = {
        name
        for name, extremes in bounds.extremes.items()
        if extremes.activation > ACTIVATION_LIMIT or extremes.membrane > STATE_LIMIT
    }
    return frozenset(neurons | unproved_currents(graph, bounds).keys())


def unproved_currents(graph: Graph, bounds: Bounds) -> dict[str, int]:
    """Return the unproven nodes except neurons, with the magnitude up to which each fits."""
    relayed = relayed_currents(graph)
    limits = {node.name: certain_limit(node, node.name in relayed) for node in graph}
    return {
        name: limit
        for name, limit in limits.items()
        if limit is not None and not _fits(graph, graph.nodes[name], bounds.intervals, limit)
    }


def _fits(graph: Graph, node: Node, intervals: dict[str, Interval], limit: int) -> bool:
    interval = intervals[node.name]
    if isinstance(node, TokenMean):
        _, height, width = graph.shapes[node.inputs[0]]
        return intervals[node.inputs[0]].times(height * width).largest <= INT32_HIGH
    if isinstance(node, Readout) and node.bias is not None:
        # The host adds the bias.
        interval = interval.plus(-np.asarray(node.bias, np.int64))
    return interval.largest <= limit


def convolution_may_wrap(graph: Graph, node: Conv) -> bool:
    """Return whether the sums of a convolution are not proven to fit its registers.

    Only the range of its input is needed, and for messages of sigma-delta neurons the nodes before.
    """
    source = graph.nodes[node.inputs[0]]
    if graph.signals[source.name] is Signal.SPIKE or isinstance(source, Input):
        low, high = (source.low, source.high) if isinstance(source, Input) else (0, 1)
    else:
        messages = bound(graph).intervals[source.name]
        low, high = int(messages.low.min()), int(messages.high.max())
    rows = node.weight.reshape(len(node.weight), -1)
    # Keep the type of the weights, since there may be many.
    excited = np.maximum(rows, 0).sum(axis=1, dtype=np.int64)
    inhibited = excited - rows.sum(axis=1, dtype=np.int64)
    up, down = max(high, 0), max(-low, 0)
    largest = np.maximum(excited * up + inhibited * down, excited * down + inhibited * up)
    return bool((power_shift(largest, node.sum_exponent, 0) > sum_limit(node)).any())


def is_proved(graph: Graph, steps: int) -> bool:
    """Return whether no value can leave its register in a run of the given steps from rest."""
    timed = graph if steps <= graph.timesteps else replace(graph, timesteps=steps)
    return not unproved(timed, bound(timed))
