"""The integer graph: node kinds, checks, and the table that shows it."""

from sdt_lava.ir.base import NODE_KINDS, Node, Shape, Signal
from sdt_lava.ir.cuba import LIF_KINDS, CubaLif
from sdt_lava.ir.dilation import TokenDilate
from sdt_lava.ir.graph import Graph
from sdt_lava.ir.group_sum import GroupSum
from sdt_lava.ir.input import Input
from sdt_lava.ir.mapped import Gate, MaxRelay, Relay, Sparse
from sdt_lava.ir.nodes import (
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
from sdt_lava.ir.sigma_delta import SIGMA_DELTA_KINDS, Delta, Sigma, SigmaDelta
from sdt_lava.support.lazy import lazy

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

__getattr__ = lazy(__name__)
