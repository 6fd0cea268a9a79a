"""Move biases from synapses into the neurons that read them.

A membrane shortcut adds currents, so a neuron on the residual stream sees the sum of the biases
of every branch before it. Hardware has biases in neurons only, and relays have none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sdt_lava.importers.fold import FloatArray
from sdt_lava.ir import (
    LIF_KINDS,
    Graph,
    MaxPool,
    Node,
    Readout,
    Shortcut,
    Subsample,
    Synapse,
    TokenMean,
)


def gather_biases(graph: Graph) -> Graph:
    """Return a float graph in which only neurons and the readout have biases."""
    carried: dict[str, FloatArray | None] = {}
    nodes: list[Node] = []
    for node in graph:
        arriving = [carried[name] for name in node.inputs]
        if isinstance(node, Readout):
            nodes.append(node)
            carried[node.name] = None
        elif isinstance(node, Synapse):
            carried[node.name] = None if node.bias is None else np.asarray(node.bias, np.float64)
            nodes.append(replace(node, bias=None))
        elif isinstance(node, LIF_KINDS):
            own = None if node.bias is None else np.asarray(node.bias, np.float64)
            nodes.append(replace(node, bias=_sum([*arriving, own])))
            carried[node.name] = None
        else:
            nodes.append(node)
            carried[node.name] = _passed_on(node, arriving)
    return graph.rebuild(nodes)


def _passed_on(node: Node, arriving: list[FloatArray | None]) -> FloatArray | None:
    # A constant per channel survives a sum, a choice of positions, a maximum and a mean.
    if isinstance(node, Shortcut | Subsample | MaxPool | TokenMean):
        return _sum(arriving)
    return None


def _sum(biases: list[FloatArray | None]) -> FloatArray | None:
    present = [bias for bias in biases if bias is not None]
    return np.sum(present, axis=0) if present else None
