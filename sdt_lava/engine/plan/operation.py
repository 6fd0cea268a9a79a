"""What the operations of a plan have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdt_lava.engine.layout import Layout

if TYPE_CHECKING:
    from sdt_lava.engine.plan.workspace import Workspace

# First row and the one after the last, counted through the images of a batch.
Rows = tuple[int, int]
# Computes some output rows as one of several workers, which are numbered from 0.
Task = Callable[[Rows, int], None]


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


class Operation(ABC):
    """One entry of a plan.

    Parameters
    ----------
    nodes : tuple of str
        Nodes of the graph that it computes.
    target : Layout
        Its output, whose rows are divided among the workers.
    """

    kind = ""
    # Whether one worker computes all of it, from all of its inputs.
    is_whole = False
    # Multiplications of one step of one sample if nothing is skipped.
    macs = 0
    # Neurons that it computes and whose state it keeps.
    populations: tuple[str, ...] = ()

    def __init__(self, nodes: tuple[str, ...], target: Layout) -> None:
        self.nodes = nodes
        self.target = target
        self.reads: list[Reading] = []
        self.writes: list[Buffer] = []
        # What is read and what is written, element by element, and may be the same memory.
        self.in_place: tuple[Buffer, Buffer] | None = None

    @abstractmethod
    def bind(self, work: Workspace) -> Task:
        """Return what computes rows in the arrays of a workspace."""

    def describe(self) -> str:
        """Return how it is computed, for the plan's table."""
        return ""
