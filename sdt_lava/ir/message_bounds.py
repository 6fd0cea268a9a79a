"""Bounds of sigma-delta neurons, whose messages add up to an activation.

Sigma is the weighted sum of all messages so far, and these add up to an activation but for what is
kept below the threshold and the fractions that each of them has lost. So its bound needs what
messages add up to, not what one of them can be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sdt_lava.ir import (
    Conv,
    Delta,
    Dense,
    Flatten,
    Graph,
    Node,
    Relay,
    Shortcut,
    Sigma,
    SigmaDelta,
    Sparse,
    Subsample,
)
from sdt_lava.ir.intervals import INTERVALS, Interval, total

# What is sent in a step, what that adds up to, and the largest magnitude of a state.
_Found = tuple[Interval, Interval, int]

# Lava keeps states in 32 bits, whatever happens: no activation and no message is larger.
_MOST = 1 << 32
# Kinds of which the sum over time is a function of the sums that arrive.
_LINEAR = (Conv, Dense, Flatten, Sparse, Shortcut, Subsample, Relay)


class MessageSums:
    """What the nodes of a graph emit, added up over the steps of a sample.

    Parameters
    ----------
    graph : Graph
        Integer graph; its nodes are to be given in their order.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._sums: dict[str, Interval] = {}

    def follow(self, node: Node, emitted: Interval) -> None:
        """Take in a node of another kind, and what it emits in a step."""
        steps = self._graph.timesteps
        if not isinstance(node, _LINEAR) or any(name not in self._sums for name in node.inputs):
            self._sums[node.name] = emitted.or_nothing.times(steps)
            return
        shapes = [self._graph.shapes[source] for source in node.inputs]
        added = INTERVALS[type(node)](node, [self._sums[name] for name in node.inputs], shapes)
        rounds = int(np.min(getattr(node, "exponent", 0))) < 0
        self._sums[node.name] = Interval(added.low - steps, added.high) if rounds else added

    def of_neurons(self, node: Node, arriving: Sequence[Interval]) -> tuple[Interval, int]:
        """Bound sigma-delta neurons.

        Parameters
        ----------
        node : SigmaDelta, Delta or Sigma
            What they compute.
        arriving : sequence of Interval
            What each of its inputs can be in a step.

        Returns
        -------
        message : Interval
            What they send in a step.
        state : int
            Largest magnitude of a state.
        """
        if not isinstance(node, Delta):
            arriving = [self._sums[name] for name in node.inputs]
        added = total(arriving).or_nothing
        message, self._sums[node.name], state = _BOUNDS[type(node)](
            node, added, self._graph.timesteps
        )
        return message, state


def _sigma_delta(node: SigmaDelta, sigma: Interval, steps: int) -> _Found:
    shift = node.spike_exponent + node.state_exponent
    bias: Any = 0 if node.bias is None else np.asarray(node.bias, np.int64) << shift
    biased = sigma.plus(bias)
    floor = 0 if node.rectified else -_MOST
    activation = Interval(np.maximum(biased.low, floor), np.maximum(biased.high, floor))
    # Messages that a neuron with a lead has sent before are part of the sum.
    message, added, state = _changes(node, activation, steps + node.lead)
    return message, added, max(sigma.largest, biased.largest, state)


def _delta(node: Delta, value: Interval, steps: int) -> _Found:
    return _changes(node, value.shifted(node.spike_exponent + node.state_exponent), steps)


def _sigma(node: Sigma, sigma: Interval, steps: int) -> _Found:
    return _limited(sigma), _limited(sigma.times(steps)), sigma.largest


def _changes(node: SigmaDelta | Delta, activation: Interval, steps: int) -> _Found:
    """Bound what sends the changes of an activation that starts at 0."""
    low, high = activation.or_nothing
    kept = int(node.threshold) << (node.spike_exponent + node.state_exponent)
    change = high - low + kept
    # What a message leaves out is never made up for: less than one a step.
    lost = -node.state_exponent
    message = _limited(Interval(-change, change).shifted(lost))
    added = _limited(Interval(low - kept, high + kept).shifted(lost))
    return message, Interval(added.low - steps, added.high), int(change.max(initial=0))


def _limited(interval: Interval) -> Interval:
    return Interval(np.clip(interval.low, -_MOST, _MOST), np.clip(interval.high, -_MOST, _MOST))


_BOUNDS: Mapping[type[Node], Callable[[Any, Interval, int], _Found]] = {
    SigmaDelta: _sigma_delta,
    Delta: _delta,
    Sigma: _sigma,
}
