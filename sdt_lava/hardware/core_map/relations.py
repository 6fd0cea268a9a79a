"""Which neurons a connection joins, along one axis of two populations, and how many.

A population ``(C, H, W)`` is seen as channels times positions. Every connection that the lowering
passes make, a convolution included, joins ``(channel, position)`` to ``(channel, position)`` if
and only if it joins the channels and joins the positions: it is the product of two relations.
Counts for a part of a population are then products, too, and exact at image borders, without a
list of all synapses.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, kron

from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.once import cached_property


class Relation(Protocol):
    """Pairs of an output and an input index that are joined."""

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        ...

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        ...

    @property
    def key(self) -> tuple[object, ...]:
        """What two equal relations have in common."""
        ...

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        ...

    def counts(self, labels: IntArray, parts: int) -> csr_matrix:
        """Count the outputs of each part that each input is joined to.

        Parameters
        ----------
        labels : ndarray of int
            ``(outputs,)``, the part of each output.
        parts : int
            Number of parts.

        Returns
        -------
        csr_matrix of int64
            ``(parts, inputs)``, without explicit zeros.
        """
        ...


@dataclass(frozen=True)
class Blocks:
    """All pairs within each of `groups` equal, consecutive groups.

    One group joins everything to everything; as many groups as outputs is the identity.
    """

    outputs: int
    inputs: int
    groups: int

    @property
    def key(self) -> tuple[object, ...]:
        """The three numbers."""
        return "blocks", self.outputs, self.inputs, self.groups

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return self.outputs * (self.inputs // self.groups)

    def counts(self, labels: IntArray, parts: int) -> csr_matrix:
        """Count the outputs of each part that each input is joined to."""
        group = np.arange(self.outputs) // (self.outputs // self.groups)
        by_group = _incidence(labels, group, (parts, self.groups))
        width = self.inputs // self.groups
        columns = by_group.indices[:, None].astype(np.int64) * width + np.arange(width)
        return csr_matrix(
            (np.repeat(by_group.data, width), columns.ravel(), by_group.indptr.astype(int) * width),
            shape=(parts, self.inputs),
        )


@dataclass(frozen=True, eq=False)
class Pattern:
    """Any pairs, as the pattern of a sparse matrix ``(outputs, inputs)``.

    Parameters
    ----------
    matrix : csr_matrix
        Ones where a pair is joined.
    """

    matrix: csr_matrix

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return int(self.matrix.shape[0])

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return int(self.matrix.shape[1])

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Hash of the pattern."""
        digest = blake2b(np.asarray(self.matrix.indptr, np.int64).tobytes(), digest_size=16)
        digest.update(np.asarray(self.matrix.indices, np.int64).tobytes())
        return "pattern", self.outputs, self.inputs, digest.digest()

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return int(self.matrix.nnz)

    def counts(self, labels: IntArray, parts: int) -> csr_matrix:
        """Count the outputs of each part that each input is joined to."""
        selection = _incidence(labels, np.arange(self.outputs), (parts, self.outputs))
        return selection @ self.matrix


@dataclass(frozen=True, eq=False)
class Grid:
    """The product of a relation of rows and one of columns, on positions in C order."""

    rows: Relation
    columns: Relation

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.rows.outputs * self.columns.outputs

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.rows.inputs * self.columns.inputs

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Both keys."""
        return "grid", self.rows.key, self.columns.key

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return self.rows.pairs * self.columns.pairs

    @cached_property
    def pattern(self) -> Pattern:
        """The same pairs, written out."""
        return Pattern(csr_matrix(kron(_written_out(self.rows), _written_out(self.columns), "csr")))

    def counts(self, labels: IntArray, parts: int) -> csr_matrix:
        """Count the outputs of each part that each input is joined to."""
        return self.pattern.counts(labels, parts)


def _written_out(relation: Relation) -> csr_matrix:
    return relation.counts(np.arange(relation.outputs), relation.outputs)


def _incidence(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> csr_matrix:
    """Count how often each pair of a row and a column occurs."""
    ones = np.ones(len(rows), np.int64)
    return coo_matrix((ones, (rows, columns)), shape=shape).tocsr()


def window(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int
) -> Relation:
    """Return the relation of sliding windows along one axis; what lies outside is left out."""
    if (kernel, stride, padding) == (1, 1, 0) and outputs == inputs:
        return Blocks(outputs, inputs, outputs)
    reads = np.add.outer(np.arange(outputs) * stride - padding, np.arange(kernel) * dilation)
    inside = (reads >= 0) & (reads < inputs)
    rows = np.broadcast_to(np.arange(outputs)[:, None], reads.shape)[inside]
    return Pattern(_incidence(rows, reads[inside], (outputs, inputs)))


def grid(rows: Relation, columns: Relation) -> Relation:
    """Return the product of a relation of rows and one of columns."""
    both = (rows, columns)
    if all(isinstance(axis, Blocks) and axis.outputs == axis.groups for axis in both):
        size = rows.outputs * columns.outputs
        if size == rows.inputs * columns.inputs:
            return Blocks(size, size, size)
    return Grid(rows, columns)
