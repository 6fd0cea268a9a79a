"""Define hierarchical processes, whose SubProcessModels contain Lava's standard processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from sdt_lava.compiler.partition import BlockContent
from sdt_lava.ir import Shape


def _size(shape: Shape) -> int:
    return int(np.prod(shape))


class Block(AbstractProcess):
    """A block of the network, with a flat port for each signal that crosses its border.

    Parameters
    ----------
    content : BlockContent
        Populations and connections of the block.
    """

    def __init__(self, content: BlockContent) -> None:
        super().__init__(content=content, name=content.name)
        self.content = content
        for index, name in enumerate(content.sources):
            setattr(self, f"in_{index}", InPort(shape=(_size(content.shapes[name]),)))
        for index, name in enumerate(content.outputs):
            setattr(self, f"out_{index}", OutPort(shape=(_size(content.shapes[name]),)))

    def in_port(self, name: str) -> InPort:
        """Return the port that reads a population of another block."""
        return getattr(self, f"in_{self.content.sources.index(name)}")

    def out_port(self, name: str) -> OutPort:
        """Return the output port of a population of this block."""
        return getattr(self, f"out_{self.content.outputs.index(name)}")


class PatchSplitting(Block):
    """Convolution stages, their neurons and the positional shortcut."""


class SpikeDrivenSelfAttention(Block):
    """Shortcut neurons, q, k, v, their gates and the projection into the residual stream."""


class SpikingMlp(Block):
    """Two layers of neurons between two points of the residual stream."""


class ClassificationHead(Block):
    """Token mean, its neurons and the readout."""


class Layers(Block):
    """Layers of a network without named blocks."""


def block_class(name: str) -> type[Block]:
    """Return the process class for the name of a block."""
    if name == "patch_embed":
        return PatchSplitting
    if name == "head":
        return ClassificationHead
    return {"attn": SpikeDrivenSelfAttention, "mlp": SpikingMlp}.get(name.split(".")[-1], Layers)


class SpikingNetwork(AbstractProcess):
    """The whole network, with one input port and one port for each observed population.

    Parameters
    ----------
    blocks : sequence of BlockContent
        Blocks in topological order.
    input_name : str
        Name of the input.
    input_shape : tuple of int
        Shape of a frame.
    observed : sequence of str
        Populations with an output port.
    """

    def __init__(
        self,
        blocks: Sequence[BlockContent],
        input_name: str,
        input_shape: Shape,
        observed: Sequence[str],
    ) -> None:
        super().__init__(blocks=tuple(blocks), input_name=input_name, observed=tuple(observed))
        self.observed = tuple(observed)
        self.inp = InPort(shape=(_size(input_shape),))
        shapes = {name: content.shapes[name] for content in blocks for name in content.outputs}
        for index, name in enumerate(self.observed):
            setattr(self, f"out_{index}", OutPort(shape=(_size(shapes[name]),)))

    def out_port(self, name: str) -> OutPort:
        """Return the output port of an observed population."""
        return getattr(self, f"out_{self.observed.index(name)}")
