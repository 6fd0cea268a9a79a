"""Count messages between slices and operations in slices from the events of every neuron.

When a neuron sends, each core on which it has synapses receives one message per connection and
slice. All sums are exact integers: a product of relations becomes a product of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from sdt_lava.hardware.core_map.tiling import Tiling
from sdt_lava.hardware.core_map.wiring import Projection
from sdt_lava.ir.numerics import IntArray


@dataclass(frozen=True, eq=False)
class Messages:
    """Messages of one projection.

    Parameters
    ----------
    source, reader : ndarray of int64
        Slices of the two populations, ``(pairs,)``. The source is 0 if the host sends.
    count : ndarray of int64
        Number of messages between the slices, ``(pairs,)``.
    """

    source: IntArray
    reader: IntArray
    count: IntArray


def count_messages(
    projection: Projection, source: Tiling | None, reader: Tiling, events: IntArray | None
) -> Messages:
    """Count the messages between the slices of two populations.

    Parameters
    ----------
    projection : Projection
        The connection.
    source : Tiling or None
        Tiling of the source; None if it is on the host.
    reader : Tiling
        Tiling of the reader.
    events : ndarray of int64 or None
        Events of the source, ``(*shape)``; None for one event per neuron.
    """
    population = projection.source
    shape = population.channels, population.positions
    sent = None if events is None else np.asarray(events, np.int64).reshape(shape)
    if projection.flat:
        return _flat_messages(projection, source, reader, sent)
    channels, channel_pairs = _selection(
        projection.channel.counts(reader.channels.labels, reader.channels.parts),
        None if source is None else source.channels.labels,
    )
    positions, position_pairs = _selection(
        projection.position.counts(reader.position_labels, reader.position_parts),
        None if source is None else source.position_labels,
    )
    count = _bilinear(channels, sent, positions)
    width = 1 if source is None else source.position_parts
    rows = np.add.outer(channel_pairs[0] * width, position_pairs[0])
    columns = np.add.outer(channel_pairs[1] * reader.position_parts, position_pairs[1])
    return _nonzero(rows.ravel(), columns.ravel(), count.ravel())


def _flat_messages(
    projection: Projection, source: Tiling | None, reader: Tiling, sent: IntArray | None
) -> Messages:
    selection, pairs = _selection(
        projection.position.counts(reader.labels, reader.slices),
        None if source is None else source.labels,
    )
    ones = np.ones(selection.shape[1], np.int64)
    return _nonzero(*pairs, selection @ (ones if sent is None else sent.ravel()))


def _selection(
    reads: csr_matrix, labels: IntArray | None
) -> tuple[csr_matrix, tuple[IntArray, IntArray]]:
    """Return the inputs in each pair of a part of the source and a part of the reader.

    Parameters
    ----------
    reads : csr_matrix
        Inputs that each part of the reader reads, ``(reader parts, inputs)``.
    labels : ndarray of int or None
        Part of the source to which each input belongs.

    Returns
    -------
    csr_matrix
        Ones at the inputs of each pair, ``(pairs, inputs)``.
    (ndarray, ndarray)
        Part of the source and part of the reader of each pair.
    """
    table = reads.tocoo()
    part = np.zeros(reads.shape[1], np.int64) if labels is None else labels
    parts = int(part.max()) + 1
    pairs, index = np.unique(
        table.row.astype(np.int64) * parts + part[table.col], return_inverse=True
    )
    ones = np.ones(len(index), np.int64)
    selection = csr_matrix((ones, (index, table.col)), shape=(len(pairs), reads.shape[1]))
    return selection, (pairs % parts, pairs // parts)


def _bilinear(first: csr_matrix, values: IntArray | None, second: csr_matrix) -> IntArray:
    """Return ``first @ values @ second.T``; None stands for values of 1."""
    if values is None:
        totals = (np.asarray(matrix.sum(axis=1)).ravel() for matrix in (first, second))
        return np.outer(*totals)
    return np.asarray(first @ (second @ values.T).T)


def _nonzero(source: IntArray, reader: IntArray, count: IntArray) -> Messages:
    indices = np.flatnonzero(count)
    return Messages(source[indices], reader[indices], count[indices])


def count_synops(projection: Projection, reader: Tiling, events: IntArray | None) -> IntArray:
    """Count the synaptic operations in each slice of the reader, ``(slices,)``.

    Parameters
    ----------
    projection : Projection
        The connection.
    reader : Tiling
        Tiling of the reader.
    events : ndarray of int64 or None
        Events of the source, ``(*shape)``; None for one event per neuron.
    """
    population = projection.source
    shape = population.channels, population.positions
    sent = None if events is None else np.asarray(events, np.int64).reshape(shape)
    if projection.flat:
        counts = projection.position.counts(reader.labels, reader.slices)
        ones = np.ones(counts.shape[1], np.int64)
        return counts @ (ones if sent is None else sent.ravel())
    channels = projection.channel.counts(reader.channels.labels, reader.channels.parts)
    positions = projection.position.counts(reader.position_labels, reader.position_parts)
    return _bilinear(channels, sent, positions).ravel()
