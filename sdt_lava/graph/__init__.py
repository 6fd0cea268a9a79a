"""The integer graph: node kinds, checks, and the table that shows it."""

from sdt_lava.graph.graph import Graph
from sdt_lava.graph.mapped import Gate, Relay, Sparse
from sdt_lava.graph.nodes import (
    NODE_KINDS,
    And,
    Conv,
    Dense,
    Flatten,
    Input,
    Lif,
    MaxPool,
    Node,
    OrPool,
    Readout,
    Shape,
    Shortcut,
    Signal,
    Subsample,
    Synapse,
    TokenMean,
    TokenSum,
)

__all__ = [
    "NODE_KINDS",
    "And",
    "Conv",
    "Dense",
    "Flatten",
    "Gate",
    "Graph",
    "Input",
    "Lif",
    "MaxPool",
    "Node",
    "OrPool",
    "Readout",
    "Relay",
    "Shape",
    "Shortcut",
    "Signal",
    "Sparse",
    "Subsample",
    "Synapse",
    "TokenMean",
    "TokenSum",
]
