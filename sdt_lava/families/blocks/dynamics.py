"""Leaky integrators with a spike and a reset, in integer levels and in float32.

The first integrates as the CUBA neuron of lava-dl's SLAYER does when its current has no memory:
levels of 1/4096, cut off towards zero, the same spikes and the same gradients bit for bit.
SLAYER does so in int64, a dozen operations a step. As long as the levels stay below 2^24 float32
holds them exactly, and four operations a step give the same numbers.

States are kept with time as the first axis, so that each step is one run of memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sdt_lava.ir.numerics import ACTIVATION_SHIFT, FLOAT32_EXACT

# Levels per unit of the threshold, and of the voltage: the hardware shifts currents by 6 bits.
THRESHOLD_LEVELS = 64
LEVELS = THRESHOLD_LEVELS << ACTIVATION_SHIFT

# From currents (B, ..., T) and a threshold to the states (T, B, ...) before their resets.
Integrator = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class Firing:
    """Where a neuron fires, and the surrogate for the derivative of its spikes.

    The derivative by the voltage v is ``height / (2 width) * exp(-|v - threshold| / width)``.

    Parameters
    ----------
    threshold : float
        Voltage from which on it fires.
    width, height : float
        Of the surrogate; the width is one of voltage.
    unit : int
        States per unit of voltage, a power of two.
    """

    threshold: float
    width: float
    height: float
    unit: int = 1


class Fire(torch.autograd.Function):
    """Spikes of leaky integrators, ``v <- v / 2 + x``, with a surrogate gradient."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, integrate: Integrator, firing: Firing) -> Tensor:
        """Return the spikes, 0 or 1.

        Parameters
        ----------
        ctx : object
            Keeps the states.
        current : Tensor
            Shape ``(B, ..., T)``.
        integrate : callable
            The integrator.
        firing : Firing
            Threshold and surrogate.

        Returns
        -------
        Tensor
            Same shape; in memory time comes first.
        """
        threshold = firing.threshold * firing.unit
        states = integrate(current, threshold)
        ctx.save_for_backward(states)
        ctx.firing = firing
        return (states >= threshold).to(states.dtype).movedim(0, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Apply the surrogate and run the leak backwards in time; the reset has no gradient."""
        (states,) = ctx.saved_tensors
        firing = ctx.firing
        # Tensors of the states' type, for the rounding of that type at each operation.
        width = states.new_tensor(firing.width)
        largest = states.new_tensor(firing.height) / 2 / width
        slopes = states.sub(firing.threshold * firing.unit).abs_().div_(width * -firing.unit)
        steps = slopes.exp_().mul_(largest).mul_(gradients[0].movedim(-1, 0))
        for step in range(len(steps) - 2, -1, -1):
            steps[step].add_(steps[step + 1], alpha=0.5)
        return steps.movedim(0, -1), None, None


def integrate_levels(current: Tensor, threshold: float) -> Tensor:
    """Integrate ``v <- trunc(v / 2) + trunc(x)`` in levels, reset to 0 at the threshold.

    Parameters
    ----------
    current : Tensor
        Shape ``(B, ..., T)``, float32 or float64.
    threshold : float
        In levels.

    Returns
    -------
    Tensor
        Levels before each reset, of the type of the currents, ``(T, B, ...)``.
    """
    arriving = current.movedim(-1, 0)
    levels = torch.empty(arriving.shape, dtype=current.dtype, device=current.device)
    torch.mul(arriving, LEVELS, out=levels).trunc_()
    if not _are_exact(levels):
        return _integrate_integers(arriving, threshold)
    for step in range(1, len(levels)):
        before = levels[step - 1]
        levels[step].add_(before.mul(0.5).trunc_().mul_(before < threshold))
    return levels


def _are_exact(levels: Tensor) -> bool:
    """Whether all voltages that arriving levels can lead to are exact in float32.

    A voltage halves at each step, so it stays below twice the largest of them.
    """
    if not levels.numel():
        return True
    low, high = torch.aminmax(levels)
    # Written so that NaN is not exact.
    return 2.0 * max(float(-low), float(high)) < FLOAT32_EXACT


def _integrate_integers(arriving: Tensor, threshold: float) -> Tensor:
    """Do the same in int64, for currents ``(T, B, ...)`` that are large or not numbers."""
    levels = (arriving * LEVELS).to(torch.int64).contiguous()
    for step in range(1, len(levels)):
        before = levels[step - 1]
        # Multiplied first, as SLAYER does it: what does not fit 64 bits wraps in the same way.
        kept = torch.div(before * (LEVELS // 2), LEVELS, rounding_mode="trunc")
        levels[step].add_(kept * (before < threshold))
    # In SLAYER a division makes them real numbers of torch's default type.
    return levels.to(torch.get_default_dtype()).to(arriving.dtype)


def integrate_reals(current: Tensor, threshold: float) -> Tensor:
    """Integrate the authors' neuron, ``h <- v + (x - v) / 2`` in float32, reset to 0.

    Parameters
    ----------
    current : Tensor
        Shape ``(B, ..., T)``.
    threshold : float
        Of ``2 h``.

    Returns
    -------
    Tensor
        ``2 h`` before each reset, ``(T, B, ...)``: the variable of the other integrator.
    """
    x = current.movedim(-1, 0)
    potentials = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    kept = torch.zeros_like(potentials[0])
    for step, arriving in enumerate(x):
        # In this order of operations the rounding is the authors', too.
        torch.add(kept, (arriving - kept).mul_(0.5), out=potentials[step])
        kept = potentials[step] * (potentials[step] < threshold / 2)
    return potentials.mul_(2.0)
