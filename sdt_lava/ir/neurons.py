"""Define spiking neurons, with one equation for all, and the neurons of compiled graphs."""

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
# Parameters that may differ between channels.
_BY_CHANNEL = ("threshold", "voltage_decay", "current_decay", "delay")


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingNeurons(Sum):
    """Base class of neurons that integrate over a sample, fire, and start each sample at rest.

    In a float graph: ``v <- v (1 - dv/4096) + x + bias``, spike at ``v > threshold``, hard reset to
    0. (This is the doubled variable of a tau = 2 neuron with decaying input, so ``threshold`` is
    twice the model's.) In an integer graph, with ``a`` the sum of the input currents and the
    recurrent input of the previous step, ``weight_rec @ s[t - 1]``:

    ``u <- trunc0(u (4096 - du) / 4096) + (a << 6)``,
    ``v <- trunc0(v (4096 - dv) / 4096) + trunc0((u + (bias << bias_exponent)) / 2^drive_shift)``,
    ``s = v > (threshold << 6)``, then ``v <- 0`` where ``s``; the output is ``s[t - delay]``.

    :class:`~sdt_lava.ir.cuba_steps.CubaPopulation` and :func:`~sdt_lava.ir.numerics.lif_step`
    implement this equation. Nothing carries over to the next sample: a spike whose delay ends after
    step T - 1 is lost, and there is no recurrent input at step 0.

    Parameters
    ----------
    threshold : float, int or ndarray of int
        Firing threshold, or its mantissa in an integer graph; one for all or one per channel,
        ``(C,)``.
    voltage_decay, current_decay : int or ndarray of int
        Share of v and u that is lost per step in 1/4096, for all or ``(C,)``.
    bias : ndarray, optional
        Bias per channel, the first axis of the shape: the sum of the biases of all inputs of the
        neuron.
    bias_exponent : int
        In an integer graph, the bias that is added is ``bias << bias_exponent``.
    drive_shift : int
        The sum of current and bias is divided by ``2 ** drive_shift`` before it is added to v.
    delay : int or ndarray of int
        Axonal delay in steps, for all or ``(C,)``.
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
        """Return whether a parameter is an array with a value for each channel."""
        return not isinstance(getattr(self, name), int | float)

    @property
    def longest_delay(self) -> int:
        """Longest axonal delay in steps."""
        return int(np.max(self.delay)) if self._has_several("delay") else int(self.delay)

    def why_no_or(self, weight: int) -> str:
        """Return the reason why the neurons are not an OR of their only input, or ''.

        They are an OR if a single spike of the smallest weight makes them fire and they stay at
        rest without spikes. They then have no memory, because v was 0 or has just been reset.
        Whether the sum fits its register is not checked.

        Parameters
        ----------
        weight : int
            Smallest weight of an input spike.
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
        """Whether these are LIF neurons, except that parameters may differ between channels."""
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
        """Create neurons ``(B, *shape)`` at rest or in given states."""
        population = CubaPopulation(self.parameters(len(shape) - 1), shape)
        if start is not None:
            population.state = (*start, *population.state[len(start) :])
        return population

    def run(
        self, arriving: IntArray, start: States | None, watch: Watch | None = None
    ) -> tuple[IntArray, States]:
        """Return the spikes, and the states u, v and others after the last step."""
        shape = arriving.shape[1:]
        population = self.population(shape, start)
        parameters = self.parameters(len(shape) - 1).lif
        sent = np.zeros_like(arriving)
        for step, sums in enumerate(arriving):
            previous_current = population.state[0]
            sent[step], activation, peak = population.step(sums)
            if watch is not None:
                current = driven_current(previous_current, activation, parameters)
                look_at_neurons(
                    watch, self.name, step, activation=activation, current=current, peak=peak
                )
        return sent, population.state[: len(self.state_shapes(shape))]

    def interval(self, arriving: Sequence[Interval], shapes: Sequence[Shape]) -> Interval:
        """Return the interval of spikes."""
        return spikes(shapes[0][0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Lif(SpikingNeurons):
    """Leaky integrate-and-fire neurons as in hardware; several input currents are summed.

    Parameters
    ----------
    threshold, voltage_decay, current_decay, bias, bias_exponent
        As for :class:`SpikingNeurons`, with one threshold and one leak for all. Its other
        parameters are available in :class:`CubaLif`.
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
        """Return the shapes of u and v."""
        return [shape, shape]


@dataclass(frozen=True, kw_only=True, eq=False)
class CubaLif(SpikingNeurons):
    """Leaky integrate-and-fire neurons with all parameters of lava-dl's SLAYER.

    Input events instead of currents, as from the image of a network that starts with neurons,
    arrive through synapses of weight 1.

    Parameters
    ----------
    threshold, voltage_decay, current_decay, bias, bias_exponent, drive_shift, delay, weight_rec
        As for :class:`SpikingNeurons`.
    """

    threshold: PerChannel
    voltage_decay: PerChannel

    kind: ClassVar[str] = "cuba_lif"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS | EVENTS

    def state_shapes(self, shape: Shape) -> list[Shape]:
        """Return the shapes of u, v and the spikes of the last steps, which may be delayed."""
        return [shape, shape, (self.longest_delay + 1, *shape)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Gate(Sum):
    """Memoryless threshold neurons that spike if the summed current exceeds ``threshold``.

    On Lava and Loihi, these are LIF neurons with a voltage decay of 4095/4096.
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
        """Return the interval of spikes."""
        return spikes(shapes[0][0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Relay(Sum):
    """Neurons that forward their summed current unchanged as graded spikes."""

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
