"""Neurons with the features of lava-dl's netx files: recurrent, delayed, different by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sdt_lava.ir.base import CURRENTS, EVENTS, Array, Shape, Signal
from sdt_lava.ir.nodes import Lif, Sum
from sdt_lava.ir.numerics import IntArray

PerChannel = int | IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class CubaLif(Sum):
    """Leaky integrate-and-fire neurons as lava-dl's SLAYER has them; integer graphs only.

    With ``a`` the sum of the input currents and of the neurons' own spikes of the step before,
    ``weight_rec @ s[t - 1]``:

    ``u <- trunc0(u (4096 - du) / 4096) + (a << 6)``,
    ``v <- trunc0(v (4096 - dv) / 4096) + trunc0((u + (bias << bias_exponent)) / 2^drive_shift)``,
    ``s = v > (threshold << 6)``, then ``v <- 0`` where ``s``; sent is ``s[t - delay]``.

    Nothing goes from one sample to the next: a spike whose delay ends after step T - 1 is lost, and
    at step 0 no spike comes back. An input of events instead of currents (the image of a network
    whose first layer are neurons) arrives through synapses of weight 1.

    Parameters
    ----------
    threshold : int or ndarray of int
        Threshold mantissa, one for all or one for each channel, ``(C,)``.
    voltage_decay, current_decay : int or ndarray of int
        Lost share of v and u per step in 1/4096, for all or ``(C,)``.
    bias : ndarray, optional
        Bias mantissa, ``(C,)``.
    bias_exponent : int
        The bias that is added is ``bias << bias_exponent``.
    drive_shift : int
        What current and bias add to v is divided by ``2 ** drive_shift``.
    delay : int or ndarray of int
        Steps that a spike waits before it leaves (axonal delay), for all or ``(C,)``.
    weight_rec : ndarray, optional
        Recurrent weights ``(N, N)``, to and from neurons in C order.
    """

    threshold: PerChannel
    voltage_decay: PerChannel
    current_decay: PerChannel = 4096
    bias: Array | None = None
    bias_exponent: int = 6
    drive_shift: int = 0
    delay: PerChannel = 0
    weight_rec: Array | None = None

    kind: ClassVar[str] = "cuba_lif"
    accepts: ClassVar[frozenset[Signal]] = CURRENTS | EVENTS
    emits: ClassVar[Signal] = Signal.SPIKE

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the common shape of the inputs."""
        shape = super().output_shape(shapes)
        for name in ("threshold", "voltage_decay", "current_decay", "delay"):
            values = np.asarray(getattr(self, name))
            if values.shape not in ((), shape[:1]):
                raise self.mismatch(f"{name} of shape {values.shape}", f"() or {shape[:1]}")
        self._check_bias(self.bias, shape)
        size = int(np.prod(shape))
        if self.weight_rec is not None and self.weight_rec.shape != (size, size):
            found = f"recurrent weights of shape {self.weight_rec.shape}"
            raise self.mismatch(found, f"{(size, size)}")
        return shape

    @property
    def longest_delay(self) -> int:
        """Steps that the latest spike waits."""
        return int(np.max(self.delay))

    @property
    def is_plain(self) -> bool:
        """Whether these are LIF neurons, but for parameters that may differ by channel."""
        return self.weight_rec is None and not self.longest_delay and not self.drive_shift


# Populations that integrate over a sample and are reset before each.
LIF_KINDS = (Lif, CubaLif)
