"""Move biases from synapses to the neurons that read them.

A membrane shortcut adds currents, so a neuron on the residual stream receives the sum of the biases
of all branches before it. Hardware has biases only in neurons, and relays have none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir.base import Node
from sdt_lava.ir.graph import Graph
from sdt_lava.ir.neurons import SpikingNeurons
from sdt_lava.ir.readout import Readout
from sdt_lava.ir.synapses import Synapse

FloatArray = NDArray[np.float64]


def gather_biases(graph: Graph) -> Graph:
    """Return a float graph in which only neurons and the readout have biases.

    Raises
    ------
    KindError
        If a bias reaches a kind of node that does not declare that it passes on a constant per
        channel (`carries_bias`).
    """
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
        elif isinstance(node, SpikingNeurons):
            own_bias = None if node.bias is None else np.asarray(node.bias, np.float64)
            nodes.append(replace(node, bias=_sum([*arriving, own_bias])))
            carried[node.name] = None
        else:
            nodes.append(node)
            carried[node.name] = _passed_on(node, arriving)
    return graph.rebuild(nodes)


def _passed_on(node: Node, arriving: list[FloatArray | None]) -> FloatArray | None:
    bias = _sum(arriving)
    if bias is not None and not node.carries_bias:
        raise node.lacks("whether a bias that arrives also leaves", "carries_bias")
    return bias


def _sum(biases: list[FloatArray | None]) -> FloatArray | None:
    present = [bias for bias in biases if bias is not None]
    return np.sum(present, axis=0) if present else None
