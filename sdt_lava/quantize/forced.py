"""Run layers under teacher forcing: each one receives the float model's own input spikes.

Each layer is thus evaluated by itself: a difference in one layer does not affect later ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdt_lava.engine.registry import Context, evaluator
from sdt_lava.ir import Graph, Input, Node, SpikingNeurons
from sdt_lava.ir.batches import samples_at_once
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.encoding import encode
from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.torch_state import exact_arithmetic

SpikeArrays = Mapping[str, NDArray[np.uint8]]
# From input (B, *shape) or (B, T, *shape) to the spikes of every LIF, (T, B, *shape).
Teacher = Callable[[NDArray[np.floating]], SpikeArrays]


@dataclass(frozen=True, eq=False)
class RecordedBatch:
    """Inputs and spikes of the float model for a batch of samples, packed eight spikes to a byte.

    Parameters
    ----------
    frames : ndarray of int
        Integer input ``(T, B, *shape)``.
    packed : mapping of str to ndarray
        Spikes of each LIF as bits.
    shapes : mapping of str to tuple of int
        Shape of a LIF's spikes, ``(T, B, *shape)``.
    """

    frames: IntArray
    packed: Mapping[str, NDArray[np.uint8]]
    shapes: Mapping[str, tuple[int, ...]]

    def spikes(self, lif: str) -> Tensor:
        """Return the spikes of one LIF, ``(T, B, *shape)``."""
        shape = self.shapes[lif]
        bits = np.unpackbits(self.packed[lif], count=int(np.prod(shape)))
        return torch.from_numpy(bits.reshape(shape))

    def events(self, graph: Graph, name: str) -> Tensor:
        """Return the output of a node that sends events; such a node is the same in both graphs."""
        node = graph.nodes[name]
        if isinstance(node, Input):
            return torch.from_numpy(self.frames)
        if isinstance(node, SpikingNeurons):
            return self.spikes(name)
        inputs = [self.events(graph, source) for source in node.inputs]
        return evaluator(type(node))(node, inputs, Context())


def record(graph: Graph, x: NDArray[np.floating], teacher: Teacher) -> Iterator[RecordedBatch]:
    """Run the float model and record its spikes, in batches limited by memory.

    Parameters
    ----------
    graph : Graph
        The float model's graph.
    x : ndarray
        ``(B, *shape)`` or ``(B, T, *shape)``.
    teacher : callable
        Function that returns the float model's spikes.
    """
    frames = encode(graph, x)
    size = samples_at_once(graph, len(frames))
    for start in range(0, len(x), size):
        spikes = teacher(x[start : start + size])
        yield RecordedBatch(
            # Copied because a static image is one array broadcast to all steps.
            frames=np.array(frames[:, start : start + size], np.int64, order="C"),
            packed={name: np.packbits(values) for name, values in spikes.items()},
            shapes={name: values.shape for name, values in spikes.items()},
        )


class ForcedLayers:
    """The integer nodes of one LIF group, run on recorded events.

    Parameters
    ----------
    graph : Graph
        Graph that the nodes belong to.
    nodes : mapping of str to Node
        Integer nodes; the currents that they read must come from one another.

    Attributes
    ----------
    extremes : dict of str to Extremes
        Largest magnitudes in each population of neurons, over all runs.
    """

    def __init__(self, graph: Graph, nodes: Mapping[str, Node]) -> None:
        self.graph = graph
        self.nodes = [nodes[name] for name in graph.order if name in nodes]
        self.extremes: dict[str, Extremes] = {}

    @torch.no_grad()
    def spikes(self, batch: RecordedBatch) -> Iterator[tuple[str, Tensor]]:
        """Yield the name and the spikes ``(T, B, *shape)`` of each LIF."""
        context = Context(strict=False, extremes=self.extremes)
        currents: dict[str, Tensor] = {}
        for node in self.nodes:
            inputs = [
                currents[source] if source in currents else batch.events(self.graph, source)
                for source in node.inputs
            ]
            with exact_arithmetic():
                values = evaluator(type(node))(node, inputs, context)
            if isinstance(node, SpikingNeurons):
                yield node.name, values
            else:
                currents[node.name] = values

    def differing_by_lif(self, batch: RecordedBatch) -> dict[str, int]:
        """Count the spikes of each LIF that differ from the recorded ones."""
        return {
            name: int(torch.count_nonzero(values != batch.spikes(name)))
            for name, values in self.spikes(batch)
        }
