"""Count axons and synapses exactly for the parts of an axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from sdt_lava.hardware.core_map.tiling import Split, position_labels
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.relations import Blocks, Grid, Relation


@dataclass(frozen=True, eq=False)
class PartCounts:
    """Counts of what each part of a relation's outputs reads.

    Parameters
    ----------
    reads : ndarray of int64
        Inputs that are joined to at least one output of the part, ``(parts,)``.
    synapses : ndarray of int64
        Joined pairs, ``(parts,)``.
    lengths : ndarray of int64
        Distinct numbers of outputs of a part to which an input is joined, ``(L,)``.
    histogram : ndarray of int64
        Number of inputs joined to each of these numbers of outputs, ``(parts, L)``.
    axis_readers : tuple of ndarray of int64
        Number of parts that read each input; the outer product if there are several axes.
    """

    reads: IntArray
    synapses: IntArray
    lengths: IntArray
    histogram: IntArray
    axis_readers: tuple[IntArray, ...]

    @property
    def readers(self) -> IntArray:
        """Number of parts that read each input, ``(inputs,)``."""
        readers = self.axis_readers[0]
        for axis in self.axis_readers[1:]:
            readers = np.outer(readers, axis).ravel()
        return readers

    @property
    def most_readers(self) -> int:
        """Largest number of parts that read one input."""
        return int(np.prod([axis.max(initial=0) for axis in self.axis_readers]))


class Counter:
    """Cache of counts by relation and split; cheap products are not cached."""

    def __init__(self) -> None:
        self._done: dict[object, PartCounts] = {}

    def count(self, relation: Relation, splits: tuple[Split, ...]) -> PartCounts:
        """Return the counts for an axis, or for positions that are cut into ranges or boxes."""
        factors = self._factors(relation, splits)
        if factors is not None:
            return _product(*factors)
        key = relation.key, splits
        if key not in self._done:
            parts = int(np.prod([split.parts for split in splits]))
            labels = position_labels(splits)
            self._done[key] = count_parts(relation.counts(labels, parts))
        return self._done[key]

    def box_maxima(self, relation: Relation, splits: tuple[Split, ...]) -> tuple[int, int]:
        """Return the largest reads and synapses of a box, or 0 if they are expensive to compute."""
        factors = self._factors(relation, splits)
        if factors is None:
            return 0, 0
        rows, columns = factors
        reads = rows.reads.max() * columns.reads.max()
        return int(reads), int(rows.synapses.max() * columns.synapses.max())

    def _factors(
        self, relation: Relation, splits: tuple[Split, ...]
    ) -> tuple[PartCounts, PartCounts] | None:
        axes = _by_axis(relation, splits)
        if axes is None:
            return None
        return self.count(axes[0], splits[:1]), self.count(axes[1], splits[1:])


def _by_axis(relation: Relation, splits: tuple[Split, ...]) -> tuple[Relation, Relation] | None:
    """Return relations of rows and columns whose product is a relation of positions, if any."""
    if len(splits) != 2:
        return None
    if isinstance(relation, Grid):
        return relation.rows, relation.columns
    height, width = splits[0].length, splits[1].length
    if isinstance(relation, Blocks) and relation.groups == relation.outputs == relation.inputs:
        return Blocks(height, height, height), Blocks(width, width, width)
    if isinstance(relation, Blocks) and relation.groups == 1:
        return Blocks(height, relation.inputs, 1), Blocks(width, 1, 1)
    return None


def count_parts(counts: csr_matrix) -> PartCounts:
    """Summarize counts ``(parts, inputs)`` of joined outputs."""
    parts, inputs = counts.shape
    lengths, index = np.unique(counts.data, return_inverse=True)
    rows = np.repeat(np.arange(parts), np.diff(counts.indptr))
    histogram = np.bincount(rows * len(lengths) + index, minlength=parts * len(lengths))
    return PartCounts(
        reads=np.diff(counts.indptr).astype(np.int64),
        synapses=np.bincount(rows, counts.data, parts).astype(np.int64),
        lengths=lengths.astype(np.int64),
        histogram=histogram.reshape(parts, len(lengths)).astype(np.int64),
        axis_readers=(np.bincount(counts.indices, minlength=inputs).astype(np.int64),),
    )


def _product(first: PartCounts, second: PartCounts) -> PartCounts:
    return PartCounts(
        reads=np.outer(first.reads, second.reads).ravel(),
        synapses=np.outer(first.synapses, second.synapses).ravel(),
        lengths=np.outer(first.lengths, second.lengths).ravel(),
        histogram=np.kron(first.histogram, second.histogram),
        axis_readers=(*first.axis_readers, *second.axis_readers),
    )
