"""The integer graph: node kinds, checks, and the table that shows it."""

from sdt_lava.graph.base import NODE_KINDS, Node, Shape, Signal
from sdt_lava.graph.cuba import LIF_KINDS, CubaLif
from sdt_lava.graph.dilation import TokenDilate
from sdt_lava.graph.graph import Graph
from sdt_lava.graph.group_sum import GroupSum
from sdt_lava.graph.input import Input
from sdt_lava.graph.mapped import Gate, MaxRelay, Relay, Sparse
from sdt_lava.graph.nodes import (
    And,
    Conv,
    Dense,
    Flatten,
    Lif,
    MaxPool,
    OrPool,
    Pool,
    Readout,
    Shortcut,
    Subsample,
    Synapse,
    TokenMean,
    TokenSum,
)
from sdt_lava.graph.sigma_delta import SIGMA_DELTA_KINDS, Delta, Sigma, SigmaDelta

__all__ = [
    "LIF_KINDS",
    "NODE_KINDS",
    "SIGMA_DELTA_KINDS",
    "And",
    "Conv",
    "CubaLif",
    "Delta",
    "Dense",
    "Flatten",
    "Gate",
    "Graph",
    "GroupSum",
    "Input",
    "Lif",
    "MaxPool",
    "MaxRelay",
    "Node",
    "OrPool",
    "Pool",
    "Readout",
    "Relay",
    "Shape",
    "Shortcut",
    "Sigma",
    "SigmaDelta",
    "Signal",
    "Sparse",
    "Subsample",
    "Synapse",
    "TokenDilate",
    "TokenMean",
    "TokenSum",
]
