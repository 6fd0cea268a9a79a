"""Advance populations by one time step, with the arithmetic of Lava's fixed-point models.

Lava uses int32, in which sums wrap, and int64 for the product of a decay (``lava.proc.lif.models``
and ``lava.proc.graded.models`` of lava-nc 0.10.0). The general form of `lif` computes the same for
any 32-bit values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.core.cgutils import unpack_tuple
from numba.extending import intrinsic
from numpy.typing import NDArray

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.lif import FORMS, Lanes, LifVectors
from sdt_lava.kernels.llvm import (
    INT,
    INT_BYTES,
    INTS,
    PART,
    constant,
    counting,
    element,
    index,
    load,
    load_first,
    store,
    store_first,
)
from sdt_lava.support.allocation import placed_fields

# Number of neurons whose parameters fit into the first cache.
_PERIOD = 1024


# A population: first neuron, number of neurons, first index and number of its parameters, which are
# repeated periodically, and whether u has memory.
POPULATION = np.dtype(
    [
        ("begin", np.int64),
        ("size", np.int64),
        ("parameter", np.int64),
        ("period", np.int64),
        ("has_memory", np.bool_),
    ],
    align=True,
)


class PopulationTable(NamedTuple):
    """Parameters of consecutive populations for :func:`integrate`.

    Parameters
    ----------
    parts : ndarray of POPULATION
        The populations.
    bias : ndarray of int32
        Bias of v, ``(n,)``.
    kept_current, kept_voltage : ndarray of int32
        Fractions of u and v that remain after a step in 1/4096 (0 to 4096), ``(n,)``.
    threshold : ndarray of int32
        Firing threshold, aligned with v, ``(n,)``.
    """

    parts: NDArray[Any]
    bias: NDArray[np.int32]
    kept_current: NDArray[np.int32]
    kept_voltage: NDArray[np.int32]
    threshold: NDArray[np.int32]


def population_table(populations: Sequence[tuple[int, Sequence[Any]]]) -> PopulationTable:
    """Build the parameters of populations.

    Parameters
    ----------
    populations : sequence of tuple
        Number of neurons, and the four fields, which repeat over the neurons.
    """
    parts, columns = [], []
    neuron = parameter = 0
    for size, fields in populations:
        values = np.stack(np.broadcast_arrays(*map(np.atleast_1d, fields)))
        # Tile in whole repetitions.
        values = np.tile(values, -(-_PERIOD // values.shape[1]))[:, : max(size, 1)]
        parts.append((neuron, size, parameter, values.shape[1], values[1].any()))
        columns.append(values)
        neuron, parameter = neuron + size, parameter + values.shape[1]
    rows = np.hstack(columns).astype(np.int32)
    return placed_fields(PopulationTable(np.array(parts, POPULATION), *rows))


class _StepArguments(NamedTuple):
    """Addresses of the first neuron's elements, all int32, and number of neurons."""

    activation: int
    current: int
    voltage: int
    spikes: int
    bias: int
    threshold: int
    kept_voltage: int
    kept_current: int
    neurons: int


class _Step:
    """Generator of the instructions that advance up to 16 neurons by one step."""

    def __init__(
        self, builder: Any, given: _StepArguments, at: Any, count: Any, has_memory: bool
    ) -> None:
        self.builder, self.given, self.at, self.count = builder, given, at, count
        self.has_memory = has_memory

    def write(self, is_kept: bool) -> None:
        """Generate the instructions; the current is stored if it is kept."""
        neuron = LifVectors(
            bias=self._read("bias"),
            threshold=self._read("threshold"),
            kept_voltage=self._read("kept_voltage"),
            kept_current=self._remembered("kept_current"),
        )
        # Largest values are not needed, so LLVM omits their computation.
        states = [self._read("voltage"), self._remembered("current"), constant(0), constant(0)]
        states, fired = FORMS["general"].fire(
            Lanes(self.builder), self._read("activation"), neuron, states
        )
        self._write("voltage", states[0])
        if is_kept:
            self._write("current", states[1])
        self._write("spikes", self.builder.zext(fired, INTS))

    def _remembered(self, array: str) -> Any:
        """Read an array, or return 0 if u has no memory."""
        return self._read(array) if self.has_memory else constant(0)

    def _place(self, array: str) -> Any:
        return element(self.builder, getattr(self.given, array), self.at, INT)

    def _read(self, array: str) -> Any:
        if self.count is None:
            return load(self.builder, self._place(array), INTS)
        return load_first(self.builder, self._place(array), self.count)

    def _write(self, array: str, value: Any) -> None:
        if self.count is None:
            store(self.builder, value, self._place(array))
        else:
            store_first(self.builder, value, self._place(array), self.count)


def _make_step(has_memory: bool, is_kept: bool) -> Any:
    """Build the function for neurons with or without memory of u, and with or without storing u."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        addresses = _StepArguments(*unpack_tuple(builder, arguments[0]))
        whole = builder.and_(addresses.neurons, index(-PART))
        with counting(builder, whole, by=PART) as loop:
            _Step(builder, addresses, loop.number, None, has_memory).write(is_kept)
        with builder.if_then(builder.icmp_signed("<", whole, addresses.neurons)):
            rest = builder.sub(addresses.neurons, whole)
            _Step(builder, addresses, whole, rest, has_memory).write(is_kept)
        return context.get_dummy_value()

    @intrinsic
    def step(typing: Any, arguments: Any) -> Any:
        """Advance neurons by one step."""
        return types.void(arguments), codegen

    return step


_step = _make_step(has_memory=False, is_kept=False)
_step_and_note_current = _make_step(has_memory=False, is_kept=True)
_step_with_memory = _make_step(has_memory=True, is_kept=True)


@jit
def integrate(
    activation: Any, current: Any, voltage: Any, table: PopulationTable, spikes: Any
) -> None:
    """Advance leaky integrate-and-fire neurons by one step.

    Parameters
    ----------
    activation : ndarray of int32
        Sum of the input in this step, ``(n,)``.
    current, voltage : ndarray of int32
        States u and v, ``(n,)``; updated in place. If no current has memory, `current` may be
        empty.
    table : PopulationTable
        Their parameters.
    spikes : ndarray of int32
        Output of 0 or 1, ``(n,)``.
    """
    has_current = current.size > 0
    for part in table.parts:
        end = part.begin + part.size
        for first in range(part.begin, end, part.period):
            at, parameter = first * INT_BYTES, part.parameter * INT_BYTES
            arguments = _StepArguments(
                activation=activation.ctypes.data + at,
                current=current.ctypes.data + at,
                voltage=voltage.ctypes.data + at,
                spikes=spikes.ctypes.data + at,
                bias=table.bias.ctypes.data + parameter,
                threshold=table.threshold.ctypes.data + parameter,
                kept_voltage=table.kept_voltage.ctypes.data + parameter,
                kept_current=table.kept_current.ctypes.data + parameter,
                neurons=min(part.period, end - first),
            )
            if part.has_memory:
                _step_with_memory(arguments)
            elif has_current:
                _step_and_note_current(arguments)
            else:
                _step(arguments)


@jit
def relay(activation: Any, voltage: Any, threshold: int, payload: Any) -> None:
    """Forward sums as graded spikes if their magnitude exceeds a threshold.

    Parameters
    ----------
    activation : ndarray of int32
        Sum of the input in this step, ``(n,)``.
    voltage : ndarray of int32
        State ``(n,)``; cleared.
    threshold : int
        Threshold; magnitudes up to this value are not sent.
    payload : ndarray of int32
        Output values ``(n,)``.
    """
    for i in range(activation.size):
        total = np.int32(voltage[i] + activation[i])
        # The magnitude of the most negative int32 is itself, as in NumPy.
        magnitude = np.int32(-total) if total < 0 else total
        payload[i] = total if magnitude > threshold else np.int32(0)
        voltage[i] = 0
