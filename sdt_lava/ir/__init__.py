"""Define the integer graph: node kinds, checks and the printed table."""

from sdt_lava.ir.attention import And, TokenDilate, TokenMean, TokenSum
from sdt_lava.ir.base import NODE_KINDS, Node, Shape, Signal
from sdt_lava.ir.graph import Graph
from sdt_lava.ir.input import Input
from sdt_lava.ir.neurons import CubaLif, Gate, Lif, Relay, SpikingNeurons
from sdt_lava.ir.pooling import MaxPool, MaxRelay, OrPool, Pool
from sdt_lava.ir.readout import GroupSum, Readout
from sdt_lava.ir.shortcuts import Shortcut, Subsample
from sdt_lava.ir.sigma_delta import Delta, MessageNeurons, Sigma, SigmaDelta
from sdt_lava.ir.synapses import Conv, Dense, Flatten, Sparse, Synapse
from sdt_lava.support.lazy import lazy

__all__ = [
    "NODE_KINDS",
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
    "MessageNeurons",
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
    "SpikingNeurons",
    "Subsample",
    "Synapse",
    "TokenDilate",
    "TokenMean",
    "TokenSum",
]

__getattr__ = lazy(__name__)
