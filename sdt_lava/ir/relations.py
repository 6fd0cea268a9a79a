"""Represent which inputs a node joins to which outputs, along one axis of two shapes.

A shape ``(C, H, W)`` is treated as channels times positions. Almost every kind of node, including a
convolution, joins two pairs ``(channel, position)`` if and only if it joins their channels and
their positions, so it is the product of two relations. Counts for a part of a shape are then
products as well. They are exact at image borders and need no list of all pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.once import cached_property

# SciPy is imported only where matrices are made, so that the package starts without it.
if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class Relation(Protocol):
    """Set of joined pairs of an output and an input index."""

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
        """Key that equal relations share."""
        ...

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        ...

    @property
    def fan_out(self) -> IntArray:
        """Number of outputs to which each input is joined."""
        ...

    @property
    def fan_in(self) -> IntArray:
        """Number of inputs to which each output is joined."""
        ...

    def counts(self, labels: IntArray, parts: int) -> csr_matrix:
        """Count the outputs of each part to which each input is joined.

        Parameters
        ----------
        labels : ndarray of int
            Part of each output, ``(outputs,)``.
        parts : int
            Number of parts.

        Returns
        -------
        csr_matrix of int64
            Counts ``(parts, inputs)`` without explicit zeros.
        """
        ...


@dataclass(frozen=True)
class Blocks:
    """All pairs within each of `groups` consecutive groups of equal size.

    One group joins every output to every input; as many groups as outputs form the identity.
    """

    outputs: int
    inputs: int
    groups: int

    @property
    def key(self) -> tuple[object, ...]:
        """Key of the three numbers."""
        return "blocks", self.outputs, self.inputs, self.groups

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return self.outputs * (self.inputs // self.groups)

    @property
    def fan_out(self) -> IntArray:
        """Number of outputs to which each input is joined."""
        return np.full(self.inputs, self.outputs // self.groups, np.int64)

    @property
    def fan_in(self) -> IntArray:
        """Number of inputs to which each output is joined."""
        return np.full(self.outputs, self.inputs // self.groups, np.int64)

    def counts(self, labels: IntArray, parts: int) -> csr_matrix:
        """Count the outputs of each part to which each input is joined."""
        from scipy.sparse import csr_matrix

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
    """Arbitrary pairs, stored as the pattern of a sparse matrix ``(outputs, inputs)``.

    Parameters
    ----------
    matrix : csr_matrix
        Matrix with a one for each joined pair.
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
        """Key with a hash of the pattern."""
        digest = blake2b(np.asarray(self.matrix.indptr, np.int64).tobytes(), digest_size=16)
        digest.update(np.asarray(self.matrix.indices, np.int64).tobytes())
        return "pattern", self.outputs, self.inputs, digest.digest()

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return int(self.matrix.nnz)

    @property
    def fan_out(self) -> IntArray:
        """Number of outputs to which each input is joined."""
        return np.bincount(self.matrix.indices, minlength=self.inputs)

    @property
    def fan_in(self) -> IntArray:
        """Number of inputs to which each output is joined."""
        return np.diff(self.matrix.indptr).astype(np.int64)

    def counts(self, labels: IntArray, parts: int) -> csr_matrix:
        """Count the outputs of each part to which each input is joined."""
        selection = _incidence(labels, np.arange(self.outputs), (parts, self.outputs))
        return selection @ self.matrix


@dataclass(frozen=True, eq=False)
class Grid:
    """Product of a relation of rows and a relation of columns, on positions in C order."""

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
        """Key of both relations."""
        return "grid", self.rows.key, self.columns.key

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return self.rows.pairs * self.columns.pairs

    @property
    def fan_out(self) -> IntArray:
        """Number of outputs to which each input is joined."""
        return np.multiply.outer(self.rows.fan_out, self.columns.fan_out).ravel()

    @property
    def fan_in(self) -> IntArray:
        """Number of inputs to which each output is joined."""
        return np.multiply.outer(self.rows.fan_in, self.columns.fan_in).ravel()

    @cached_property
    def pattern(self) -> Pattern:
        """The same pairs as an explicit pattern."""
        from scipy.sparse import csr_matrix, kron

        return Pattern(csr_matrix(kron(_written_out(self.rows), _written_out(self.columns), "csr")))

    def counts(self, labels: IntArray, parts: int) -> csr_matrix:
        """Count the outputs of each part to which each input is joined."""
        return self.pattern.counts(labels, parts)


def _written_out(relation: Relation) -> csr_matrix:
    return relation.counts(np.arange(relation.outputs), relation.outputs)


def _incidence(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> csr_matrix:
    """Count the occurrences of each pair of a row and a column."""
    from scipy.sparse import coo_matrix

    ones = np.ones(len(rows), np.int64)
    return coo_matrix((ones, (rows, columns)), shape=shape).tocsr()


@lru_cache(maxsize=4096)
def window(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int
) -> Relation:
    """Return the relation of sliding windows along one axis, without elements outside the input."""
    if (kernel, stride, padding) == (1, 1, 0) and outputs == inputs:
        return Blocks(outputs, inputs, outputs)
    indices = np.add.outer(np.arange(outputs) * stride - padding, np.arange(kernel) * dilation)
    inside = (indices >= 0) & (indices < inputs)
    rows = np.broadcast_to(np.arange(outputs)[:, None], indices.shape)[inside]
    return Pattern(_incidence(rows, indices[inside], (outputs, inputs)))


def grid(rows: Relation, columns: Relation) -> Relation:
    """Return the product of a relation of rows and a relation of columns."""
    both = (rows, columns)
    if all(isinstance(axis, Blocks) and axis.outputs == axis.groups for axis in both):
        size = rows.outputs * columns.outputs
        if size == rows.inputs * columns.inputs:
            return Blocks(size, size, size)
    return Grid(rows, columns)


def pairs(outputs: IntArray, inputs: IntArray, sizes: tuple[int, int]) -> Relation:
    """Return the relation of explicit pairs of an output and an input.

    Parameters
    ----------
    outputs, inputs : ndarray of int
        Indices of distinct pairs, ``(n,)``.
    sizes : tuple of int
        Total numbers of outputs and inputs.
    """
    return Pattern(_incidence(outputs, inputs, sizes))


def one_to_one(size: int) -> Relation:
    """Return the relation that joins each index to itself."""
    return Blocks(size, size, size)


def windows(
    source: tuple[int, ...],
    output: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...] = (1, 1),
) -> Relation:
    """Return the relation of positions under windows over images, with pairs ``(H, W)``."""
    rows, columns = (
        window(*sizes)
        for sizes in zip(source, output, kernel, stride, padding, dilation, strict=True)
    )
    return grid(rows, columns)


@dataclass(frozen=True, eq=False)
class Connectivity:
    """Relation of a node's inputs and outputs, as a product of channels and positions.

    Parameters
    ----------
    channel, position : Relation
        Relations of channels and of positions. A pair is joined if both its channels and its
        positions are. A node that is not such a product has one channel on each side and flat
        indices as positions.
    """

    channel: Relation
    position: Relation

    @cached_property
    def _product(self) -> Grid:
        return Grid(self.channel, self.position)

    @property
    def pairs(self) -> int:
        """Number of pairs, which are synapses if the node is a connection."""
        return self._product.pairs

    @property
    def fan_out(self) -> IntArray:
        """Number of outputs that each input reaches, flat in C order."""
        return self._product.fan_out

    @property
    def fan_in(self) -> IntArray:
        """Number of inputs that reach each output, flat in C order."""
        return self._product.fan_in

    def matrix(self, weight: int) -> csr_matrix:
        """Return the pairs as an int32 matrix ``(outputs, inputs)`` with equal weights."""
        from scipy.sparse import csr_matrix

        product = self._product
        only_inputs = _only_input(self.channel), _only_input(self.position)
        if only_inputs[0] is not None and only_inputs[1] is not None:
            columns = np.add.outer(only_inputs[0] * self.position.inputs, only_inputs[1]).ravel()
            ends = np.arange(columns.size + 1)
        else:
            matrix = product.pattern.matrix
            matrix.sort_indices()
            columns, ends = matrix.indices, matrix.indptr
        weights = np.full(len(columns), weight, np.int32)
        shape = (product.outputs, product.inputs)
        return csr_matrix((weights, columns.astype(np.int32), ends.astype(np.int32)), shape=shape)


def _only_input(relation: Relation) -> IntArray | None:
    """Return the input of each output, if it is evident that each has exactly one."""
    if isinstance(relation, Blocks) and relation.inputs == relation.groups:
        return np.arange(relation.outputs) // (relation.outputs // relation.groups)
    return None


def channelwise(channels: int, position: Relation) -> Connectivity:
    """Return a connectivity that joins positions within each channel."""
    return Connectivity(one_to_one(channels), position)


def elementwise(shape: tuple[int, ...]) -> Connectivity:
    """Return a connectivity that joins each value to the value at the same place."""
    size = int(np.prod(shape[1:]))
    return channelwise(shape[0], one_to_one(size))
