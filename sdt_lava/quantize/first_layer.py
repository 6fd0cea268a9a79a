"""The unit of input events, and the right shift of sums in layers that read the network's input.

Neither Loihi nor Lava limits the input of such a layer, but sums of full weights times an image or
counts often exceed 24 bits. A negative exponent shifts the sums to the right.
"""

from __future__ import annotations

import numpy as np

from sdt_lava.importers.fold import FloatArray
from sdt_lava.ir import Graph, Input, Node, Readout, Signal, Synapse
from sdt_lava.ir.numerics import ACTIVATION_SHIFT
from sdt_lava.quantize.weight_format import WeightFormat


def input_before(graph: Graph, synapse: Node) -> Input | None:
    """Return the input that a synapse reads, directly or flattened; None for any other source."""
    source = graph.unflattened(synapse.inputs[0])
    return source if isinstance(source, Input) else None


def event_unit(graph: Graph, synapse: Node) -> float:
    """Return the real value of one integer unit of the events that a synapse receives."""
    source = input_before(graph, synapse)
    return 1.0 if source is None else 1.0 / source.scale


def effective_weight(graph: Graph, synapse: Synapse) -> FloatArray:
    """Return the weights per integer unit of input, in float64."""
    return np.asarray(synapse.weight, np.float64) * event_unit(graph, synapse)


def least_exponent(graph: Graph, name: str, weights: WeightFormat) -> int:
    """Return the smallest weight exponent that a layer may have.

    For graded input, sums of full weights exceed the 17 bits that neurons can receive, so they are
    shifted to the right, by at most six bits: a sum that fits 17 bits after the shift fitted 24
    bits before it.
    """
    node = graph.nodes[name]
    if weights.first_layer != "full" or isinstance(node, Readout):
        return 0
    source = input_before(graph, node)
    is_graded = source is not None and graph.signals[source.name] is Signal.GRADED
    return -ACTIVATION_SHIFT if is_graded else 0
