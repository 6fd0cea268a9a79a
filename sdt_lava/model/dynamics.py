"""SLAYER's leaky integrator on a CPU, with the same voltages in a fraction of the time.

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
        gradient = gradients[0].movedim(-1, 0).clone(memory_format=torch.contiguous_format)
        for step in range(len(gradient) - 2, -1, -1):
            gradient[step].add_(gradient[step + 1], alpha=0.5)
        return gradient.movedim(0, -1), None, None
