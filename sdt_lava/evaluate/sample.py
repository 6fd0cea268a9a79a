"""Evaluate a batch of samples, and represent the result of a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.backends.run import simulate
from sdt_lava.counts.counts import SYNAPTIC_OPERATIONS, UPDATES
from sdt_lava.datasets.base import Dataset
from sdt_lava.datasets.labels import check_classes
from sdt_lava.datasets.source import SampleSource
from sdt_lava.errors import DataError
from sdt_lava.ir import Graph

OPERATIONS = (*SYNAPTIC_OPERATIONS, *UPDATES)
TOP = 5


@dataclass(frozen=True)
class SampleResult:
    """Result of a sample: only integers and text, so that it is the same on every machine.

    Parameters
    ----------
    index : int
        Position in the data set.
    label : int or None
        True class; None without labels and for samples that cannot be read.
    predicted : int or None
        Predicted class; None for samples that cannot be read.
    rank : int or None
        Number of classes ranked above the true one: 0 is a correct prediction, less than 5 is
        correct in the top 5. None if `label` is None.
    operations : tuple of int
        Counts in the order of `OPERATIONS`; empty for samples that cannot be read.
    error : str
        Reason why the sample cannot be read; otherwise empty.
    """

    index: int
    label: int | None
    predicted: int | None
    rank: int | None
    operations: tuple[int, ...]
    error: str = ""


def evaluate_samples(
    net: Graph, source: SampleSource, indices: Sequence[int], **how: Any
) -> list[SampleResult]:
    """Run samples and return their results; unreadable samples have an error in theirs.

    Parameters
    ----------
    net : Graph
        Integer network.
    source : SampleSource
        Data set.
    indices : sequence of int
        Indices of the samples, in the order of the results.
    **how
        Back end and its options, as in :func:`~sdt_lava.backends.run.simulate`.
    """
    try:
        batch = next(source.batches(list(indices), len(indices)))
    except DataError:
        return [row for index in indices for row in _one(net, source, index, how)]
    return _run(net, batch, indices, how)


def _one(
    net: Graph, source: SampleSource, index: int, how: Mapping[str, Any]
) -> list[SampleResult]:
    try:
        batch = next(source.batches([index], 1))
    except DataError as error:
        return [SampleResult(index, None, None, None, (), str(error))]
    return _run(net, batch, [index], how)


def _run(
    net: Graph, batch: Dataset, indices: Sequence[int], how: Mapping[str, Any]
) -> list[SampleResult]:
    check_classes(net, batch.y, batch.name)
    result = simulate(net, batch.x, count=True, **how)
    counts = result.counts
    operations = np.stack([counts.operations(name).sum(axis=0) for name in OPERATIONS], axis=1)
    labels: list[int | None] = [None] * len(indices)
    if batch.y is not None:
        labels = [int(label) for label in batch.y]
    return [
        SampleResult(
            index=int(index),
            label=label,
            predicted=int(predicted),
            rank=None if label is None else _rank(logits, label),
            operations=tuple(int(number) for number in numbers),
        )
        for index, label, predicted, logits, numbers in zip(
            indices, labels, result.labels, result.logits, operations, strict=True
        )
    ]


def _rank(logits: NDArray[np.generic], label: int) -> int:
    """Count the classes ranked above the true one; the lowest class wins a tie, as in argmax."""
    values = np.asarray(logits)
    ties = int(np.count_nonzero(values[:label] == values[label]))
    return int(np.count_nonzero(values > values[label])) + ties
