"""Define buffers of a plan, the rows that operations read, and the size of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sdt_lava.engine.layout import Layout

# First and end row, numbered through all images of a batch.
Rows = tuple[int, int]
# Computes some output rows as one of several workers, numbered from 0.
Task = Callable[[Rows, int], None]


@dataclass(frozen=True)
class Run:
    """Size of a run: samples, time steps, distinct frames (1 if all are equal) and threads."""

    batch: int
    steps: int
    frame_steps: int
    workers: int


@dataclass(frozen=True)
class Buffer:
    """Memory for one signal.

    Parameters
    ----------
    name : str
        Name, unique in a plan.
    layout : Layout
        Layout of the signal.
    kind : str
        'spikes' (packed), 'currents' (int32), 'frames' (integers of the input) or 'tensor' (a torch
        tensor ``(T, B, *shape)``, created by its writer).
    """

    name: str
    layout: Layout
    kind: str


@dataclass(frozen=True)
class Spikes:
    """Packed spikes in some words of a buffer."""

    buffer: Buffer
    layout: Layout
    first_word: int = 0

    @property
    def word_slice(self) -> slice:
        """Slice of the words in the buffer."""
        return slice(self.first_word, self.first_word + self.layout.words)


@dataclass(frozen=True)
class Reading:
    """A buffer that an operation reads, and the rows that it needs.

    Parameters
    ----------
    buffer : Buffer
        Buffer to read.
    rows : callable
        Function from the first and end row of an output image to the rows of the buffer's image
        that they need.
    """

    buffer: Buffer
    rows: Callable[[int, int], Rows]


def images(rows: Rows, height: int) -> list[tuple[int, int, int]]:
    """Split rows at the borders of images, into image number, first row and end row."""
    first, end = rows
    return [
        (image, max(first - image * height, 0), min(end - image * height, height))
        for image in range(first // height, -(-end // height))
    ]


def same_rows(first: int, end: int) -> Rows:
    """Need the same rows as those written."""
    return first, end


def all_rows(buffer: Buffer) -> Reading:
    """Return a reading of whole images."""
    return Reading(buffer, lambda first, end: (0, buffer.layout.height))


def window_rows(buffer: Buffer, stride: int, padding: int, reach: int) -> Reading:
    """Return a reading of the windows around the output rows."""
    height = buffer.layout.height

    def rows(first: int, end: int) -> Rows:
        return max(first * stride - padding, 0), min((end - 1) * stride - padding + reach, height)

    return Reading(buffer, rows)
