"""Define the registers of Lava that hold each value, and the effect of values that do not fit.

This module is the only definition. The registers belong to the nodes of the traced graph, for the
processes of the default lowering, so that every back end, kernel and lowering applies the same
limits to the same values:

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

A *stream* is a current with several readers, or one that is read through a selection or sum of
positions; a relay forwards it. A sum with a single reading neuron has no register until it is in u.

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

# Axis of channels in ``(T, B, C, ...)``.
CHANNEL_AXIS = 2


def relayed_currents(graph: Graph) -> frozenset[str]:
    """Return the currents that relays forward: streams, maxima and the end of a network."""
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
    """Return whether a current has several readers, or is read by a subsampling or token mean."""
    # A pooled current is always a population; a selection or mean belongs to its input.
    if node.selects or node.takes_maximum:
        return False
    if graph.signals[node.name] is not Signal.CURRENT:
        return False
    readers = [graph.nodes[name] for name in graph.consumers[node.name]]
    return len(readers) > 1 or any(reader.selects for reader in readers)


def hold(node: Node, sums: IntArray, source: Shape, watch: Watch | None = None) -> IntArray:
    """Return the output of a layer from its exact sums.

    Parameters
    ----------
    node : Node
        Layer of a kind that `holds_sums`.
    sums : ndarray of int64
        Sums ``(T, B, C, ...)`` before the exponent is applied.
    source : tuple of int
        Shape of the layer's input.
    watch : Watch, optional
        Watch that records values that do not fit.
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
    """Return the output of a relay.

    Parameters
    ----------
    node : Node
        Relay, or the stream or maximum that it forwards.
    values : ndarray of int64
        Values ``(T, B, C, ...)``.
    watch : Watch, optional
        Watch that records values that do not fit a payload.
    """
    if watch is not None:
        watch.look(node.name, "payload", values, PAYLOAD)
    wrapped = wrap_int32(values)
    if node.takes_maximum:
        return wrapped
    # Lava's GradedVec sends values with a magnitude above 0, and this value has none in 32 bits.
    return np.where(wrapped == INT32_LOW, 0, wrapped)


def _wrapped_convolution(sums: IntArray) -> IntArray:
    """Wrap to 24 bits as Lava's Conv, which sums in float64 and sets values beyond int32 to 0."""
    if sums.size and SUM24.low <= sums.min() and sums.max() <= SUM24.high:
        return sums
    span = SUM24.high - SUM24.low + 1
    wrapped = (sums - SUM24.low) % span + SUM24.low
    return np.where((sums < INT32_LOW) | (sums > INT32_HIGH), 0, wrapped)


def certain_limit(node: Node, payload: bool) -> int | None:
    """Return the magnitude of a node's output up to which all of its registers certainly fit.

    Parameters
    ----------
    node : Node
        Any node except neurons.
    payload : bool
        Whether a relay forwards the output.

    Returns
    -------
    int or None
        The magnitude, or None if no register can overflow.
    """
    limits = []
    if payload or node.sends_payload:
        limits.append(PAYLOAD_LIMIT)
    if node.holds_sums:
        limits.append(sum_limit(node))
    return min(limits) if limits else None


def sum_limit(node: Node) -> int:
    """Return the magnitude of a layer's output up to which its sums certainly fit."""
    if not node.is_matrix:
        return SUM24.high
    least = int(np.min(node.sum_exponent))
    # Half of 32 bits, since the stored sum may be doubled; shifting may discard almost one unit.
    return max((INT32_HIGH // 2 >> max(-least, 0)) - 1, 0)
