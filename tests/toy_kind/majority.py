"""A pool that fires where enough of its window does: one class, and four registrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function_unary

from sdt_lava.compiler.passes.lower_kinds import lowers
from sdt_lava.compiler.passes.lower_pooling import counting_gate
from sdt_lava.importers.tracing.axes import whole
from sdt_lava.importers.tracing.calls import Call, handles
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import Events, Traced
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


def majority(x: Tensor, kernel: int, stride: int, needed: int) -> Tensor:
    """Return spikes where enough of a window of spikes ``(..., H, W)`` spikes, as a model does."""
    if has_torch_function_unary(x):
        return handle_torch_function(majority, (x,), x, kernel, stride, needed)
    share = functional.avg_pool2d(x, kernel, stride)
    return (share * kernel**2 >= needed - 0.5).to(x.dtype)


@handles("majority")
def trace_majority(call: Call) -> Traced:
    """Return what a traced call stands for."""
    subject, symbol = call.subject, call.subject.symbol
    if not isinstance(symbol, Events) or len(symbol.shape) != 3:
        raise NoMeaning("a majority of what are no images of spikes", "spikes (C, H, W)")
    fields = dict(zip(("kernel", "stride", "needed"), call.args[1:], strict=True))
    node = call.builder.add(Majority, call.origin("majority"), (symbol.node,), **fields)
    shape = call.builder.nodes[node].output_shape([symbol.shape])
    layout = (*subject.layout[:-2], whole(1, shape[1]), whole(2, shape[2]))
    return replace(subject, symbol=Events(shape, node), layout=layout)


@float_form(Majority)
def count_spikes(node: Majority, arriving: list[Tensor]) -> Tensor:
    """Return what the model computes, on all steps and samples."""
    images = arriving[0].flatten(0, 1).double()
    spikes = majority(images, node.kernel, node.stride, node.needed)
    return spikes.to(torch.uint8).unflatten(0, arriving[0].shape[:2])


@lowers(Majority)
def lower_majority(graph: Graph, node: Majority) -> list[Node]:
    """Return a gate that fires on one spike more than are too few."""
    return counting_gate(graph, node, POOL_WEIGHT * node.needed - 1)
