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

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import NumericOverflowError
from sdt_lava.ir import (
    Conv,
    Dense,
    Graph,
    MaxPool,
    MaxRelay,
    Node,
    Readout,
    Relay,
    Signal,
    Sparse,
    Subsample,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.base import Shape
from sdt_lava.ir.numerics import (
    ACTIVATION_LIMIT,
    INT32_HIGH,
    INT32_LOW,
    PAYLOAD_LIMIT,
    STATE_LIMIT,
    IntArray,
    lava_weights,
    power_shift,
    wrap_int32,
)

# Of ``(T, B, C, ...)``.
CHANNEL_AXIS = 2
_REMEDY = "export again with calibration data like this input, or simulate with strict=False"


@dataclass(frozen=True)
class Register:
    """Bits that hold a value.

    Parameters
    ----------
    low, high : int
        Smallest and largest value that it holds as it is.
    described : str
        What it is, for errors.
    """

    low: int
    high: int
    described: str


# 24 bits of two's complement.
SUM24 = Register(-STATE_LIMIT - 1, STATE_LIMIT, "24-bit sum of a convolution")
SUM32 = Register(INT32_LOW, INT32_HIGH, "32-bit sum of a connection")
PAYLOAD = Register(-PAYLOAD_LIMIT, PAYLOAD_LIMIT, "24-bit payload")
ACTIVATION = Register(-ACTIVATION_LIMIT, ACTIVATION_LIMIT, "24-bit state")
STATE = Register(-STATE_LIMIT, STATE_LIMIT, "24-bit state")


@dataclass
class Watch:
    """The first value of a run that does not fit its register.

    First is the earliest sample, in it the earliest step, and in that the first node in the
    graph's order: no value before it has been wrapped, and it does not depend on how samples are
    cut into batches.

    Parameters
    ----------
    order : sequence of str
        Names of the nodes.
    """

    order: Sequence[str]
    first: tuple[int, int, int] | None = None
    error: NumericOverflowError | None = None
    _places: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._places = {name: place for place, name in enumerate(self.order)}

    def look(
        self, name: str, what: str, values: NDArray[Any], register: Register, step: int = 0
    ) -> bool:
        """Look at values of some steps; tell whether all of them fit.

        Parameters
        ----------
        name : str
            Node.
        what : str
            What the values are.
        values : ndarray of int64
            ``(T, B, ...)``.
        register : Register
            Where they go.
        step : int
            Step of the first ones.
        """
        if not values.size:
            return True
        if values.min() >= register.low and values.max() <= register.high:
            return True
        outside = (values < register.low) | (values > register.high)
        by_sample = outside.any(axis=tuple(range(2, values.ndim))).T
        sample, at = divmod(int(np.argmax(by_sample)), by_sample.shape[1])
        key = sample, step + at, self._places.get(name, len(self._places))
        if self.first is None or key < self.first:
            self.first = key
            seen = values[at, sample]
            largest = max(int(seen.max()), -int(seen.min()))
            allowed = f"at most {register.high} ({register.described})"
            where = f"{name!r}, step {step + at}"
            self.error = NumericOverflowError(where, f"{what} of {largest}", allowed, _REMEDY)
        return False

    def raise_first(self) -> None:
        """Raise if a value did not fit.

        Raises
        ------
        NumericOverflowError
            Naming the first one.
        """
        if self.error is not None:
            raise self.error


def later(error: NumericOverflowError, steps: int) -> NumericOverflowError:
    """Return an error of a part of a stream, with the step counted from the stream's start."""
    node, _, step = error.where.rpartition(", step ")
    where = f"{node}, step {int(step) + steps}"
    return NumericOverflowError(where, error.found, error.allowed, error.remedy)


def relayed_currents(graph: Graph) -> frozenset[str]:
    """Return the currents that relays send on: streams, maxima, and one that ends a network."""
    return frozenset(
        node.name
        for node in graph
        if is_stream(graph, node) or isinstance(node, MaxPool) or _is_end(graph, node)
    )


def _is_end(graph: Graph, node: Node) -> bool:
    is_current = graph.signals[node.name] is Signal.CURRENT
    return is_current and graph.readout is None and not graph.consumers[node.name]


def is_stream(graph: Graph, node: Node) -> bool:
    """Whether a current has several readers, or is read through a subsampling or a token mean."""
    # A pooled current is a population anyway; a selection or a mean belongs to what it selects.
    if isinstance(node, Subsample | TokenMean | MaxPool):
        return False
    if graph.signals[node.name] is not Signal.CURRENT:
        return False
    readers = [graph.nodes[name] for name in graph.consumers[node.name]]
    return len(readers) > 1 or any(isinstance(reader, Subsample | TokenMean) for reader in readers)


def is_matrix(node: Node) -> bool:
    """Whether a layer's sums are those of a matrix: Lava's Conv cannot shift to the right."""
    return not isinstance(node, Conv) or bool((node.channel_exponents < 0).any())


def hold(node: Any, sums: IntArray, source: Shape, watch: Watch | None = None) -> IntArray:
    """Return what a layer sends, from its exact sums.

    Parameters
    ----------
    node : Conv, Dense, Readout, Sparse, TokenSum or TokenMean
        The layer.
    sums : ndarray of int64
        ``(T, B, C, ...)`` before the exponent.
    source : tuple of int
        Shape of what it reads.
    watch : Watch, optional
        Notes what does not fit.
    """
    if not is_matrix(node):
        shifted = power_shift(sums, node.exponent, CHANNEL_AXIS)
        if watch is not None:
            watch.look(node.name, "sum", shifted, SUM24)
        return _wrapped_convolution(shifted)
    if isinstance(node, TokenMean):
        exponent, doublings = -node.shift, np.zeros((), np.int64)
    else:
        exponent, doublings = getattr(node, "exponent", 0), stored_doublings(node, source)
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
    if isinstance(node, MaxPool | MaxRelay):
        return held
    # Lava's GradedVec sends what is larger than 0, and this one has no magnitude in 32 bits.
    return np.where(held == INT32_LOW, 0, held)


def look_at_neurons(
    watch: Watch,
    name: str,
    step: int,
    *,
    activation: IntArray,
    current: IntArray | None,
    peak: IntArray,
) -> None:
    """Look at what arrives at neurons in a step, u before it wraps, and v before it saturates.

    Parameters
    ----------
    watch : Watch
        Where to note what does not fit.
    name : str
        Population.
    step : int
        Step.
    activation, current, peak : ndarray of int64
        ``(B, ...)``; no current where u has no memory, and is the activation.
    """
    watch.look(name, "activation", activation[None], ACTIVATION, step)
    if current is not None:
        watch.look(name, "current", current[None], STATE, step)
    watch.look(name, "membrane", peak[None], STATE, step)


def _wrapped_convolution(sums: IntArray) -> IntArray:
    """Keep 24 bits, as Lava's Conv does; it adds in float64, where what leaves int32 becomes 0."""
    if sums.size and SUM24.low <= sums.min() and sums.max() <= SUM24.high:
        return sums
    span = SUM24.high - SUM24.low + 1
    wrapped = (sums - SUM24.low) % span + SUM24.low
    return np.where((sums < INT32_LOW) | (sums > INT32_HIGH), 0, wrapped)


def stored_doublings(node: Any, source: Shape) -> IntArray:
    """Return how often the stored sums of a matrix are doubled (or halved, -1), by channel.

    Lava keeps eight bits of a weight; odd ones with both signs are stored as twice their value,
    with an exponent that is one smaller (:func:`sdt_lava.ir.numerics.lava_weights`). There is a
    matrix for each exponent.
    """
    if isinstance(node, TokenSum):
        return np.array(_doublings(np.array([node.weight])))
    if isinstance(node, Sparse):
        return _sparse_doublings(node)
    is_conv = isinstance(node, Conv)
    weight = _used(node, source) if is_conv else np.asarray(node.weight, np.int64)
    exponents = node.channel_exponents
    found = np.zeros(len(weight), np.int64)
    for exponent in np.unique(exponents):
        rows = exponents == exponent
        found[rows] = _doublings(weight[rows])
    return found


def _doublings(weight: IntArray) -> int:
    found = lava_weights(weight)
    return 0 if found is None else -found[1]


def _sparse_doublings(node: Sparse) -> IntArray:
    channels = node.shape[0]
    exponents = np.broadcast_to(np.asarray(node.exponent, np.int64), (channels,))
    if len(np.unique(exponents)) == 1:
        return np.full(channels, _doublings(node.weight.data))
    positions = node.weight.shape[0] // channels
    ends = node.weight.indptr[::positions]
    found = np.zeros(channels, np.int64)
    for exponent in np.unique(exponents):
        rows = np.flatnonzero(exponents == exponent)
        data = [node.weight.data[ends[row] : ends[row + 1]] for row in rows]
        found[rows] = _doublings(np.concatenate(data))
    return found


def _used(node: Conv, source: Shape) -> IntArray:
    """Return the weights that a matrix of the convolution has: some kernels never fit in whole."""
    weight = np.asarray(node.weight, np.int64)
    _, *sides = node.output_shape([source])
    for axis in (0, 1):
        taps = np.arange(weight.shape[2 + axis]) * node.dilation[axis] - node.padding[axis]
        reached = taps[:, None] + np.arange(sides[axis]) * node.stride[axis]
        used = ((reached >= 0) & (reached < source[1 + axis])).any(axis=1)
        weight = np.compress(used, weight, axis=2 + axis)
    return weight


# Nodes whose sums go through `hold`, and populations that send on a sum of currents.
WEIGHTED = (Conv, Dense, Readout, Sparse, TokenSum, TokenMean)
RELAYS = (Relay, MaxRelay)


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
    if payload or isinstance(node, (*RELAYS, Readout)):
        limits.append(PAYLOAD_LIMIT)
    if isinstance(node, WEIGHTED):
        limits.append(sum_limit(node))
    return min(limits) if limits else None


def sum_limit(node: Any) -> int:
    """Return the magnitude of a layer's output up to which its sums surely fit."""
    if not is_matrix(node):
        return SUM24.high
    least = (
        -node.shift if isinstance(node, TokenMean) else int(np.min(getattr(node, "exponent", 0)))
    )
    # Half of 32 bits: the stored sum may be doubled. What is shifted out may be nearly one more.
    return max((INT32_HIGH // 2 >> max(-least, 0)) - 1, 0)
