"""Expand currents to terms: their producers and the operations between producer and reader."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from sdt_lava.compiler.connections import convolution, identity, token_sum
from sdt_lava.ir import (
    Conv,
    Graph,
    MaxPool,
    Node,
    Shape,
    Shortcut,
    Signal,
    Sparse,
    Subsample,
    TokenMean,
)
from sdt_lava.ir.numerics import WEIGHT_LIMIT, IntArray, lava_weights


@dataclass(frozen=True)
class Term:
    """One producer of a current.

    Parameters
    ----------
    source : str
        The producer: a synapse, or a current that a relay population forwards.
    relayed : bool
        Whether a relay population forwards the current.
    label : str
        Name of what the reader reads: the producer, or the last selection or mean after it.
    stride : int
        Stride of the rows and columns that are read.
    summed : bool
        Whether the current is summed over tokens.
    shift : int
        Bits by which the sum is shifted to the right.
    """

    source: str
    relayed: bool
    label: str
    stride: int = 1
    summed: bool = False
    shift: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the producer's current arrives unchanged."""
        return self.stride == 1 and not self.summed


class Terms:
    """The terms of a graph's currents, which are counted before they are listed.

    A current that is added to itself twice has four times as many terms, so n sums can have 2^n
    terms. Neither counting nor listing recurses with the depth of the graph.

    Parameters
    ----------
    graph : Graph
        Graph with the currents.
    relayed : collection of str
        Currents that a relay forwards.
    """

    def __init__(self, graph: Graph, relayed: Collection[str]) -> None:
        self.graph = graph
        self._relayed = frozenset(relayed)
        self._counts: dict[str, int] = {}
        # Currents with a relay as their only term.
        self._single: set[str] = set()
        for node in graph:
            if graph.signals[node.name] is Signal.CURRENT:
                self._count(node)

    def _count(self, node: Node) -> None:
        if self.is_relay(node):
            self._counts[node.name] = 1
        elif isinstance(node, Shortcut | Subsample | TokenMean):
            self._counts[node.name] = sum(self._counts[name] for name in node.inputs)
            if self._counts[node.name] > 1 or node.inputs[0] not in self._single:
                return
        else:
            self._counts[node.name] = 1
            return
        self._single.add(node.name)

    def is_relay(self, node: Node) -> bool:
        """Return whether a relay population forwards a current."""
        if node.name in self._relayed or isinstance(node, MaxPool):
            return True
        # Only the whole sum may be rounded, so a relay with one neuron per channel computes it.
        return isinstance(node, TokenMean) and node.shift > 0 and node.inputs[0] not in self._single

    def count(self, current: str) -> int:
        """Return the number of terms of a current."""
        return self._counts[current]

    def summed(self, current: str) -> list[Term]:
        """Return the terms of a token mean of a current before rounding."""
        return [replace(term, summed=True) for term in self.of(current)]

    def of(self, current: str) -> list[Term]:
        """Return the terms of a current in order."""
        terms: list[Term] = []
        # Currents that remain to be expanded, with the operations between them and the reader.
        pending = [Term(current, False, "")]
        while pending:
            term = pending.pop()
            node = self.graph.nodes[term.source]
            if self.is_relay(node):
                shift = node.shift if isinstance(node, TokenMean) else term.shift
                terms.append(
                    replace(term, relayed=True, label=term.label or node.name, shift=shift)
                )
            elif isinstance(node, Shortcut | Subsample | TokenMean):
                passed = self._passed(term, node)
                pending.extend(replace(passed, source=name) for name in reversed(node.inputs))
            else:
                terms.append(replace(term, label=node.name))
        return terms

    def _passed(self, term: Term, node: Node) -> Term:
        """Return a term before a sum, selection or mean that it passes through."""
        if isinstance(node, Shortcut):
            return term
        # What is read from a relay is named after the last selection or mean, if it has one term.
        named = replace(term, label=term.label or node.name) if node.name in self._single else term
        if isinstance(node, Subsample):
            return replace(named, stride=term.stride * node.stride)
        assert isinstance(node, TokenMean)
        return replace(named, summed=True, shift=node.shift)


class Connector:
    """Builder of connections from terms, which builds each matrix once.

    Parameters
    ----------
    graph : Graph
        Graph with the producers.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._matrices: dict[tuple[str, int, bool], list[csr_matrix]] = {}
        self._selections: dict[tuple[Shape, int, bool], csr_matrix] = {}

    def connections(self, term: Term, population: str) -> list[Node]:
        """Return the connections of a term, without a reader and named after the producer.

        Parameters
        ----------
        term : Term
            Term to connect.
        population : str
            Relay population of a term that has one.
        """
        if term.relayed:
            return [self._from_relay(term, population)]
        node = self.graph.nodes[term.source]
        if term.is_plain:
            return [node]
        if isinstance(node, Conv) and not term.summed:
            # Selecting every s-th output of a convolution multiplies its stride by s.
            rows, columns = node.stride
            return [replace(node, stride=(rows * term.stride, columns * term.stride))]
        return self._composed(term, node)

    def _from_relay(self, term: Term, population: str) -> Node:
        # The relay of a token mean already holds the sum.
        source = self.graph.shapes[term.source]
        return Sparse(
            name=term.label,
            inputs=(population,),
            origin=term.label,
            weight=self._selection(source, term.stride, term.summed),
            shape=_read_shape(source, term),
            role="token_sum" if term.summed or term.shift else "shortcut",
            exponent=-term.shift,
        )

    def _selection(self, shape: Shape, stride: int, summed: bool) -> csr_matrix:
        key = shape, stride, summed
        if key not in self._selections:
            self._selections[key] = _selection(*key)
        return self._selections[key]

    def _composed(self, term: Term, node: Node) -> list[Node]:
        """Compose a synapse and the operations after it to matrices of 8-bit weights."""
        source = self.graph.shapes[term.source]
        key = term.source, term.stride, term.summed
        if key not in self._matrices:
            matrix = self._selection(source, term.stride, term.summed)
            matrix = matrix @ _matrix(self.graph, node)
            self._matrices[key] = split_weights(matrix)
        return [
            Sparse(
                name=node.name,
                inputs=node.inputs,
                origin=node.name,
                weight=weight,
                shape=_read_shape(source, term),
                role="synapse",
                exponent=getattr(node, "exponent", 0),
            )
            for weight in self._matrices[key]
        ]


def _read_shape(shape: Shape, term: Term) -> Shape:
    if term.summed:
        return shape[:1]
    if term.stride == 1:
        return shape
    return shape[0], -(-shape[1] // term.stride), -(-shape[2] // term.stride)


def _selection(shape: Shape, stride: int, summed: bool) -> csr_matrix:
    """Return the matrix that selects positions of a current and optionally sums over tokens."""
    if stride == 1:
        selection = identity(int(np.prod(shape)), 1)
    else:
        selection = Subsample(name="", stride=stride).relation([shape]).matrix(1)
    if not summed:
        return selection
    selected = shape if stride == 1 else (shape[0], *(-(-side // stride) for side in shape[1:]))
    return token_sum(selected, 1) @ selection


def _matrix(graph: Graph, node: Node) -> csr_matrix:
    if isinstance(node, Sparse):
        return node.weight
    assert isinstance(node, Conv)
    return convolution(node, graph.shapes[node.inputs[0]], graph.shapes[node.name])


def split_weights(matrix: csr_matrix) -> list[csr_matrix]:
    """Split a matrix into a sum of matrices whose weights Lava's connections store exactly.

    The first part keeps all synapses, including those whose weights cancelled out. Weights that do
    not fit eight bits are split into even weights within the limit and a separate part for the
    lowest bits.
    """
    whole = matrix.astype(np.int32).tocoo()
    if lava_weights(whole.data) is not None:
        return [_part(whole, whole.data, np.ones(whole.nnz, bool))]
    lowest = whole.data & 1
    rest = whole.data - lowest
    parts = [_part(whole, np.clip(rest, -WEIGHT_LIMIT, WEIGHT_LIMIT), np.ones(whole.nnz, bool))]
    while (rest := rest - np.clip(rest, -WEIGHT_LIMIT, WEIGHT_LIMIT)).any():
        parts.append(_part(whole, np.clip(rest, -WEIGHT_LIMIT, WEIGHT_LIMIT), rest != 0))
    return [*parts, _part(whole, lowest, lowest != 0)] if lowest.any() else parts


def _part(whole: coo_matrix, weights: IntArray, kept: NDArray[np.bool_]) -> csr_matrix:
    entries = weights[kept], (whole.row[kept], whole.col[kept])
    part = csr_matrix(entries, shape=whole.shape)
    part.sort_indices()
    return part
