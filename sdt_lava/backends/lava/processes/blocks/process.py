"""Processes with one SubProcessModel each: what is inside are Lava's standard processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from sdt_lava.compiler.partition import BlockPlan
from sdt_lava.ir import Shape


def _size(shape: Shape) -> int:
    return int(np.prod(shape))


class Block(AbstractProcess):
    """A block of the network: ports for signals that cross its border, flat vectors each.

    Parameters
    ----------
    plan : BlockPlan
        Populations and connections inside.
    """

    def __init__(self, plan: BlockPlan) -> None:
        super().__init__(plan=plan, name=plan.name)
        self.plan = plan
        for index, name in enumerate(plan.sources):
            setattr(self, f"in_{index}", InPort(shape=(_size(plan.shapes[name]),)))
        for index, name in enumerate(plan.outputs):
            setattr(self, f"out_{index}", OutPort(shape=(_size(plan.shapes[name]),)))

    def in_port(self, name: str) -> InPort:
        """Port that reads a population of another block."""
        return getattr(self, f"in_{self.plan.sources.index(name)}")

    def out_port(self, name: str) -> OutPort:
        """Port that shows a population of this block."""
        return getattr(self, f"out_{self.plan.outputs.index(name)}")


class PatchSplitting(Block):
    """Convolution stages, their neurons, and the positional shortcut."""


class SpikeDrivenSelfAttention(Block):
    """Shortcut neurons, q, k, v, their gates, and the projection into the residual stream."""


class SpikingMlp(Block):
    """Two layers of neurons between two points of the residual stream."""


class ClassificationHead(Block):
    """Token mean, its neurons and the readout."""


class Layers(Block):
    """Layers of a network without named blocks."""


def block_class(name: str) -> type[Block]:
    """Return the process class that shows what a block is."""
    if name == "patch_embed":
        return PatchSplitting
    if name == "head":
        return ClassificationHead
    return {"attn": SpikeDrivenSelfAttention, "mlp": SpikingMlp}.get(name.split(".")[-1], Layers)


class SpikingNetwork(AbstractProcess):
    """The whole network: one input port, a port for each observed population.

    Parameters
    ----------
    blocks : sequence of BlockPlan
        Blocks in the order in which signals reach them.
    input_name : str
        Name of the input.
    input_shape : tuple of int
        Shape of a frame.
    observed : sequence of str
        Populations with an output port.
    """

    def __init__(
        self,
        blocks: Sequence[BlockPlan],
        input_name: str,
        input_shape: Shape,
        observed: Sequence[str],
    ) -> None:
        super().__init__(blocks=tuple(blocks), input_name=input_name, observed=tuple(observed))
        self.observed = tuple(observed)
        self.inp = InPort(shape=(_size(input_shape),))
        shapes = {name: plan.shapes[name] for plan in blocks for name in plan.outputs}
        for index, name in enumerate(self.observed):
            setattr(self, f"out_{index}", OutPort(shape=(_size(shapes[name]),)))

    def out_port(self, name: str) -> OutPort:
        """Port that shows an observed population."""
        return getattr(self, f"out_{self.observed.index(name)}")
