"""Leaky integrators: SLAYER's on a CPU, in a fraction of its time, and the authors'.

SLAYER integrates in int64, a dozen operations a step, first the current and then the voltage.
With a current decay of 1 the current has no memory, and as long as the levels stay below 2^24
float32 holds them exactly, so that four operations a step give the same numbers. Outside that
range, and on a GPU, SLAYER's own code is used. Gradients are the same up to the rounding of the
exponential in the surrogate.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# Largest integer up to which float32 holds every integer.
_EXACT = 2**24


def fits_float32(current: Tensor, scale: int) -> bool:
    """Whether all voltages that ``current`` can lead to are exact in float32.

    A voltage halves at each step, so it stays below twice the largest current.
    """
    largest = float(current.detach().abs().amax()) if current.numel() else 0.0
    # Written so that NaN does not fit.
    return 2.0 * (largest * scale + 1.0) < _EXACT


class HalvingIntegrator(torch.autograd.Function):
    """``v <- trunc(v / 2) + trunc(x)`` in integer levels, reset to 0 at the threshold."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, threshold: float, scale: int) -> Tensor:
        """Return the voltage of each step before its reset.

        Parameters
        ----------
        ctx : object
            Unused: the surrogate gradient does not look at the reset.
        current : Tensor
            Shape ``(B, ..., T)``.
        threshold : float
            Voltage from which on the neuron resets.
        scale : int
            Levels per unit, a power of two.

        Returns
        -------
        Tensor
            Same shape.
        """
        # Time first: each step is then one run of memory.
        levels = (current * scale).trunc_().movedim(-1, 0).contiguous()
        for step in range(1, len(levels)):
            before = levels[step - 1]
            kept = before.mul(0.5).trunc_().mul_(before < threshold * scale)
            levels[step].add_(kept)
        return levels.div_(scale).movedim(0, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Run the leak backwards in time."""
        return _leak_backwards(gradients[0]), None, None


class FloatIntegrator(torch.autograd.Function):
    """The authors' neuron: ``h <- v + (x - v) / 2`` in float32, reset to 0 at the threshold."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, threshold: float) -> Tensor:
        """Return ``2 h`` of each step before its reset: the variable that SLAYER integrates.

        Parameters
        ----------
        ctx : object
            Unused: the surrogate gradient does not look at the reset.
        current : Tensor
            Shape ``(B, ..., T)``.
        threshold : float
            Of ``h``.

        Returns
        -------
        Tensor
            Same shape.
        """
        x = current.movedim(-1, 0)
        potentials = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        kept = torch.zeros_like(potentials[0])
        for step, arriving in enumerate(x):
            # In this order of operations the rounding is the authors', too.
            torch.add(kept, (arriving - kept).mul_(0.5), out=potentials[step])
            kept = potentials[step] * (potentials[step] < threshold)
        return potentials.mul_(2.0).movedim(0, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Run the leak backwards in time."""
        return _leak_backwards(gradients[0]), None


def _leak_backwards(gradient: Tensor) -> Tensor:
    steps = gradient.movedim(-1, 0).clone(memory_format=torch.contiguous_format)
    for step in range(len(steps) - 2, -1, -1):
        steps[step].add_(steps[step + 1], alpha=0.5)
    return steps.movedim(0, -1)
