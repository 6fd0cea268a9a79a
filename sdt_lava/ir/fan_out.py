"""Exact fan-out of every source neuron of a connection, borders of convolutions included."""

from __future__ import annotations

from sdt_lava.ir.base import Node
from sdt_lava.ir.numerics import IntArray, Shape


def fan_out(node: Node, source_shape: Shape) -> IntArray:
    """Count the synapses that each source neuron drives.

    A synapse is a connection, whatever its weight: one that was rounded to 0 counts too.

    Parameters
    ----------
    node : Node
        The connection.
    source_shape : tuple of int
        Shape of the population it reads.

    Returns
    -------
    ndarray of int64
        ``(*source_shape)``.
    """
    return node.relation([source_shape]).fan_out.reshape(source_shape)
