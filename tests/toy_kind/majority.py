"""A pool that fires where enough of its window does: one class, and three registrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from sdt_lava.compiler.passes.lower_kinds import lowers
from sdt_lava.compiler.passes.lower_pooling import counting_gate
from sdt_lava.io.netx.schema import WINDOW_LIMIT, Layer, Scalar, register_layer
from sdt_lava.ir import Graph, Node, Shape, Signal
from sdt_lava.ir.base import SPIKES
from sdt_lava.ir.intervals import Interval, spikes
from sdt_lava.ir.numerics import POOL_WEIGHT, IntArray
from sdt_lava.ir.relations import Connectivity, channelwise, windows
from sdt_lava.quantize.float_run import float_form


@dataclass(frozen=True, kw_only=True, eq=False)
class Majority(Node):
    """A spike where at least `needed` inputs of a square window spike.

    Parameters
    ----------
    kernel, stride : int
        Side of the window, and distance between windows.
    needed : int
        Spikes that it takes.
    """

    kernel: int = 2
    stride: int = 2
    needed: int = 2

    kind: ClassVar[str] = "majority"
    accepts: ClassVar[frozenset[Signal]] = SPIKES
    emits: ClassVar[Signal] = Signal.SPIKE

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return ``(C, H', W')``."""
        channels, *sides = shapes[0]
        if min(sides) < self.kernel or not 0 < self.needed <= self.kernel**2:
            raise self.mismatch(f"{self.needed} of windows on {shapes[0]}", "windows inside it")
        height, width = ((side - self.kernel) // self.stride + 1 for side in sides)
        return channels, height, width

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return a spike where enough of a window spikes."""
        _, height, width = self.output_shape([inputs[0].shape[2:]])
        counts = np.zeros((*inputs[0].shape[:3], height, width), np.int64)
        for row, column in np.ndindex(self.kernel, self.kernel):
            reached = inputs[0][..., row :: self.stride, column :: self.stride]
            counts += reached[..., :height, :width]
        return (counts >= self.needed).astype(np.int64)

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return spikes or none."""
        return spikes(shapes[0][0])

    def relation(self, shapes: Sequence[Shape], operand: int = 0) -> Connectivity:
        """Return the windows, in each channel."""
        channels, *output = self.output_shape(shapes)
        sides = ((self.kernel,) * 2, (self.stride,) * 2, (0, 0))
        return channelwise(channels, windows(shapes[0][1:], tuple(output), *sides))


register_layer(
    Layer(
        Majority,
        "majority",
        (
            Scalar("kernel", 1, WINDOW_LIMIT),
            Scalar("stride", 1, WINDOW_LIMIT),
            Scalar("needed", 1, WINDOW_LIMIT),
        ),
    )
)


@float_form(Majority)
def count_spikes(node: Majority, arriving: list[torch.Tensor]) -> torch.Tensor:
    """Return what the model computes, in floating point."""
    images = arriving[0].flatten(0, 1).double()
    share = functional.avg_pool2d(images, node.kernel, node.stride)
    fires = share * node.kernel**2 >= node.needed - 0.5
    return fires.to(torch.uint8).unflatten(0, arriving[0].shape[:2])


@lowers(Majority)
def lower_majority(graph: Graph, node: Majority) -> list[Node]:
    """Return a gate that fires on one spike more than are too few."""
    return counting_gate(graph, node, POOL_WEIGHT * node.needed - 1)
