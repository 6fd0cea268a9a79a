"""Count the exact fan-out of source neurons, including borders of convolutions."""

from __future__ import annotations

from sdt_lava.ir.base import Node
from sdt_lava.ir.numerics import IntArray, Shape


def fan_out(node: Node, source_shape: Shape) -> IntArray:
    """Count the synapses that each source neuron drives.

    Every synapse counts, even if its weight was rounded to 0.

    Parameters
    ----------
    node : Node
        Connection whose synapses are counted.
    source_shape : tuple of int
        Shape of the source population.

    Returns
    -------
    ndarray of int64
        Fan-out of each neuron, ``(*source_shape)``.
    """
    return node.relation([source_shape]).fan_out.reshape(source_shape)
