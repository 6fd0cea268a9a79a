"""Choose how many samples or steps to compute at once within a memory limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.ir.graph import Graph

# Default memory limit for the arrays of one batch [bytes].
BATCH_BYTES = 1 << 30
# Approximate memory per neuron and step of the largest node, for evaluation node by node [bytes].
_BYTES_PER_NEURON = 64


def sample_bytes(graph: Graph, steps: int) -> int:
    """Estimate the memory for evaluating a graph node by node on one sample, in bytes."""
    largest = max(int(np.prod(shape)) for shape in graph.shapes.values())
    return max(1, largest * steps * _BYTES_PER_NEURON)


def fitting(memory: int, each: int) -> int:
    """Return how many pieces of `each` bytes fit the memory, at least one."""
    return max(1, memory // each)


def samples_at_once(graph: Graph, steps: int, memory: int = BATCH_BYTES) -> int:
    """Return how many samples to evaluate at once node by node, at least one."""
    return fitting(memory, sample_bytes(graph, steps))


def parts(frames: NDArray[Any], size: int) -> Iterator[tuple[NDArray[Any], int]]:
    """Split an input ``(T, B, *shape)`` into batches.

    Yields
    ------
    frames : ndarray
        Batch of at most `size` samples.
    done : int
        Number of samples up to the end of this batch.
    """
    samples = frames.shape[1]
    for start in range(0, samples, size):
        yield frames[:, start : start + size], min(start + size, samples)
