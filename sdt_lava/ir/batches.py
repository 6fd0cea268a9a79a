"""How many samples or steps are computed at once: as many as fit the memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir.graph import Graph

# What the arrays of one batch may take, where nobody says it [bytes].
BATCH_BYTES = 1 << 30
# What evaluates node by node holds about this for each neuron and step of the largest node [bytes].
_BYTES_PER_NEURON = 64


def sample_bytes(graph: Graph, steps: int) -> int:
    """Estimate the memory of one sample where a graph is evaluated node by node [bytes]."""
    largest = max(int(np.prod(shape)) for shape in graph.shapes.values())
    return max(1, largest * steps * _BYTES_PER_NEURON)


def fitting(memory: int, each: int) -> int:
    """Return how many pieces of `each` bytes fit the memory: at least one."""
    return max(1, memory // each)


def samples_at_once(graph: Graph, steps: int, memory: int = BATCH_BYTES) -> int:
    """Return how many samples are evaluated at once, node by node: at least one."""
    return fitting(memory, sample_bytes(graph, steps))


def parts(frames: NDArray[Any], size: int) -> Iterator[tuple[NDArray[Any], int]]:
    """Cut an input ``(T, B, *shape)`` into batches.

    Yields
    ------
    frames : ndarray
        At most `size` samples.
    done : int
        Samples up to the end of this batch.
    """
    samples = frames.shape[1]
    for start in range(0, samples, size):
        yield frames[:, start : start + size], min(start + size, samples)
