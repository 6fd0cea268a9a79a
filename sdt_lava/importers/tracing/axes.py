"""Describe each axis of a tensor as a part of time, batch and signal.

An axis is a product of *factors*: ``flatten(0, 1)`` of ``(T, B, C, H, W)`` creates an axis with the
factors T and B, and the channels of a head are one of two factors of C. Any reshape, permutation or
slice can thus be followed exactly, for any sizes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]

TIME, BATCH = "T", "B"
# Copies of the same value along an axis.
COPIES = "*"


@dataclass(frozen=True)
class Factor:
    """Part of an index, like some digits of a number.

    Parameters
    ----------
    root : str
        Index that is split: ``T``, ``B``, the number of an axis of the signal, or ``*`` for copies.
    stride, size : int
        Stride and number of values. The root's index is the sum of its factors' indices times
        strides.
    """

    root: str
    stride: int
    size: int


Axis = tuple[Factor, ...]
Layout = tuple[Axis, ...]


def whole(root: str | int, size: int) -> Axis:
    """Return the axis that consists of a whole root."""
    return (Factor(str(root), 1, size),)


def significant(axis: Axis) -> Axis:
    """Omit factors of size 1 and copies."""
    return tuple(factor for factor in axis if factor.size > 1 and factor.root != COPIES)


def is_whole(axis: Axis, root: str | int, size: int) -> bool:
    """Return whether an axis is exactly one whole root."""
    return merged(axis) == (() if size == 1 else whole(root, size)) and not has_copies(axis)


def has_copies(axis: Axis) -> bool:
    """Return whether an axis contains copies."""
    return any(factor.root == COPIES and factor.size > 1 for factor in axis)


def merged(axis: Iterable[Factor]) -> Axis:
    """Join adjacent factors that are contiguous, and omit those of size 1."""
    joined: list[Factor] = []
    for factor in significant(tuple(axis)):
        last = joined[-1] if joined else None
        if last and last.root == factor.root and last.stride == factor.stride * factor.size:
            joined[-1] = Factor(factor.root, factor.stride, last.size * factor.size)
        else:
            joined.append(factor)
    return tuple(joined)


def roots(layout: Iterable[Axis]) -> set[str]:
    """Return the roots of all factors, including those of size 1."""
    return {factor.root for axis in layout for factor in axis}


def size_of(axis: Axis) -> int:
    """Return the length of an axis."""
    return prod(factor.size for factor in axis)


def reshaped(layout: Layout, shape: Sequence[int]) -> Layout | None:
    """Return the layout after a reshape in C order; None if the reshape mixes factors.

    Factors of size 1 go to new axes of length 1.
    """
    left = [factor for axis in layout for factor in axis]
    axes: list[Axis] = []
    for position, length in enumerate(shape):
        if length == 1:
            axes.append(_units(left, shape[position:]))
            continue
        axis = _take(left, length)
        if axis is None:
            return None
        axes.append(axis)
    if left and axes:
        axes[-1] += tuple(left)
    return tuple(axes)


def _units(left: list[Factor], shape: Sequence[int]) -> Axis:
    """Take the factors of size 1 for an axis of length 1, which may be followed by others."""
    present = next((i for i, factor in enumerate(left) if factor.size > 1), len(left))
    next_long = next((i for i, length in enumerate(shape) if length > 1), len(shape))
    number = present if next_long == 1 else min(present, 1)
    units, left[:] = tuple(left[:number]), left[number:]
    return units


def _take(left: list[Factor], length: int) -> Axis | None:
    """Take the factors of an axis from the front, and split the last one if necessary."""
    axis: list[Factor] = []
    while length > 1:
        if not left:
            return None
        factor = left.pop(0)
        if length % factor.size == 0:
            axis.append(factor)
            length //= factor.size
        elif factor.size % length == 0:
            rest = factor.size // length
            axis.append(Factor(factor.root, factor.stride * rest, length))
            left.insert(0, Factor(factor.root, factor.stride, rest))
            length = 1
        else:
            return None
    return tuple(axis)


def resized(layout: Layout, shape: Shape, positions: Sequence[int]) -> Layout:
    """Return the layout for a signal of another shape.

    Parameters
    ----------
    layout : Layout
        Layout of the old signal; each axis of the signal is contained in a single axis.
    shape : tuple of int
        Shape of the new signal.
    positions : sequence of int
        Positions of the axes of the signal that are missing in the layout because their length was
        1.
    """
    placed: set[str] = set()
    axes: list[Axis] = []
    for axis in layout:
        factors: list[Factor] = []
        for factor in axis:
            if not factor.root.isdigit():
                factors.append(factor)
            elif factor.root not in placed:
                placed.add(factor.root)
                factors.append(Factor(factor.root, 1, shape[int(factor.root)]))
        axes.append(tuple(factors))
    for root, position in enumerate(positions):
        if str(root) not in placed:
            axes[position] += whole(root, shape[root])
    return tuple(axes)


def aligned(first: Layout, second: Layout) -> Layout | None:
    """Return the layout of an element-wise result; None if axes differ."""
    length = max(len(first), len(second))
    padded = [((),) * (length - len(layout)) + layout for layout in (first, second)]
    axes: list[Axis] = []
    for one, other in zip(*padded, strict=True):
        if merged(one) == merged(other):
            axes.append(max(one, other, key=lambda axis: (size_of(axis), len(axis))))
        elif not significant(one):
            axes.append(other)
        elif not significant(other):
            axes.append(one)
        else:
            return None
    joint = tuple(axes)
    # A root on different axes of the two layouts would be combined with itself.
    repeats = any(
        _held(joint, root) > max(_held(first, root), _held(second, root)) for root in roots(joint)
    )
    return None if repeats else joint


def _held(layout: Layout, root: str) -> int:
    """Return the number of values of a root in a layout."""
    return prod(f.size for axis in layout for f in significant(axis) if f.root == root)
