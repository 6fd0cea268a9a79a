"""Leaky integrators with spike and reset, in integer levels and in float32.

The first one integrates like the CUBA neuron of lava-dl's SLAYER whose current has no memory: in
levels of 1/4096, truncated towards zero, with bit-identical spikes and gradients. SLAYER does so in
int64, with a dozen operations per step. As long as the levels stay below 2^24, float32 holds them
exactly, and four operations per step yield the same numbers.

States have time as the first axis, so that each step is contiguous in memory.
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

# Maps currents (B, ..., T) and a threshold to the states (T, B, ...) before their resets.
Integrator = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class Firing:
    """The threshold of a neuron, and the surrogate for the derivative of its spikes.

    The derivative with respect to the voltage v is
    ``height / (2 width) * exp(-|v - threshold| / width)``.

    Parameters
    ----------
    threshold : float
        Voltage at and above which the neuron fires.
    width, height : float
        Width (in units of voltage) and height of the surrogate.
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
            Saves the states for the backward pass.
        current : Tensor
            Shape ``(B, ..., T)``.
        integrate : callable
            The integrator.
        firing : Firing
            Threshold and surrogate.

        Returns
        -------
        Tensor
            Same shape; time is the first axis in memory.
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
        # Tensors of the states' type, so that each operation rounds in that type.
        width = states.new_tensor(firing.width)
        largest = states.new_tensor(firing.height) / 2 / width
        slopes = states.sub(firing.threshold * firing.unit).abs_().div_(width * -firing.unit)
        steps = slopes.exp_().mul_(largest).mul_(gradients[0].movedim(-1, 0))
        for step in range(len(steps) - 2, -1, -1):
            steps[step].add_(steps[step + 1], alpha=0.5)
        return steps.movedim(0, -1), None, None


def integrate_levels(current: Tensor, threshold: float) -> Tensor:
    """Integrate ``v <- trunc(v / 2) + trunc(x)`` in levels, with reset to 0 at the threshold.

    Parameters
    ----------
    current : Tensor
        Shape ``(B, ..., T)``, float32 or float64.
    threshold : float
        Threshold in levels.

    Returns
    -------
    Tensor
        Levels before each reset, in the dtype of the currents, ``(T, B, ...)``.
    """
    inputs = current.movedim(-1, 0)
    levels = torch.empty(inputs.shape, dtype=current.dtype, device=current.device)
    torch.mul(inputs, LEVELS, out=levels).trunc_()
    if not _are_exact(levels):
        return _integrate_integers(inputs, threshold)
    for step in range(1, len(levels)):
        previous = levels[step - 1]
        levels[step].add_(previous.mul(0.5).trunc_().mul_(previous < threshold))
    return levels


def _are_exact(levels: Tensor) -> bool:
    """Return whether all voltages that these input levels can produce are exact in float32.

    A voltage halves at each step, so it stays below twice the largest input level.
    """
    if not levels.numel():
        return True
    low, high = torch.aminmax(levels)
    # NaN makes the comparison false, so it counts as inexact.
    return 2.0 * max(float(-low), float(high)) < FLOAT32_EXACT


def _integrate_integers(arriving: Tensor, threshold: float) -> Tensor:
    """Integrate levels in int64, for currents ``(T, B, ...)`` that are large or not finite."""
    levels = (arriving * LEVELS).to(torch.int64).contiguous()
    for step in range(1, len(levels)):
        previous = levels[step - 1]
        # Multiply first, as in SLAYER: values that do not fit in 64 bits wrap in the same way.
        decayed = torch.div(previous * (LEVELS // 2), LEVELS, rounding_mode="trunc")
        levels[step].add_(decayed * (previous < threshold))
    # In SLAYER, a division converts levels to floating-point numbers of torch's default type.
    return levels.to(torch.get_default_dtype()).to(arriving.dtype)


def integrate_reals(current: Tensor, threshold: float) -> Tensor:
    """Integrate the authors' neuron, ``h <- v + (x - v) / 2`` in float32, with reset to 0.

    Parameters
    ----------
    current : Tensor
        Shape ``(B, ..., T)``.
    threshold : float
        Threshold of ``2 h``.

    Returns
    -------
    Tensor
        ``2 h`` before each reset, ``(T, B, ...)``: the variable of the other integrator.
    """
    x = current.movedim(-1, 0)
    potentials = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    voltage = torch.zeros_like(potentials[0])
    for step, inputs in enumerate(x):
        # This order of operations also reproduces the rounding of the authors' code.
        torch.add(voltage, (inputs - voltage).mul_(0.5), out=potentials[step])
        voltage = potentials[step] * (potentials[step] < threshold / 2)
    return potentials.mul_(2.0)
