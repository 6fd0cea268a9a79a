"""Buffers of a plan, the rows of them that are read, and the size of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sdt_lava.engine.layout import Layout

# First row and the one after the last, counted through the images of a batch.
Rows = tuple[int, int]
# Computes some output rows as one of several workers, which are numbered from 0.
Task = Callable[[Rows, int], None]


@dataclass(frozen=True)
class Run:
    """Size of a run: samples, time steps, different frames (1 if all are the same), threads."""

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
        Unique in a plan.
    layout : Layout
        Shape.
    kind : str
        'spikes' (packed), 'currents' (int32), 'frames' (the input's integers) or 'tensor' (a torch
        tensor ``(T, B, *shape)``, made by whoever writes it).
    """

    name: str
    layout: Layout
    kind: str


@dataclass(frozen=True)
class Spikes:
    """Packed spikes that are some words of a buffer."""

    buffer: Buffer
    layout: Layout
    first_word: int = 0

    @property
    def word_slice(self) -> slice:
        """Where the words are."""
        return slice(self.first_word, self.first_word + self.layout.words)


@dataclass(frozen=True)
class Reading:
    """A buffer that an operation reads, and which of its rows.

    Parameters
    ----------
    buffer : Buffer
        What is read.
    rows : callable
        From the rows of one output image, first and the one after the last, to the rows of the
        buffer's image that they need.
    """

    buffer: Buffer
    rows: Callable[[int, int], Rows]


def images(rows: Rows, height: int) -> list[tuple[int, int, int]]:
    """Cut rows at the borders of images: number of the image, first row in it and the end."""
    first, end = rows
    return [
        (image, max(first - image * height, 0), min(end - image * height, height))
        for image in range(first // height, -(-end // height))
    ]


def same_rows(first: int, end: int) -> Rows:
    """Need the rows that are written."""
    return first, end


def all_rows(buffer: Buffer) -> Reading:
    """Read whole images."""
    return Reading(buffer, lambda first, end: (0, buffer.layout.height))


def window_rows(buffer: Buffer, stride: int, padding: int, reach: int) -> Reading:
    """Read the windows around the output rows."""
    height = buffer.layout.height

    def rows(first: int, end: int) -> Rows:
        return max(first * stride - padding, 0), min((end - 1) * stride - padding + reach, height)

    return Reading(buffer, rows)
