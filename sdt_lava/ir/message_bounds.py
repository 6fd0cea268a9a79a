"""Bounds of sigma-delta neurons, whose messages add up to an activation.

Sigma is the weighted sum of all messages so far, and these add up to an activation but for what is
kept below the threshold and the fractions that each of them has lost. So its bound needs what
messages add up to, not what one of them can be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sdt_lava.ir.base import Node
from sdt_lava.ir.graph import Graph
from sdt_lava.ir.intervals import Interval, total
from sdt_lava.ir.sigma_delta import Delta, MessageNeurons


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
        """Bound sigma-delta neurons.

        Parameters
        ----------
        node : MessageNeurons
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
        steps = self._graph.timesteps
        message, self._sums[node.name], state = node.message_bound(added, steps)
        return message, state
