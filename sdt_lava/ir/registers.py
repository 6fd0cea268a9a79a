"""Which value sits in which register of Lava, and what a register does with one that does not fit.

This is the only place that says so. The registers belong to the nodes of the traced graph, as the
usual lowering makes processes of them, so that every back end, kernel and lowering holds the same
values to the same limits:

====================  ==========================================================================
node                  registers
====================  ==========================================================================
conv                  the sum, its exponent applied: 24 bits that wrap (Lava's ``Conv``); with an
                      exponent below 0 it is a matrix
dense, readout,       the sum before its exponent, and after it: 32 bits that wrap (``Dense``,
token_sum, sparse     ``Sparse``)
token_mean            the sum over tokens before its shift: 32 bits that wrap
a stream, max_pool,   the payload of a graded spike: 24 bits, in Lava's simulator a variable of 32
readout, relays
lif, cuba_lif         the sum of the input: 18 bits, which aligned with v are 24; u: 24 bits that
                      wrap once; v: 24 bits that saturate
====================  ==========================================================================

A *stream* is a current that goes to several readers, or through a choice or sum of positions: a
relay sends it on. A sum that only one neuron reads has no register until it is in u.

Sources: ``lava.proc.conv.models`` (``signed_clamp``), ``lava.proc.dense.models``,
``lava.proc.sparse.models``, ``lava.proc.graded.models``, ``lava.proc.lif.models`` (lava-nc 0.10.0).
"""

from __future__ import annotations

import numpy as np

from sdt_lava.ir.base import Node, Signal
from sdt_lava.ir.graph import Graph
from sdt_lava.ir.numerics import (
    INT32_HIGH,
    INT32_LOW,
    PAYLOAD_LIMIT,
    IntArray,
    Shape,
    power_shift,
    wrap_int32,
)
from sdt_lava.ir.watch import PAYLOAD, SUM24, SUM32, Watch

# Of ``(T, B, C, ...)``.
CHANNEL_AXIS = 2


def relayed_currents(graph: Graph) -> frozenset[str]:
    """Return the currents that relays send on: streams, maxima, and one that ends a network."""
    return frozenset(
        node.name
        for node in graph
        if is_stream(graph, node) or _is_maximum(graph, node) or _is_end(graph, node)
    )


def _is_maximum(graph: Graph, node: Node) -> bool:
    return node.takes_maximum and graph.signals[node.name] is Signal.CURRENT


def _is_end(graph: Graph, node: Node) -> bool:
    is_current = graph.signals[node.name] is Signal.CURRENT
    return is_current and graph.readout is None and not graph.consumers[node.name]


def is_stream(graph: Graph, node: Node) -> bool:
    """Whether a current has several readers, or is read through a subsampling or a token mean."""
    # A pooled current is a population anyway; a selection or a mean belongs to what it selects.
    if node.selects or node.takes_maximum:
        return False
    if graph.signals[node.name] is not Signal.CURRENT:
        return False
    readers = [graph.nodes[name] for name in graph.consumers[node.name]]
    return len(readers) > 1 or any(reader.selects for reader in readers)


def hold(node: Node, sums: IntArray, source: Shape, watch: Watch | None = None) -> IntArray:
    """Return what a layer sends, from its exact sums.

    Parameters
    ----------
    node : Node
        The layer, of a kind that `holds_sums`.
    sums : ndarray of int64
        ``(T, B, C, ...)`` before the exponent.
    source : tuple of int
        Shape of what it reads.
    watch : Watch, optional
        Notes what does not fit.
    """
    exponent = node.sum_exponent
    if not node.is_matrix:
        shifted = power_shift(sums, exponent, CHANNEL_AXIS)
        if watch is not None:
            watch.look(node.name, "sum", shifted, SUM24)
        return _wrapped_convolution(shifted)
    doublings = node.doublings(source)
    stored = power_shift(sums, doublings, CHANNEL_AXIS)
    shifted = power_shift(wrap_int32(stored), exponent - doublings, CHANNEL_AXIS)
    if watch is not None and watch.look(node.name, "sum", stored, SUM32):
        watch.look(node.name, "sum", shifted, SUM32)
    return wrap_int32(shifted)


def carry(node: Node, values: IntArray, watch: Watch | None = None) -> IntArray:
    """Return what a relay sends.

    Parameters
    ----------
    node : Node
        The relay, or the stream or maximum that it sends on.
    values : ndarray of int64
        ``(T, B, C, ...)``.
    watch : Watch, optional
        Notes what is no payload.
    """
    if watch is not None:
        watch.look(node.name, "payload", values, PAYLOAD)
    held = wrap_int32(values)
    if node.takes_maximum:
        return held
    # Lava's GradedVec sends what is larger than 0, and this one has no magnitude in 32 bits.
    return np.where(held == INT32_LOW, 0, held)


def _wrapped_convolution(sums: IntArray) -> IntArray:
    """Keep 24 bits, as Lava's Conv does; it adds in float64, where what leaves int32 becomes 0."""
    if sums.size and SUM24.low <= sums.min() and sums.max() <= SUM24.high:
        return sums
    span = SUM24.high - SUM24.low + 1
    wrapped = (sums - SUM24.low) % span + SUM24.low
    return np.where((sums < INT32_LOW) | (sums > INT32_HIGH), 0, wrapped)


def certain_limit(node: Node, payload: bool) -> int | None:
    """Return the magnitude up to which what a node sends proves that all its registers held it.

    Parameters
    ----------
    node : Node
        Any node but neurons.
    payload : bool
        Whether a relay sends it on.

    Returns
    -------
    int or None
        None if nothing can go wrong.
    """
    limits = []
    if payload or node.sends_payload:
        limits.append(PAYLOAD_LIMIT)
    if node.holds_sums:
        limits.append(sum_limit(node))
    return min(limits) if limits else None


def sum_limit(node: Node) -> int:
    """Return the magnitude of a layer's output up to which its sums surely fit."""
    if not node.is_matrix:
        return SUM24.high
    least = int(np.min(node.sum_exponent))
    # Half of 32 bits: the stored sum may be doubled. What is shifted out may be nearly one more.
    return max((INT32_HIGH // 2 >> max(-least, 0)) - 1, 0)
