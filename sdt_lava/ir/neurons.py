"""Neurons: those that spike, one equation for all of them, and those of compiled graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from sdt_lava.ir.base import CURRENTS, EVENTS, Array, Shape, Signal, States
from sdt_lava.ir.cuba_steps import CubaParameters, CubaPopulation
from sdt_lava.ir.intervals import Interval, spikes, total
from sdt_lava.ir.numerics import (
    DECAY_UNITY,
    IntArray,
    LifParameters,
    channel_vector,
    driven_current,
)
from sdt_lava.ir.shortcuts import Sum
from sdt_lava.ir.watch import Watch, look_at_neurons

PerChannel = int | IntArray
# Parameters of which there may be one for each channel.
_BY_CHANNEL = ("threshold", "voltage_decay", "current_decay", "delay")


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingNeurons(Sum):
    """Base of the neurons that integrate over a sample, fire, and are at rest before each sample.

    Float graph: ``v <- v (1 - dv/4096) + x + bias``, spike at ``v > threshold``, hard reset to 0
    (the doubled variable of a tau = 2 neuron with decaying input, so that ``threshold`` is twice
    the model's). Integer graph, with ``a`` the sum of the input currents and of the neurons' own
    spikes of the step before, ``weight_rec @ s[t - 1]``:

    ``u <- trunc0(u (4096 - du) / 4096) + (a << 6)``,
    ``v <- trunc0(v (4096 - dv) / 4096) + trunc0((u + (bias << bias_exponent)) / 2^drive_shift)``,
    ``s = v > (threshold << 6)``, then ``v <- 0`` where ``s``; sent is ``s[t - delay]``.

    :class:`~sdt_lava.ir.cuba_steps.CubaPopulation` and :func:`~sdt_lava.ir.numerics.lif_step` are
    this equation. Nothing goes from one sample to the next: a spike whose delay ends after step
    T - 1 is lost, and at step 0 no spike comes back.

    Parameters
    ----------
    threshold : float, int or ndarray of int
        Firing threshold, the mantissa in an integer graph; one for all or one for each channel,
        ``(C,)``.
    voltage_decay, current_decay : int or ndarray of int
        Lost share of v and u per step in 1/4096, for all or ``(C,)``.
    bias : ndarray, optional
        A value per channel, the first axis of the shape: the sum of the biases of everything
        that feeds the neuron.
    bias_exponent : int
        Integer graph: the bias that is added is ``bias << bias_exponent``.
    drive_shift : int
        What current and bias add to v is divided by ``2 ** drive_shift``.
    delay : int or ndarray of int
        Steps that a spike waits before it leaves (axonal delay), for all or ``(C,)``.
    weight_rec : ndarray, optional
        Recurrent weights ``(N, N)``, to and from neurons in C order.
    """

    threshold: float | IntArray
    voltage_decay: PerChannel = 2048
    current_decay: PerChannel = 4096
    bias: Array | None = None
    bias_exponent: int = 6
    drive_shift: int = 0
    delay: PerChannel = 0
    weight_rec: Array | None = None

    emits: ClassVar[Signal] = Signal.SPIKE
    is_population: ClassVar[bool] = True
    has_memory: ClassVar[bool] = True
    is_mappable: ClassVar[bool] = True

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the common shape of the inputs."""
        shape = super().output_shape(shapes)
        for name in _BY_CHANNEL:
            sizes = np.shape(getattr(self, name)) if self._has_several(name) else ()
            if sizes not in ((), shape[:1]):
                raise self.mismatch(f"{name} of shape {sizes}", f"() or {shape[:1]}")
        self._check_bias(self.bias, shape)
        size = prod(shape)
        if self.weight_rec is not None and self.weight_rec.shape != (size, size):
            found = f"recurrent weights of shape {self.weight_rec.shape}"
            raise self.mismatch(found, f"{(size, size)}")
        return shape

    def _has_several(self, name: str) -> bool:
        """Whether a parameter is an array: a value for each channel."""
        return not isinstance(getattr(self, name), int | float)

    @property
    def longest_delay(self) -> int:
        """Steps that the latest spike waits."""
        return int(np.max(self.delay)) if self._has_several("delay") else int(self.delay)

    def why_no_or(self, weight: int) -> str:
        """Return the reason why they are not an OR of their only input, or ''.

        They are one if any spike of the smallest weight makes them fire and nothing is left behind
        where none arrives, so that they have no memory: v was 0 then, or has just been reset.
        Whether the sum fits its register is another question.

        Parameters
        ----------
        weight : int
            Smallest weight of a spike that arrives.
        """
        threshold = np.asarray(self.threshold)
        if threshold.min() < 0 or threshold.max() >= weight:
            return f"threshold {int(threshold.max())} on spikes of weight {weight}: more than an OR"
        if self.bias is not None and np.any(self.bias):
            return "a bias, which adds up from step to step"
        if np.any(self.current_decay != DECAY_UNITY):
            return f"a current decay of {self.current_decay}/{DECAY_UNITY}, which is a memory"
        if not self.is_plain:
            return "recurrence, delays or a division of what arrives"
        return ""

    @property
    def is_plain(self) -> bool:
        """Whether these are LIF neurons, but for parameters that may differ by channel."""
        return self.weight_rec is None and not self.longest_delay and not self.drive_shift

    def parameters(self, ndim: int) -> CubaParameters:
        """Return the integer parameters; arrays broadcast over shapes of ``ndim`` axes."""
        lif = LifParameters(
            threshold=channel_vector(self.threshold, ndim),
            voltage_decay=channel_vector(self.voltage_decay, ndim),
            current_decay=channel_vector(self.current_decay, ndim),
            bias=0 if self.bias is None else channel_vector(self.bias, ndim),
            bias_exponent=self.bias_exponent,
            drive_shift=self.drive_shift,
        )
        weight_rec = None if self.weight_rec is None else np.asarray(self.weight_rec, np.int64)
        return CubaParameters(lif, channel_vector(self.delay, ndim), weight_rec)

    def population(self, shape: Shape, start: States | None = None) -> CubaPopulation:
        """Return neurons ``(B, *shape)`` at the start of a sample, or in some states."""
        population = CubaPopulation(self.parameters(len(shape) - 1), shape)
        if start is not None:
            population.state = (*start, *population.state[len(start) :])
        return population

    def run(
        self, arriving: IntArray, start: States | None, watch: Watch | None = None
    ) -> tuple[IntArray, States]:
        """Return what they send, and u, v and more where they end."""
        shape = arriving.shape[1:]
        population = self.population(shape, start)
        parameters = self.parameters(len(shape) - 1).lif
        sent = np.zeros_like(arriving)
        for step, sums in enumerate(arriving):
            before = population.state[0]
            sent[step], activation, peak = population.step(sums)
            if watch is not None:
                current = driven_current(before, activation, parameters)
                look_at_neurons(
                    watch, self.name, step, activation=activation, current=current, peak=peak
                )
        return sent, population.state[: len(self.state_shapes(shape))]

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return spikes or none."""
        return spikes(shapes[0][0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Lif(SpikingNeurons):
    """Leaky integrate-and-fire neurons as the hardware has them; several input currents add up.

    Parameters
    ----------
    threshold, voltage_decay, current_decay, bias, bias_exponent
        As of :class:`SpikingNeurons`, one threshold and one leak for all. The others of its
        parameters are those of :class:`CubaLif`.
    """

    threshold: float
    voltage_decay: int = 2048
    current_decay: int = 4096

    kind: ClassVar[str] = "lif"

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the common shape of the input currents."""
        shape = super().output_shape(shapes)
        several = [name for name in _BY_CHANNEL if self._has_several(name)]
        if any(np.ndim(getattr(self, name)) for name in several) or not self.is_plain:
            raise self.mismatch(
                "parameters by channel, recurrence, delays or a division", "those of cuba_lif"
            )
        return shape

    def state_shapes(self, shape: Shape) -> list[Shape]:
        """Return those of u and v."""
        return [shape, shape]


@dataclass(frozen=True, kw_only=True, eq=False)
class CubaLif(SpikingNeurons):
    """Leaky integrate-and-fire neurons as lava-dl's SLAYER has them: all of the parameters.

    An input of events instead of currents (the image of a network whose first layer are neurons)
    arrives through synapses of weight 1.

    Parameters
    ----------
    threshold, voltage_decay, current_decay, bias, bias_exponent, drive_shift, delay, weight_rec
        As of :class:`SpikingNeurons`.
    """

    threshold: PerChannel
    voltage_decay: PerChannel

    kind: ClassVar[str] = "cuba_lif"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS | EVENTS

    def state_shapes(self, shape: Shape) -> list[Shape]:
        """Return those of u, v and the spikes of the last steps, which may be on their way."""
        return [shape, shape, (self.longest_delay + 1, *shape)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Gate(Sum):
    """Memoryless threshold neurons: a spike where the summed current exceeds ``threshold``.

    On Lava and Loihi these are LIF neurons with a voltage decay of 4095/4096.
    """

    threshold: int

    kind: ClassVar[str] = "gate"
    emits: ClassVar[Signal] = Signal.SPIKE
    is_population: ClassVar[bool] = True
    is_mappable: ClassVar[bool] = True
    is_compiled_only: ClassVar[bool] = True

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return a spike where the sum exceeds the threshold."""
        return (np.sum(inputs, axis=0) > self.threshold).astype(np.int64)

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return spikes or none."""
        return spikes(shapes[0][0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Relay(Sum):
    """Neurons that send their summed current on as graded spikes, unchanged."""

    kind: ClassVar[str] = "relay"
    emits: ClassVar[Signal] = Signal.GRADED
    is_population: ClassVar[bool] = True
    is_mappable: ClassVar[bool] = True
    is_compiled_only: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True
    sends_payload: ClassVar[bool] = True

    def equation(self, inputs: Sequence[IntArray]) -> IntArray:
        """Return the sum."""
        return np.sum(inputs, axis=0, dtype=np.int64)

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the sum of the intervals."""
        return total(arriving)
