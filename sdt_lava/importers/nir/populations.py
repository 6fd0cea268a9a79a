"""Choose the layout of populations and create the synapses before them."""

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
    """Signal of a NIR node in the float graph.

    Parameters
    ----------
    node : str
        Name of our node.
    shape : tuple of int
        Shape in NIR's axes.
    ours : tuple of int
        Shape of our node, with the same values in C order.
    """

    node: str
    shape: Shape
    ours: Shape


@dataclass(frozen=True)
class Arriving:
    """Signal that arrives on one path.

    Parameters
    ----------
    node : str
        Name of our node that sends the signal.
    shape, ours : tuple of int
        Shape of the node in NIR's axes and in ours.
    layers : list of Operator
        Layers of the path.
    after : tuple of int
        Shape after the layers, in NIR's axes.
    """

    node: str
    shape: Shape
    ours: Shape
    layers: list[Operator]
    after: Shape

    def constant(self) -> FloatArray | None:
        """Return the constant part of the signal, or None."""
        return constant_of(self.layers, self.shape)

    def convolution(self, name: str) -> Any:
        """Return the path as a convolution between images, or None."""
        shape = self.shape if self.layers else self.ours
        if len(shape) not in (2, 3) or self.ours != as_image(shape):
            return None
        return as_convolution(self.layers, shape, name)


@dataclass(frozen=True)
class Layout:
    """Shape of a population in the float graph, and the kind of its synapses.

    Parameters
    ----------
    shape : tuple of int
        Shape in NIR's axes.
    ours : tuple of int
        Shape ``(C, H, W)``, or a vector's.
    convolves : bool
        Whether the synapses are convolutions.
    """

    shape: Shape
    ours: Shape
    convolves: bool


def layout_of(
    name: str, arriving: Sequence[Arriving], shape: Shape, parameters: Sequence[FloatArray]
) -> Layout:
    """Choose the layout of a population: an image if synapses and parameters allow it.

    Parameters
    ----------
    name : str
        Name of the population.
    arriving : sequence of Arriving
        Signals that arrive from other populations.
    shape : tuple of int
        Shape of the population in NIR's axes.
    parameters : sequence of ndarray
        Parameters of the neurons, which broadcast over the shape.
    """
    flat = Layout(shape, (prod(shape),), False)
    convolutions = [arrives.convolution(name) for arrives in arriving]
    if any(convolution is None for convolution in convolutions):
        return flat
    images = {(len(convolution.weight), *convolution.sides) for convolution in convolutions}
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
    """Return the values per channel ``(C,)``; they are equal within each channel."""
    rows = np.broadcast_to(values, layout.shape).reshape(layout.ours[0], -1)
    return np.array(rows[:, 0], np.float64)


def decay_field(values: FloatArray, layout: Layout) -> Any:
    """Return one decay for all channels, or one for each channel."""
    if not np.ptp(values):
        return int(values.flat[0])
    return by_channel(values, layout).astype(np.int64)


def synapse_node(
    name: str, source: str, arrives: Arriving, convolves: bool, population: str
) -> Conv | Dense:
    """Combine the layers of a path into one synapse without bias."""
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
