"""Sigma-delta neurons, which send changes of their activation as graded messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sdt_lava.ir.base import CURRENTS, EVENTS, Array, Shape, Signal
from sdt_lava.ir.nodes import Sum

# What lava-dl's netx gives to all neurons of this kind.
SPIKE_EXPONENT = STATE_EXPONENT = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class SigmaDelta(Sum):
    """Neurons that add up what arrives and send how their activation changes.

    With ``a`` the sum of the input currents, ``f`` the activation (``max(x, 0)`` or ``x``), and
    ``e = spike_exponent + state_exponent``:

    ``sigma <- sigma + a``,
    ``x = f(sigma + (bias << e))``,
    ``delta = x - act + residue``, ``act <- x``,
    ``m = delta`` where ``|delta| >= threshold << e``, else 0; ``residue <- delta - m``;
    sent is ``m >> state_exponent``, rounded down.

    Parameters
    ----------
    threshold : int
        Threshold mantissa: smaller changes are kept until they add up.
    bias : ndarray, optional
        Bias mantissa, ``(C,)``.
    spike_exponent : int
        Fractional bits of a message.
    state_exponent : int
        Bits of the state that a message leaves out.
    rectified : bool
        Whether the activation is ``max(x, 0)``.
    lead : int
        Steps that the neurons run before step 0 of a sample, in which the network has no input. A
        neuron that no reset holds back runs from the start on, and step 0 needs one machine step
        for each layer to get there; meanwhile it sends its bias. 0: the sample finds it at rest.
    """

    threshold: int
    bias: Array | None = None
    spike_exponent: int = SPIKE_EXPONENT
    state_exponent: int = STATE_EXPONENT
    rectified: bool = True
    lead: int = 0

    kind: ClassVar[str] = "sigma_delta"
    emits: ClassVar[Signal] = Signal.GRADED

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the common shape of the inputs."""
        shape = super().output_shape(shapes)
        self._check_bias(self.bias, shape)
        return shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Delta(Sum):
    """Encoders of a network's input: they send how it changes.

    ``x = a << (spike_exponent + state_exponent)``, the rest as of :class:`SigmaDelta`. An input of
    events instead of currents arrives through synapses of weight 1.

    Parameters
    ----------
    threshold, spike_exponent, state_exponent : int
        As of :class:`SigmaDelta`.
    """

    threshold: int
    spike_exponent: int = SPIKE_EXPONENT
    state_exponent: int = STATE_EXPONENT

    kind: ClassVar[str] = "delta"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS | EVENTS
    emits: ClassVar[Signal] = Signal.GRADED


@dataclass(frozen=True, kw_only=True, eq=False)
class Sigma(Sum):
    """Decoders of a network's output: ``sigma <- sigma + a``, which they send at every step.

    Parameters
    ----------
    scale : float
        Integer levels per unit of the real output.
    """

    scale: float = 1.0

    kind: ClassVar[str] = "sigma"
    emits: ClassVar[Signal] = Signal.GRADED


# Populations that have a state and send graded messages.
SIGMA_DELTA_KINDS = (SigmaDelta, Delta, Sigma)
