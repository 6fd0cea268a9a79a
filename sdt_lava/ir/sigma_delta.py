"""Define sigma-delta neurons, which send changes of their activation as graded messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sdt_lava.ir.base import CURRENTS, EVENTS, Array, Shape, Signal, States
from sdt_lava.ir.intervals import Interval
from sdt_lava.ir.numerics import IntArray, channel_vector
from sdt_lava.ir.shortcuts import Sum
from sdt_lava.ir.sigma_delta_steps import (
    DeltaParameters,
    DeltaPopulation,
    Population,
    SigmaDeltaPopulation,
    SigmaPopulation,
)
from sdt_lava.ir.watch import STATE, Watch

# Exponents that lava-dl's netx uses for all neurons of this kind.
SPIKE_EXPONENT = STATE_EXPONENT = 6
# Lava stores states in 32 bits, so no activation or message is larger.
_MOST = 1 << 32
# Intervals of a message and of the sum of messages, and largest magnitude of a state.
MessageBound = tuple[Interval, Interval, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class MessageNeurons(Sum):
    """Base class of neurons with a state that send graded messages."""

    emits: ClassVar[Signal] = Signal.GRADED
    is_population: ClassVar[bool] = True
    has_memory: ClassVar[bool] = True
    is_mappable: ClassVar[bool] = True

    def population(self, shape: Shape, start: States | None = None) -> Population:
        """Create neurons ``(B, *shape)`` at rest, or in states that broadcast to the shape."""
        population = self._at_rest(shape)
        if start is not None:
            population.state = tuple(np.broadcast_to(x, shape).astype(np.int32) for x in start)
        return population

    def _at_rest(self, shape: Shape) -> Population:
        raise self.lacks("what its neurons are", "_at_rest")

    def run(
        self, arriving: IntArray, start: States | None, watch: Watch | None = None
    ) -> tuple[IntArray, States]:
        """Return the messages, and the states after the last step."""
        population = self.population(arriving.shape[1:], start)
        sent = np.zeros(arriving.shape, np.int64)
        for step, current in enumerate(arriving):
            sent[step], exact = population.step(current)
            if watch is not None:
                watch.look(self.name, "state", np.stack(exact, axis=1)[None], STATE, step)
        return sent, population.state

    def state_shapes(self, shape: Shape) -> list[Shape]:
        """Return the shape of the population for each part of the state."""
        return [shape] * len(self._at_rest((1,) * len(shape)).state)

    def message_bound(self, added: Interval, steps: int) -> MessageBound:
        """Bound the messages, their sum and the states.

        Parameters
        ----------
        added : Interval
            Interval of the sum of all inputs over time; for encoders, of the input in a step.
        steps : int
            Number of steps of a run.

        Returns
        -------
        message, sum : Interval
            Intervals of a message and of the sum of messages.
        state : int
            Largest magnitude of a state.
        """
        raise self.lacks("what its messages add up to", "message_bound")


@dataclass(frozen=True, kw_only=True, eq=False)
class SigmaDelta(MessageNeurons):
    """Neurons that accumulate their input and send changes of their activation.

    With ``a`` the sum of the input currents, ``f`` the activation (``max(x, 0)`` or ``x``), and
    ``e = spike_exponent + state_exponent``:

    ``sigma <- sigma + a``,
    ``x = f(sigma + (bias << e))``,
    ``delta = x - act + residue``, ``act <- x``,
    ``m = delta`` where ``|delta| >= threshold << e``, else 0; ``residue <- delta - m``;
    the output is ``m >> state_exponent``, rounded down.

    Parameters
    ----------
    threshold : int
        Threshold mantissa; smaller changes are kept until their sum reaches it.
    bias : ndarray, optional
        Bias mantissa, ``(C,)``.
    spike_exponent : int
        Fractional bits of a message.
    state_exponent : int
        Number of bits of the state that a message omits.
    rectified : bool
        Whether the activation is ``max(x, 0)``.
    lead : int
        Number of steps that the neurons run without input before step 0 of a sample. A neuron
        without a reset runs from the start, and sends its bias until step 0 arrives after one
        machine step per layer. With 0, the sample starts at rest.
    """

    threshold: int
    bias: Array | None = None
    spike_exponent: int = SPIKE_EXPONENT
    state_exponent: int = STATE_EXPONENT
    rectified: bool = True
    lead: int = 0

    kind: ClassVar[str] = "sigma_delta"

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the common shape of the inputs."""
        shape = super().output_shape(shapes)
        self._check_bias(self.bias, shape)
        return shape

    def _at_rest(self, shape: Shape) -> Population:
        shift = self.spike_exponent + self.state_exponent
        bias = 0 if self.bias is None else channel_vector(self.bias, len(shape) - 1) << shift
        threshold = int(self.threshold) << shift
        parameters = DeltaParameters(
            threshold, self.state_exponent, bias=bias, rectified=self.rectified
        )
        return SigmaDeltaPopulation(parameters, shape)

    def message_bound(self, added: Interval, steps: int) -> MessageBound:
        """Bound the changes of the activation, which is sigma with bias and rectification."""
        shift = self.spike_exponent + self.state_exponent
        biased = added.plus(0 if self.bias is None else np.asarray(self.bias, np.int64) << shift)
        floor = 0 if self.rectified else -_MOST
        activation = Interval(np.maximum(biased.low, floor), np.maximum(biased.high, floor))
        # Messages that a neuron with a lead sent earlier are part of the sum.
        message, sent, state = _changes(self, activation, steps + self.lead)
        return message, sent, max(added.largest, biased.largest, state)


@dataclass(frozen=True, kw_only=True, eq=False)
class Delta(MessageNeurons):
    """Encoders of a network's input, which send its changes.

    ``x = a << (spike_exponent + state_exponent)``; the rest is as for :class:`SigmaDelta`. Input
    events instead of currents arrive through synapses of weight 1.

    Parameters
    ----------
    threshold, spike_exponent, state_exponent : int
        As for :class:`SigmaDelta`.
    """

    threshold: int
    spike_exponent: int = SPIKE_EXPONENT
    state_exponent: int = STATE_EXPONENT

    kind: ClassVar[str] = "delta"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS | EVENTS

    def _at_rest(self, shape: Shape) -> Population:
        shift = self.spike_exponent + self.state_exponent
        threshold = int(self.threshold) << shift
        parameters = DeltaParameters(threshold, self.state_exponent, input_shift=shift)
        return DeltaPopulation(parameters, shape)

    def message_bound(self, added: Interval, steps: int) -> MessageBound:
        """Bound the changes of the input."""
        return _changes(self, added.shifted(self.spike_exponent + self.state_exponent), steps)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sigma(MessageNeurons):
    """Decoders of a network's output, which send ``sigma <- sigma + a`` at every step.

    Parameters
    ----------
    scale : float
        Integer levels per unit of the real output.
    """

    scale: float = 1.0

    kind: ClassVar[str] = "sigma"

    def _at_rest(self, shape: Shape) -> Population:
        return SigmaPopulation(shape)

    def message_bound(self, added: Interval, steps: int) -> MessageBound:
        """Bound sigma, which is the message itself."""
        return _limited(added), _limited(added.times(steps)), added.largest


def _changes(node: SigmaDelta | Delta, activation: Interval, steps: int) -> MessageBound:
    """Bound messages with the changes of an activation that starts at 0."""
    low, high = activation.or_nothing
    largest_kept = int(node.threshold) << (node.spike_exponent + node.state_exponent)
    change = high - low + largest_kept
    # The fraction that a message omits, less than one per step, is never compensated.
    exponent = -node.state_exponent
    message = _limited(Interval(-change, change).shifted(exponent))
    added = _limited(Interval(low - largest_kept, high + largest_kept).shifted(exponent))
    return message, Interval(added.low - steps, added.high), int(change.max(initial=0))


def _limited(interval: Interval) -> Interval:
    return Interval(np.clip(interval.low, -_MOST, _MOST), np.clip(interval.high, -_MOST, _MOST))
