"""Generate vector instructions for one time step of 16 neurons, in every exact form.

The neuron is that of `sdt_lava.ir.numerics` and of Lava. The engine's plan proves which of the
cheaper forms, which come first, are equivalent. A form keeps one vector per state: v, and in
*checked* forms also u and the largest activation and membrane so far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sdt_lava.ir.numerics import ACTIVATION_SHIFT, DECAY_SHIFT, DECAY_UNITY, STATE_LIMIT
from sdt_lava.kernels.llvm import constant

_SPAN = 2 * (STATE_LIMIT + 1)


class Lanes:
    """Integer operations on one vector, as used by the neuron of `sdt_lava.ir.numerics`."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def larger(self, left: Any, right: Any) -> Any:
        """Return the elementwise maximum."""
        return self.builder.select(self.builder.icmp_signed(">", left, right), left, right)

    def magnitude(self, x: Any) -> Any:
        """Return the absolute value."""
        negative = self.builder.icmp_signed("<", x, constant(0))
        return self.builder.select(negative, self.builder.neg(x), x)

    def halve(self, x: Any) -> Any:
        """Divide by two, rounding towards zero."""
        b = self.builder
        return b.ashr(b.sub(x, b.ashr(x, constant(31))), constant(1))

    def decay(self, x: Any, kept: Any) -> Any:
        """Multiply by ``kept / 4096`` in 32 bits, rounding towards zero."""
        b = self.builder
        size = self.magnitude(x)
        high = b.mul(b.lshr(size, constant(DECAY_SHIFT)), kept)
        low = b.mul(b.and_(size, constant(DECAY_UNITY - 1)), kept)
        result = b.add(high, b.lshr(low, constant(DECAY_SHIFT)))
        return b.select(b.icmp_signed("<", x, constant(0)), b.neg(result), result)

    def multiply(self, x: Any, factor: Any, shift: Any) -> Any:
        """Multiply by ``factor / 2 ** shift``, rounding towards zero; the product has 32 bits."""
        b = self.builder
        rounding = b.sub(b.shl(constant(1), shift), constant(1))
        towards_zero = b.and_(b.ashr(x, constant(31)), rounding)
        return b.ashr(b.add(b.mul(x, factor), towards_zero), shift)

    def align(self, x: Any) -> Any:
        """Align a sum with the bits of v."""
        return self.builder.shl(x, constant(ACTIVATION_SHIFT))

    def wrap(self, x: Any) -> Any:
        """Wrap to 24 bits."""
        b = self.builder
        above = b.icmp_signed(">", x, constant(STATE_LIMIT + 1))
        once = b.select(above, b.sub(x, constant(_SPAN)), x)
        below = b.icmp_signed("<=", once, constant(-STATE_LIMIT - 1))
        return b.select(below, b.add(x, constant(_SPAN)), once)

    def clip(self, x: Any) -> Any:
        """Saturate at 24 bits."""
        b = self.builder
        x = b.select(b.icmp_signed(">", x, constant(STATE_LIMIT)), constant(STATE_LIMIT), x)
        low = constant(-STATE_LIMIT)
        return b.select(b.icmp_signed("<", x, low), low, x)


def _bare(lanes: Lanes, x: Any, bias: Any, state: list[Any], _: Any) -> list[Any]:
    """Advance v if it is always even before halving and sums are already aligned."""
    b = lanes.builder
    return [b.add(b.ashr(state[0], constant(1)), b.add(x, bias))]


def _proved(lanes: Lanes, x: Any, bias: Any, state: list[Any], _: Any) -> list[Any]:
    """Advance v if nothing can overflow, the leak is one half and u has no memory."""
    b = lanes.builder
    return [b.add(lanes.halve(state[0]), b.add(lanes.align(x), bias))]


def _leaky(lanes: Lanes, x: Any, bias: Any, state: list[Any], kept: Any) -> list[Any]:
    """Advance v with a leak of few bits if nothing can overflow and u has no memory."""
    b = lanes.builder
    return [b.add(lanes.multiply(state[0], *kept), b.add(lanes.align(x), bias))]


def _note(lanes: Lanes, x: Any, peak: Any, state: list[Any]) -> list[Any]:
    """Update the largest values so far.

    Up to the first value out of range, the result equals that of checked neurons. After it, the run
    is aborted.
    """
    _, current, activation, membrane = state
    activation = lanes.larger(activation, lanes.magnitude(x))
    return [peak, current, activation, lanes.larger(membrane, lanes.magnitude(peak))]


def _watched(lanes: Lanes, x: Any, bias: Any, state: list[Any], kept: Any) -> list[Any]:
    """Advance v as for proved neurons and update the largest values so far."""
    return _note(lanes, x, _proved(lanes, x, bias, state, kept)[0], state)


def _watched_leaky(lanes: Lanes, x: Any, bias: Any, state: list[Any], kept: Any) -> list[Any]:
    """Advance v as for leaky neurons and update the largest values so far."""
    return _note(lanes, x, _leaky(lanes, x, bias, state, kept)[0], state)


def _add_checked(lanes: Lanes, size: Any, bias: Any, driven: Any, state: list[Any]) -> list[Any]:
    """Add the current to the decayed v and update the largest values so far.

    ``size`` is the magnitude of the activation or of the new u, whichever is larger.
    """
    b = lanes.builder
    voltage, _, activation, membrane = state
    current = lanes.wrap(driven)
    peak = b.add(b.add(voltage, current), bias)
    activation = lanes.larger(activation, size)
    membrane = lanes.larger(membrane, lanes.magnitude(peak))
    return [lanes.clip(peak), current, activation, membrane]


def _checked(lanes: Lanes, x: Any, bias: Any, state: list[Any], _: Any) -> list[Any]:
    """Advance v with saturation if the leak is one half and u has no memory."""
    decayed = [lanes.halve(state[0]), *state[1:]]
    return _add_checked(lanes, lanes.magnitude(x), bias, lanes.align(x), decayed)


def _general(lanes: Lanes, x: Any, bias: Any, state: list[Any], kept: Any) -> list[Any]:
    """Advance v and u with any leak."""
    driven = lanes.builder.add(lanes.decay(state[1], kept[1]), lanes.align(x))
    decayed = [lanes.decay(state[0], kept[0]), *state[1:]]
    accumulated = lanes.builder.lshr(lanes.magnitude(driven), constant(ACTIVATION_SHIFT))
    size = lanes.larger(lanes.magnitude(x), accumulated)
    return _add_checked(lanes, size, bias, driven, decayed)


class LifVectors(NamedTuple):
    """Parameters of 16 neurons, in the order in which the engine stores them.

    Parameters
    ----------
    bias, threshold : vector
        Bias and threshold, aligned with v.
    kept_voltage, kept_current : vector
        Fractions of v and u that remain after the leak, in 1/4096; in leaky forms, the factor and
        the right shift of v's leak.
    """

    bias: Any
    threshold: Any
    kept_voltage: Any
    kept_current: Any


@dataclass(frozen=True)
class Form:
    """A form in which neurons are computed.

    Parameters
    ----------
    step : callable
        Function that advances the states by one step, up to the comparison with the threshold.
    states : int
        Number of states: 1 (v) or 4 (v, u and the largest activation and membrane).
    is_bare : bool
        Whether the layer's currents are the only ones and have no other readers, sums are never
        divided, and the shift of sums includes their alignment with v.
    """

    step: Callable[..., list[Any]]
    states: int
    is_bare: bool = False

    def fire(
        self, lanes: Lanes, x: Any, neuron: LifVectors, states: list[Any]
    ) -> tuple[list[Any], Any]:
        """Advance by one step, compare with the threshold, and reset the neurons that fire.

        Parameters
        ----------
        lanes : Lanes
            Generator of the instructions.
        x : vector
            Input current.
        neuron : LifVectors
            Parameters of the neurons.
        states : list of vector
            States of the form.

        Returns
        -------
        states : list of vector
            States after the step.
        fired : vector of int1
            Whether each neuron fired.
        """
        factors = [neuron.kept_voltage, neuron.kept_current]
        voltage, *others = self.step(lanes, x, neuron.bias, states, factors)
        fired = lanes.builder.icmp_signed(">", voltage, neuron.threshold)
        return [lanes.builder.select(fired, constant(0), voltage), *others], fired


# The position in this table is the number of a form in kernels.
FORMS = {
    "bare": Form(_bare, 1, is_bare=True),
    "proved": Form(_proved, 1),
    "leaky": Form(_leaky, 1),
    "watched": Form(_watched, 4),
    "watched leaky": Form(_watched_leaky, 4),
    "checked": Form(_checked, 4),
    "general": Form(_general, 4),
}
