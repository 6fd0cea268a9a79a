"""Share integer arithmetic on torch tensors between executors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sdt_lava.ir.numerics import (
    ACTIVATION_SHIFT,
    DECAY_SHIFT,
    DECAY_UNITY,
    STATE_LIMIT,
    IntArray,
)
from sdt_lava.ir.registers import CHANNEL_AXIS


def total(currents: list[Tensor]) -> Tensor:
    """Return the sum of currents of equal shape in 64 bits."""
    result = currents[0].to(torch.int64)
    for current in currents[1:]:
        result = result + current
    return result


def decay(state: Tensor, fraction: int) -> Tensor:
    """Multiply by ``(4096 - fraction) / 4096``, rounding towards zero."""
    if fraction == DECAY_UNITY:
        return torch.zeros_like(state)
    return torch.sign(state) * ((state.abs() * (DECAY_UNITY - fraction)) >> DECAY_SHIFT)


def wrap_int32(values: Tensor) -> Tensor:
    """Wrap to 32 bits, as Lava's variables do."""
    return values.to(torch.int32).to(torch.int64)


def align(activation: Tensor) -> Tensor:
    """Shift an activation by six bits in 32-bit arithmetic, as Lava does."""
    return wrap_int32(activation << ACTIVATION_SHIFT)


def wrap(current: Tensor) -> Tensor:
    """Wrap a current once if it left the 24-bit range, as Lava does."""
    span = 2 * (STATE_LIMIT + 1)
    wrapped = torch.where(current > STATE_LIMIT + 1, current - span, current)
    return torch.where(wrapped <= -(STATE_LIMIT + 1), current + span, wrapped)


def power_shift(sums: Tensor, exponent: int | IntArray) -> Tensor:
    """Multiply ``(T, B, C, ...)`` by ``2 ** exponent`` (one or one per channel), rounding down."""
    exponents = torch.from_numpy(np.array(exponent, np.int64)).to(sums.device)
    if exponents.ndim:
        exponents = exponents.reshape(-1, *(1,) * (sums.ndim - CHANNEL_AXIS - 1))
    return (sums << exponents.clamp(min=0)) >> (-exponents).clamp(min=0)


def largest(values: Tensor) -> int:
    """Return the largest magnitude, or 0 if there are no values."""
    return int(values.abs().max()) if values.numel() else 0


def largest_event(events: Tensor) -> int:
    """Return the largest magnitude among events, which is 1 for spikes."""
    return 1 if events.dtype == torch.uint8 else largest(events)


def largest_in_windows(
    values: Tensor, kernel: int, stride: int, padding: int, border: float
) -> Tensor:
    """Return the maxima of square windows, ``(..., H', W')``, by comparing whole images.

    Parameters
    ----------
    values : Tensor
        Values ``(..., H, W)`` of any type.
    kernel, stride, padding : int
        Size and stride of the windows, and padding of the image.
    border : float
        Value of the padding, at most the smallest value of the image.
    """
    for axis in (-2, -1):
        sides = (padding, padding, 0, 0) if axis == -1 else (0, 0, padding, padding)
        padded = functional.pad(values, sides, value=border)
        count = (padded.shape[axis] - kernel) // stride + 1
        reach = (count - 1) * stride + 1
        pooled = padded.narrow(axis, 0, reach)
        for place in range(1, kernel):
            pooled = torch.maximum(pooled, padded.narrow(axis, place, reach))
        places = torch.arange(0, reach, stride, device=values.device)
        values = pooled.index_select(axis, places)
    return values
