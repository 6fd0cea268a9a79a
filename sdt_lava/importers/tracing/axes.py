"""Which part of time, batch and signal each axis of a tensor is.

An axis is a product of *factors*: ``flatten(0, 1)`` of ``(T, B, C, H, W)`` makes an axis of the two
factors T and B, and the channels of a head are one of the two factors that C was split into. With
them any reshape, permutation or slice is followed exactly, whatever the sizes are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]

TIME, BATCH = "T", "B"
# Copies along an axis, of a value that does not change there.
COPIES = "*"


@dataclass(frozen=True)
class Factor:
    """Some digits of an index.

    Parameters
    ----------
    root : str
        What is counted: ``T``, ``B``, the number of an axis of the signal, or ``*`` for copies.
    stride, size : int
        The index of the root is the sum of the indices of its factors, each times its stride.
    """

    root: str
    stride: int
    size: int


Axis = tuple[Factor, ...]
Layout = tuple[Axis, ...]


def whole(root: str | int, size: int) -> Axis:
    """Return the axis that is all of a root."""
    return (Factor(str(root), 1, size),)


def significant(axis: Axis) -> Axis:
    """Leave out factors of size 1 and copies."""
    return tuple(factor for factor in axis if factor.size > 1 and factor.root != COPIES)


def is_whole(axis: Axis, root: str | int, size: int) -> bool:
    """Tell whether an axis is a root, all of it and nothing else."""
    return merged(axis) == (() if size == 1 else whole(root, size)) and not has_copies(axis)


def has_copies(axis: Axis) -> bool:
    """Tell whether copies lie along an axis."""
    return any(factor.root == COPIES and factor.size > 1 for factor in axis)


def merged(axis: Iterable[Factor]) -> Axis:
    """Join neighbouring factors that count on, without those of size 1."""
    joined: list[Factor] = []
    for factor in significant(tuple(axis)):
        last = joined[-1] if joined else None
        if last and last.root == factor.root and last.stride == factor.stride * factor.size:
            joined[-1] = Factor(factor.root, factor.stride, last.size * factor.size)
        else:
            joined.append(factor)
    return tuple(joined)


def roots(layout: Iterable[Axis]) -> set[str]:
    """Return the roots of all factors, those of size 1 included."""
    return {factor.root for axis in layout for factor in axis}


def size_of(axis: Axis) -> int:
    """Return the length of an axis."""
    return prod(factor.size for factor in axis)


def reshaped(layout: Layout, shape: Sequence[int]) -> Layout | None:
    """Follow a reshape, which keeps the order of memory; None if it mixes factors.

    Factors of size 1 go where axes of length 1 are made.
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
    """Take the factors of size 1 for the first of some axes; others of length 1 may follow it."""
    present = next((i for i, factor in enumerate(left) if factor.size > 1), len(left))
    wanted = next((i for i, length in enumerate(shape) if length > 1), len(shape))
    number = present if wanted == 1 else min(present, 1)
    taken, left[:] = tuple(left[:number]), left[number:]
    return taken


def _take(left: list[Factor], length: int) -> Axis | None:
    """Take the factors of an axis from the front, splitting the last one."""
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
    """Return a layout of a signal of another shape.

    Parameters
    ----------
    layout : Layout
        Of the old signal; each axis of the signal is whole in one axis of it.
    shape : tuple of int
        Of the new signal.
    positions : sequence of int
        Where axes of the signal go that the layout does not have, as their length was 1.
    """
    seen: set[str] = set()
    axes: list[Axis] = []
    for axis in layout:
        factors: list[Factor] = []
        for factor in axis:
            if not factor.root.isdigit():
                factors.append(factor)
            elif factor.root not in seen:
                seen.add(factor.root)
                factors.append(Factor(factor.root, 1, shape[int(factor.root)]))
        axes.append(tuple(factors))
    for root, position in enumerate(positions):
        if str(root) not in seen:
            axes[position] += whole(root, shape[root])
    return tuple(axes)


def aligned(first: Layout, second: Layout) -> Layout | None:
    """Return the layout of an element-wise result; None if the axes are not the same."""
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
    found = tuple(axes)
    # What lies along one axis here and along another one there would be paired with itself.
    repeats = any(
        _held(found, root) > max(_held(first, root), _held(second, root)) for root in roots(found)
    )
    return None if repeats else found


def _held(layout: Layout, root: str) -> int:
    """Return how many values of a root lie in a layout."""
    return prod(f.size for axis in layout for f in significant(axis) if f.root == root)
