"""Cut populations into slices: ranges of channels times parts of the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.once import cached_property


@dataclass(frozen=True)
class Split:
    """An axis that is cut into consecutive parts.

    Parameters
    ----------
    length : int
        Size of the axis.
    parts : int
        Number of parts.
    size : int
        Size of all parts except the last; 0 for sizes that differ by at most one.
    """

    length: int
    parts: int
    size: int = 0

    @property
    def bounds(self) -> IntArray:
        """Starts of the parts, followed by the end of the axis, ``(parts + 1,)``."""
        if not self.size:
            return np.arange(self.parts + 1) * self.length // self.parts
        return np.minimum(np.arange(self.parts + 1) * self.size, self.length)

    @property
    def sizes(self) -> IntArray:
        """Sizes of the parts, ``(parts,)``."""
        return np.diff(self.bounds)

    @property
    def largest(self) -> int:
        """Size of the largest part."""
        return self.size or -(-self.length // self.parts)

    @property
    def labels(self) -> IntArray:
        """Part of each index, ``(length,)``."""
        return np.repeat(np.arange(self.parts), self.sizes)


@dataclass(frozen=True)
class Tiling:
    """Partition of a population ``(C, H, W)`` into slices.

    Parameters
    ----------
    channels : Split
        Ranges of channels.
    positions : tuple of Split
        One split for ranges of positions in C order, two for boxes of rows and columns.
    """

    channels: Split
    positions: tuple[Split, ...]

    @property
    def position_parts(self) -> int:
        """Number of parts of the image."""
        return int(np.prod([split.parts for split in self.positions]))

    @property
    def slices(self) -> int:
        """Number of slices; slice ``c * position_parts + p`` has channels c and positions p."""
        return self.channels.parts * self.position_parts

    @property
    def position_labels(self) -> IntArray:
        """Part of each position, in C order."""
        return position_labels(self.positions)

    @cached_property
    def labels(self) -> IntArray:
        """Slice of each neuron, in C order."""
        both = self.channels.labels[:, None] * self.position_parts + self.position_labels
        return both.ravel()

    @property
    def neurons(self) -> IntArray:
        """Number of neurons of each slice, ``(channel parts, position parts)``."""
        sizes = self.positions[0].sizes
        for split in self.positions[1:]:
            sizes = np.multiply.outer(sizes, split.sizes).ravel()
        return np.multiply.outer(self.channels.sizes, sizes)

    @property
    def largest(self) -> tuple[int, ...]:
        """Channels and positions, or channels, rows and columns, of the largest slice."""
        return (self.channels.largest, *(split.largest for split in self.positions))


@lru_cache(maxsize=4096)
def position_labels(positions: tuple[Split, ...]) -> IntArray:
    """Return the part of each position, in C order."""
    labels = positions[0].labels
    for split in positions[1:]:
        labels = np.add.outer(labels * split.parts, split.labels).ravel()
    return labels


def split_counts(length: int) -> tuple[int, ...]:
    """Return the numbers of parts with distinct sizes of the largest part, ascending."""
    return tuple(sorted({-(-length // size) for size in range(1, length + 1)}))


def box_splits(height: int, width: int) -> Iterator[tuple[Split, Split]]:
    """Yield splits into boxes: few parts first, square boxes before elongated ones."""
    pairs = [(r, c) for r in split_counts(height) for c in split_counts(width)]

    def order(pair: tuple[int, int]) -> tuple[int, int, int]:
        rows, columns = -(-height // pair[0]), -(-width // pair[1])
        return pair[0] * pair[1], rows + columns, rows

    return ((Split(height, r), Split(width, c)) for r, c in sorted(pairs, key=order))
