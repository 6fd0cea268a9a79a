"""Populations of a NIR graph here: their layout, and the synapses before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from sdt_lava.importers.nir.operators import (
    Operator,
    as_convolution,
    as_image,
    as_matrix,
    constant_of,
)
from sdt_lava.io.nir.values import FloatArray
from sdt_lava.ir import Conv, Dense, Node, Shape, Synapse


@dataclass(frozen=True)
class Population:
    """What a node of NIR sends, here.

    Parameters
    ----------
    node : str
        Our node.
    shape : tuple of int
        In NIR's axes.
    ours : tuple of int
        Shape of our node: the same values in C order.
    """

    node: str
    shape: Shape
    ours: Shape


@dataclass(frozen=True)
class Arriving:
    """What arrives on one way.

    Parameters
    ----------
    node : str
        Our node that sends it.
    shape, ours : tuple of int
        Its shape in NIR's axes and in ours.
    layers : list of Operator
        On the way.
    after : tuple of int
        Shape behind them, in NIR's axes.
    """

    node: str
    shape: Shape
    ours: Shape
    layers: list[Operator]
    after: Shape

    def constant(self) -> FloatArray | None:
        """Return what arrives if nothing is sent, or None."""
        return constant_of(self.layers, self.shape)

    def convolution(self, name: str) -> Any:
        """Return the way as a convolution between images, or None."""
        shape = self.shape if self.layers else self.ours
        if len(shape) not in (2, 3) or self.ours != as_image(shape):
            return None
        return as_convolution(self.layers, shape, name)


@dataclass(frozen=True)
class Layout:
    """Shape of a population here, and whether convolutions lead to it.

    Parameters
    ----------
    shape : tuple of int
        In NIR's axes.
    ours : tuple of int
        ``(C, H, W)``, or one axis.
    convolves : bool
        Whether the synapses are convolutions.
    """

    shape: Shape
    ours: Shape
    convolves: bool


def layout_of(
    name: str, arriving: Sequence[Arriving], shape: Shape, parameters: Sequence[FloatArray]
) -> Layout:
    """Choose the layout of a population: an image if convolutions and channels allow it.

    Parameters
    ----------
    name : str
        The population.
    arriving : sequence of Arriving
        All that arrives from others.
    shape : tuple of int
        Its shape in NIR's axes.
    parameters : sequence of ndarray
        Values that the neurons have, in forms that broadcast over the shape.
    """
    flat = Layout(shape, (prod(shape),), False)
    found = [arrives.convolution(name) for arrives in arriving]
    if any(convolution is None for convolution in found):
        return flat
    images = {(len(convolution.weight), *convolution.sides) for convolution in found}
    if len(images) != 1:
        return flat
    image = Layout(shape, images.pop(), True)
    rows = (
        np.broadcast_to(values, shape).reshape(image.ours[0], -1)
        for values in parameters
        if values.ndim
    )
    return flat if any(np.ptp(row, axis=1).any() for row in rows) else image


def by_channel(values: FloatArray, layout: Layout) -> FloatArray:
    """Return one value for each channel of a layout, ``(C,)``, of values that are equal in each."""
    rows = np.broadcast_to(values, layout.shape).reshape(layout.ours[0], -1)
    return np.array(rows[:, 0], np.float64)


def decay_field(values: FloatArray, layout: Layout) -> Any:
    """Return one decay, or one for each channel."""
    if not np.ptp(values):
        return int(values.flat[0])
    return by_channel(values, layout).astype(np.int64)


def synapse_node(
    name: str, source: str, arrives: Arriving, convolves: bool, population: str
) -> Conv | Dense:
    """Return a way's layers as one synapse, without bias."""
    if convolves:
        layer = arrives.convolution(name)
        return Conv(
            name=name, inputs=(source,), weight=layer.weight, stride=layer.stride,
            padding=layer.padding, dilation=layer.dilation, groups=layer.groups,
        )  # fmt: skip
    matrix = as_matrix(arrives.layers, arrives.shape, prod(arrives.after), population)
    return Dense(name=name, inputs=(source,), weight=matrix)


def scaled_rows(node: Node, factors: FloatArray) -> Node:
    """Multiply the weights of each output channel."""
    assert isinstance(node, Synapse)
    rows = factors.reshape(-1, *(1,) * (node.weight.ndim - 1))
    return replace(node, weight=np.asarray(node.weight, np.float64) * rows)
