"""Simulate populations: neurons that run from machine step 0, with their resets."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sdt_lava.compiler.schedule import Schedule
from sdt_lava.errors import NumericOverflowError
from sdt_lava.ir import Gate, Lif, MessageNeurons, Node, Signal, SpikingNeurons
from sdt_lava.ir.numerics import (
    ACTIVATION_SHIFT,
    DECAY_UNITY,
    GATE_DECAY,
    THRESHOLD_LIMIT,
    IntArray,
    LifParameters,
    lif_step,
)
from sdt_lava.ir.reference import evaluate

Shape = tuple[int, ...]


class Population(Protocol):
    """A population of neurons with its state."""

    def run(self, arriving: list[IntArray], first: int) -> NDArray[Any]:
        """Run the neurons for some steps.

        Parameters
        ----------
        arriving : list of ndarray of int64
            Sums that each connection delivers, ``(steps, lanes, *shape)``.
        first : int
            Machine step of the first of these steps, counting from 0.

        Returns
        -------
        ndarray
            Output of the neurons, ``(steps, lanes, *shape)``: uint8 spikes or int32 payloads.
        """
        ...


class _Resets:
    """Steps at which a population is reset; Lava counts steps from 1."""

    def __init__(self, name: str, schedule: Schedule) -> None:
        self._interval, self._offset = schedule.reset_interval, schedule.reset_offset(name)

    def at(self, step: int) -> bool:
        return (step + 1) % self._interval == self._offset


class _LifNeurons:
    """LIF neurons, or gates, which are never reset."""

    def __init__(self, parameters: LifParameters, shape: Shape, resets: _Resets | None) -> None:
        self._parameters, self._resets = parameters, resets
        self._rest = np.zeros(shape, np.int64)
        self._current = self._voltage = self._rest

    def run(self, arriving: list[IntArray], first: int) -> NDArray[Any]:
        sums = total(arriving)
        spikes = np.empty(sums.shape, np.uint8)
        for index, activation in enumerate(sums):
            if self._resets is not None and self._resets.at(first + index):
                self._current = self._voltage = self._rest
            self._current, self._voltage, spikes[index], _ = lif_step(
                self._current, self._voltage, activation, self._parameters
            )
        return spikes


class _Membranes(_LifNeurons):
    """LIF neurons of a readout, which never fire and whose membranes the host reads.

    The output is the increase of the membranes in each step, in units of a weight. Its sum is the
    value that the host reads after a sample.
    """

    def __init__(self, node: Lif, shape: Shape, schedule: Schedule) -> None:
        parameters = node.parameters(len(shape) - 1).lif
        super().__init__(parameters, shape, _Resets(node.name, schedule))
        self._name = node.name

    def run(self, arriving: list[IntArray], first: int) -> NDArray[Any]:
        sums = total(arriving)
        increases = np.empty(sums.shape, np.int64)
        for index in range(len(sums)):
            is_reset = self._resets is not None and self._resets.at(first + index)
            previous = self._rest if is_reset else self._voltage
            if super().run([sums[index : index + 1]], first + index).any():
                raise NumericOverflowError(
                    f"{self._name!r}, machine step {first + index}",
                    "a readout that its membrane cannot hold",
                    f"sums of up to {THRESHOLD_LIMIT}",
                    "compile for a target with graded spikes",
                )
            increases[index] = (self._voltage - previous) >> ACTIVATION_SHIFT
        return increases


class _SpikingNeurons:
    def __init__(self, node: SpikingNeurons, shape: Shape, schedule: Schedule) -> None:
        self._neurons = node.population(shape)
        self._resets = _Resets(node.name, schedule)

    def run(self, arriving: list[IntArray], first: int) -> NDArray[Any]:
        sums = total(arriving)
        spikes = np.empty(sums.shape, np.uint8)
        for index, activation in enumerate(sums):
            if self._resets.at(first + index):
                self._neurons.reset()
            spikes[index] = self._neurons.step(activation)[0]
        return spikes


class _MessageNeurons:
    """Neurons that send changes as messages; those without starting states are not reset."""

    def __init__(self, node: MessageNeurons, shape: Shape, schedule: Schedule) -> None:
        self._node, self._shape = node, shape
        self._start, self._resets = schedule.starts.get(node.name), _Resets(node.name, schedule)
        self._neurons = node.population(shape)

    def run(self, arriving: list[IntArray], first: int) -> NDArray[Any]:
        sums = total(arriving)
        sent = np.empty(sums.shape, np.int32)
        for index, activation in enumerate(sums):
            if self._start is not None and self._resets.at(first + index):
                start = tuple(part.reshape(self._shape[1:]) for part in self._start)
                self._neurons = self._node.population(self._shape, start)
            sent[index] = self._neurons.step(activation)[0]
        return sent


class _Memoryless:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._kind = np.uint8 if node.output_signal([]) is Signal.SPIKE else np.int32

    def run(self, arriving: list[IntArray], first: int) -> NDArray[Any]:
        return evaluate(self._node, arriving).astype(self._kind)


def total(arriving: list[IntArray]) -> IntArray:
    """Add the sums that arrive over several connections."""
    first, *others = arriving
    for other in others:
        first = first + other
    return first


def _gate(node: Gate, shape: Shape) -> Population:
    parameters = LifParameters(
        threshold=node.threshold,
        voltage_decay=GATE_DECAY,
        current_decay=DECAY_UNITY,
        bias=0,
        bias_exponent=0,
    )
    return _LifNeurons(parameters, shape, None)


def make_membranes(node: Any, shape: Shape, schedule: Schedule) -> Population:
    """Create the neurons of a readout in membranes, as `make_population` does for others."""
    return _Membranes(node, shape, schedule)


def make_population(node: Node, shape: Shape, schedule: Schedule) -> Population:
    """Create the neurons of a node at rest.

    Parameters
    ----------
    node : Node
        Population of a compiled graph.
    shape : tuple of int
        Shape of the neurons, ``(lanes, *shape)``.
    schedule : Schedule
        Schedule with the resets.
    """
    if isinstance(node, SpikingNeurons):
        return _SpikingNeurons(node, shape, schedule)
    if isinstance(node, MessageNeurons):
        return _MessageNeurons(node, shape, schedule)
    return _gate(node, shape) if isinstance(node, Gate) else _Memoryless(node)
