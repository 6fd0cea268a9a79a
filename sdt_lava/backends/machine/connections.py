"""Simulate connections: delayed events and their weighted sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir import Dense, Node, Sparse
from sdt_lava.ir.eight_bits import eight_bit_weights
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.weighted_sums import magnitude, weighted_sums


class Connection:
    """A connection with its pending events.

    Parameters
    ----------
    node : Conv, Dense or Sparse
        Node with the weights.
    source : tuple of int
        Shape of the events of one step, ``(lanes, *shape)``.
    steps : int
        Number of machine steps from sending to arrival.

    Raises
    ------
    CompileError
        If the weights do not fit the connection of a processor.
    """

    def __init__(self, node: Node, source: tuple[int, ...], steps: int) -> None:
        if isinstance(node, Sparse):
            eight_bit_weights(node.weight.data, node)
        elif isinstance(node, Dense):
            eight_bit_weights(node.weight, node)
        self._node, self._magnitude = node, magnitude(node)
        self._waiting: NDArray[Any] = np.zeros((steps, *source), np.uint8)

    def deliver(self, sent: NDArray[Any]) -> IntArray:
        """Enqueue the events of some steps and return the sums that arrive in the same steps.

        Parameters
        ----------
        sent : ndarray
            Events of the source, ``(steps, lanes, *shape)``.

        Returns
        -------
        ndarray of int64
            Sums for the reader, ``(steps, lanes, *shape)``.
        """
        events = np.concatenate([self._waiting, sent])
        # Copy the pending events, so that delivered events can be freed.
        self._waiting = events[len(sent) :].copy()
        return weighted_sums(self._node, events[: len(sent)], self._magnitude)
