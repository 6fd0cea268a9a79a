"""Bound sigma-delta neurons, whose messages sum to an activation.

Sigma is the weighted sum of all messages so far. Messages sum to an activation, except for changes
below the threshold and the fraction that each message loses. The bound of sigma therefore needs the
range of sums of messages, not that of single messages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sdt_lava.ir.base import Node
from sdt_lava.ir.graph import Graph
from sdt_lava.ir.intervals import Interval, total
from sdt_lava.ir.sigma_delta import Delta, MessageNeurons


class MessageSums:
    """Bounds on the outputs of nodes summed over the steps of a sample.

    Parameters
    ----------
    graph : Graph
        Integer graph, whose nodes must be added in order.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._sums: dict[str, Interval] = {}

    def follow(self, node: Node, emitted: Interval) -> None:
        """Add a node of another kind with the interval of its output in a step."""
        steps = self._graph.timesteps
        if not node.is_linear or any(name not in self._sums for name in node.inputs):
            self._sums[node.name] = emitted.or_nothing.times(steps)
            return
        shapes = [self._graph.shapes[source] for source in node.inputs]
        added = node.interval([self._sums[name] for name in node.inputs], shapes)
        rounds = int(np.min(node.sum_exponent)) < 0
        self._sums[node.name] = Interval(added.low - steps, added.high) if rounds else added

    def of_neurons(
        self, node: MessageNeurons, arriving: Sequence[Interval]
    ) -> tuple[Interval, int]:
        """Add sigma-delta neurons and return their bounds.

        Parameters
        ----------
        node : MessageNeurons
            Node of the neurons.
        arriving : sequence of Interval
            Interval of each input in a step.

        Returns
        -------
        message : Interval
            Interval of a message.
        state : int
            Largest magnitude of a state.
        """
        if not isinstance(node, Delta):
            arriving = [self._sums[name] for name in node.inputs]
        added = total(arriving).or_nothing
        steps = self._graph.timesteps
        message, self._sums[node.name], state = node.message_bound(added, steps)
        return message, state
