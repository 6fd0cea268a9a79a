"""Layers that read the network's input: the unit of their events, and how far sums are shifted.

Nothing on Loihi or in Lava limits what such a layer may read, but 24 bits hold few sums of full
weights times an image or counts. A negative exponent shifts the sums to the right.
"""

from __future__ import annotations

import numpy as np

from sdt_lava.importers.fold import FloatArray
from sdt_lava.ir import Graph, Input, Node, Readout, Signal, Synapse
from sdt_lava.ir.numerics import ACTIVATION_SHIFT
from sdt_lava.quantize.weight_format import WeightFormat


def input_before(graph: Graph, synapse: Node) -> Input | None:
    """Return the input that a synapse reads, be it as a vector; None if it reads anything else."""
    source = graph.unflattened(synapse.inputs[0])
    return source if isinstance(source, Input) else None


def event_unit(graph: Graph, synapse: Node) -> float:
    """Return the real value of one integer unit of the events that a synapse receives."""
    entry = input_before(graph, synapse)
    return 1.0 if entry is None else 1.0 / entry.scale


def effective_weight(graph: Graph, synapse: Synapse) -> FloatArray:
    """Return weights per integer unit of input, float64."""
    return np.asarray(synapse.weight, np.float64) * event_unit(graph, synapse)


def least_exponent(graph: Graph, name: str, weights: WeightFormat) -> int:
    """Return the smallest weight exponent that a layer may have.

    Where the input is graded, sums of full weights are larger than what neurons hold, 17 bits, and
    are shifted to the right. By six bits at most: then what fits 17 bits afterwards has fit 24.
    """
    node = graph.nodes[name]
    if weights.first_layer != "full" or isinstance(node, Readout):
        return 0
    entry = input_before(graph, node)
    is_graded = entry is not None and graph.signals[entry.name] is Signal.GRADED
    return -ACTIVATION_SHIFT if is_graded else 0
