"""Connections of the machine: events that are on their way, and weighted sums of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir import Dense, Node, Sparse
from sdt_lava.ir.eight_bits import eight_bit_weights
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.weighted_sums import magnitude, weighted_sums


class Connection:
    """Synapses and the events that wait to cross them.

    Parameters
    ----------
    node : Conv, Dense or Sparse
        Weights.
    source : tuple of int
        ``(lanes, *shape)`` of what is sent.
    steps : int
        Machine steps from sending to arrival.

    Raises
    ------
    CompileError
        If the connection of a processor cannot hold the weights.
    """

    def __init__(self, node: Node, source: tuple[int, ...], steps: int) -> None:
        if isinstance(node, Sparse):
            eight_bit_weights(node.weight.data, node)
        elif isinstance(node, Dense):
            eight_bit_weights(node.weight, node)
        self._node, self._magnitude = node, magnitude(node)
        self._waiting: NDArray[Any] = np.zeros((steps, *source), np.uint8)

    def deliver(self, sent: NDArray[Any]) -> IntArray:
        """Take what was sent in some steps; return the sums that arrive in the same steps.

        Parameters
        ----------
        sent : ndarray
            ``(steps, lanes, *shape)``.

        Returns
        -------
        ndarray of int64
            ``(steps, lanes, *shape)`` of the reader.
        """
        events = np.concatenate([self._waiting, sent])
        # A copy, so that what has arrived can be freed.
        self._waiting = events[len(sent) :].copy()
        return weighted_sums(self._node, events[: len(sent)], self._magnitude)
