"""Build the Lava process of a compiled network."""

from __future__ import annotations

from sdt_lava.backends.lava.processes.blocks import SpikingNetwork
from sdt_lava.compiler.compile import CompiledNetwork
from sdt_lava.compiler.partition import partition


def build_network(compiled: CompiledNetwork) -> SpikingNetwork:
    """Build the Lava process of a whole network, as returned by :meth:`Deployment.build`."""
    graph, observed = compiled.graph, compiled.observed
    blocks = partition(graph, compiled.schedule, observed)
    return SpikingNetwork(blocks, graph.input.name, graph.input_shape, observed)
