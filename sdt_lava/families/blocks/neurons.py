"""Spiking neurons: the leaky integrator in hardware levels, and the authors' float neuron."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from sdt_lava.families.blocks.dynamics import (
    LEVELS,
    THRESHOLD_LEVELS,
    Fire,
    Firing,
    integrate_levels,
    integrate_reals,
)
from sdt_lava.ir.numerics import DECAY_UNITY

# Leaky integrator of Yao et al. (tau = 2, decayed input, hard reset to 0) in the doubled variable
# v' = 2h:  v' <- v'/2 + x,  spike at v' > 2 v_th.  With a current decay of 1, the synaptic current
# is cleared after each step, so that the current equals the input.
CURRENT_DECAY = 1.0
VOLTAGE_DECAY = 0.5
# Surrogate gradient. With SLAYER's defaults (1 and 1) it nearly vanishes after a few layers.
TAU_GRAD = 0.005
SCALE_GRAD = 10.0
# Units of the two values above: the factors in SLAYER's CUBA neuron.
_TAU_UNIT = 100
_SCALE_UNIT = 0.1
# Added to the threshold, so that reaching the sum means exceeding the threshold.
_STRICTLY_ABOVE = 0.01 / LEVELS
# Types that can represent the levels.
_WIDE_TYPES = (torch.float32, torch.float64)


class NeuronConfig(Protocol):
    """Fields of a configuration that select its neurons."""

    @property
    def neuron(self) -> str:
        """Kind of neuron, 'cuba' or 'lif'."""

    @property
    def threshold(self) -> float:
        """Firing threshold."""


class AttentionConfig(NeuronConfig, Protocol):
    """Fields of a configuration that select its neurons and those of its attention."""

    @property
    def attention_threshold(self) -> float:
        """Firing threshold of the neuron over the token sum."""


class _Neuron(nn.Module):
    """A neuron without parameters, and without memory between calls.

    Batch size, image size and number of steps may change from call to call.
    """

    # Decay of voltage and current per step, in 1/4096.
    decays = (round(VOLTAGE_DECAY * DECAY_UNITY), round(CURRENT_DECAY * DECAY_UNITY))

    def __init__(self, v_th: float) -> None:
        super().__init__()
        self.v_th = v_th

    def extra_repr(self) -> str:
        """Return the threshold for the module's representation."""
        return f"v_th={self.v_th}"


class Lif(_Neuron):
    """Leaky integrate-and-fire neuron in levels of 1/4096, which fires above its threshold.

    It computes the same spikes and the same surrogate gradient as the CUBA neuron of lava-dl's
    SLAYER with a current decay of 1 and a voltage decay of 1/2.

    Parameters
    ----------
    v_th : float
        Firing threshold of the paper's variable ``h``; the neuron's own threshold is twice that.
    fires_at_threshold : bool
        Fire also if the voltage equals the threshold (to within one level, 1/64).
    """

    def __init__(self, v_th: float, *, fires_at_threshold: bool = False) -> None:
        super().__init__(v_th)
        threshold = 2.0 * v_th
        if fires_at_threshold:
            # The hardware fires strictly above its threshold, the paper at it. For integer counts,
            # the difference is decisive rather than a matter of rounding: a count of 1 equals
            # 2 * 0.5. A threshold one level lower makes the neuron fire at equality, too.
            threshold -= 1.0 / THRESHOLD_LEVELS
        self.threshold = int(threshold * THRESHOLD_LEVELS) / THRESHOLD_LEVELS
        self._firing = _firing(self.threshold, _STRICTLY_ABOVE, LEVELS)

    def forward(self, current: Tensor) -> Tensor:
        """Return the spikes, 0 or 1.

        Parameters
        ----------
        current : Tensor
            Input of shape ``(B, C, H, W, T)`` or ``(B, C, T)``, time last.

        Returns
        -------
        Tensor
            Spikes of the same shape.
        """
        # Half precision cannot represent most levels.
        converted = current if current.dtype in _WIDE_TYPES else current.float()
        spikes: Tensor = Fire.apply(converted, integrate_levels, self._firing)
        return spikes.to(current.dtype)

    def voltages(self, current: Tensor) -> Tensor:
        """Return the voltage of each step before its reset, in the shape of the input."""
        threshold = self._firing.threshold * LEVELS
        return integrate_levels(current.detach(), threshold).div_(LEVELS).movedim(0, -1)


class FloatLif(_Neuron):
    """The neuron of the published networks, in float32.

    ``h <- v + (x - v) / 2``, a spike if ``h >= v_th``, and ``v = 0`` after a spike. Nothing is
    rounded to hardware levels, so that networks trained elsewhere produce the same spikes. The
    surrogate gradient is the same as for `Lif`.

    Parameters
    ----------
    v_th : float
        Firing threshold.
    """

    def forward(self, current: Tensor) -> Tensor:
        """Return the spikes, 0 or 1; shapes as in `Lif.forward`."""
        # Computed in each call because the threshold may change after construction.
        firing = _firing(2.0 * self.v_th)
        spikes: Tensor = Fire.apply(current, integrate_reals, firing)
        return spikes


def _firing(threshold: float, above: float = 0.0, unit: int = 1) -> Firing:
    width, height = TAU_GRAD * threshold * _TAU_UNIT, SCALE_GRAD * _SCALE_UNIT
    return Firing(threshold + above, width, height, unit)


def make_lif(config: NeuronConfig) -> nn.Module:
    """Return the neuron selected by a configuration, with its ordinary threshold."""
    if config.neuron == "lif":
        return FloatLif(config.threshold)
    return Lif(config.threshold)


def make_attention_lif(config: AttentionConfig) -> nn.Module:
    """Return the neuron for the token sum; every kind of neuron fires at its threshold there."""
    if config.neuron == "lif":
        return FloatLif(config.attention_threshold)
    return Lif(config.attention_threshold, fires_at_threshold=True)
