"""Prepare the weights of a layer: mantissas, scale and geometry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.layout import Layout
from sdt_lava.ir import Conv, Dense, Readout
from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.once import cached_property

Pair = tuple[int, int]

_LARGEST_SHORT = 2**15 - 1


@dataclass(frozen=True)
class Window:
    """Geometry of a convolution; for a dense layer, the kernel covers the whole image."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def is_pointwise(self) -> bool:
        """Whether every output position depends on a single input position."""
        return self == Window((1, 1))

    @property
    def reach(self) -> Pair:
        """Numbers of rows and columns that a kernel spans."""
        (height, width), (down, right) = self.kernel, self.dilation
        return (height - 1) * down + 1, (width - 1) * right + 1


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of an operator with the range of its events.

    Parameters
    ----------
    mantissa : ndarray of int
        Mantissas ``(O, C / groups, kH, kW)``.
    window : Window
        Geometry of the operator.
    events : tuple of int
        Lowest and highest input event; padding is 0.
    """

    mantissa: NDArray[Any]
    window: Window
    events: tuple[int, int]

    @property
    def channels(self) -> int:
        """Number of input channels in all groups."""
        return self.mantissa.shape[1] * self.window.groups

    @property
    def largest_event(self) -> int:
        """Largest magnitude of an input event."""
        return max(-self.events[0], self.events[1], 1)

    @property
    def fits_int8(self) -> bool:
        """Whether the mantissas fit eight bits."""
        return bool(self.mantissa.size) and -128 <= self.mantissa.min() <= self.mantissa.max() < 128

    @cached_property
    def bound(self) -> int:
        """Bound on the magnitude of partial sums of mantissas."""
        sums = np.abs(self.mantissa).reshape(len(self.mantissa), -1).sum(axis=1)
        return int(sums.max(initial=0)) * self.largest_event

    @cached_property
    def digest(self) -> bytes:
        """Hash of the weights and the geometry."""
        values = np.ascontiguousarray(self.mantissa)
        digest = blake2b(values.data, digest_size=16)
        digest.update(repr((values.dtype.str, values.shape, self.window, self.events)).encode())
        return digest.digest()


@dataclass(frozen=True, eq=False)
class Synapses(Weights):
    """Weights ``mantissa * 2 ** shift`` of a layer.

    Parameters
    ----------
    mantissa : ndarray of int16, or of int64 where they are larger
        Mantissas ``(O, C / groups, kH, kW)``, without the power of two that all weights share.
    window, events
        As for `Weights`.
    shift : ndarray of int64
        Shifts ``(O,)``; sums of mantissas are multiplied by ``2 ** shift``, rounding down.
    source, target : Layout
        Layouts of input and output.
    """

    shift: IntArray
    source: Layout
    target: Layout

    @property
    def rows(self) -> int:
        """Number of inputs per output, including zeros between groups."""
        return self.source.channels * self.window.kernel[0] * self.window.kernel[1]

    @property
    def macs(self) -> int:
        """Number of multiplications per step of one sample if nothing is skipped."""
        positions = self.target.height * self.target.width
        return self.mantissa.size * positions


def synapses_of(
    node: Conv | Dense | Readout, source: Layout, target: Layout, events: tuple[int, int]
) -> Synapses:
    """Prepare the weights of a node.

    Parameters
    ----------
    node : Conv, Dense or Readout
        Node with the weights.
    source, target : Layout
        Layouts of input and output; ``source`` is an image even if a flatten lies in between.
    events : tuple of int
        Lowest and highest input event.
    """
    weight = np.asarray(node.weight, np.int64)
    if isinstance(node, Conv):
        height, width = weight.shape[2:]
        window = Window((height, width), node.stride, node.padding, node.dilation, node.groups)
    else:
        weight = weight.reshape(-1, source.channels, source.height, source.width)
        window = Window((source.height, source.width))
    doublings = _shared_doublings(weight)
    mantissa = weight >> doublings
    if np.abs(mantissa).max(initial=0) <= _LARGEST_SHORT:
        # Exported mantissas have nine bits, so this saves memory.
        mantissa = mantissa.astype(np.int16)
    return Synapses(
        mantissa=mantissa,
        shift=node.channel_exponents + doublings,
        window=window,
        source=source,
        target=target,
        events=events,
    )


def _shared_doublings(weight: IntArray) -> int:
    bits = int(np.bitwise_or.reduce(np.abs(weight), axis=None)) if weight.size else 0
    return (bits & -bits).bit_length() - 1 if bits else 0


def joined(parts: list[Synapses]) -> Synapses:
    """Concatenate layers that read the same input to one layer with more output channels."""
    channels = sum(part.target.channels for part in parts)
    first = parts[0].target
    target = Layout(channels, first.height, first.width, (channels, *first.shape[1:]))
    return replace(
        parts[0],
        mantissa=np.concatenate([part.mantissa for part in parts]),
        shift=np.concatenate([part.shift for part in parts]),
        target=target,
    )


def without_groups(
    synapses: Synapses, first: int = 0, end: int | None = None
) -> NDArray[np.int16]:  # fmt: skip
    """Return the mantissas of some outputs with zeros between groups, ``(O, C, kH, kW)``."""
    groups, selected = synapses.window.groups, synapses.mantissa[first:end]
    if groups == 1:
        return selected
    per_group, *kernel = selected.shape[1:]
    full = np.zeros((len(selected), synapses.source.channels, *kernel), np.int16)
    share = len(synapses.mantissa) // groups
    for row, mantissas in enumerate(selected):
        first_channel = (first + row) // share * per_group
        full[row, first_channel : first_channel + per_group] = mantissas
    return full
