"""Integer arithmetic on torch tensors that several executors share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sdt_lava.graph import Conv
from sdt_lava.numerics import (
    ACTIVATION_SHIFT,
    DECAY_SHIFT,
    DECAY_UNITY,
    FLOAT32_EXACT,
    STATE_LIMIT,
    IntArray,
)
from sdt_lava.simulate.reference import CHANNEL_AXIS


def total(currents: list[Tensor]) -> Tensor:
    """Return the sum of currents of one shape."""
    result = currents[0]
    for current in currents[1:]:
        result = result + current
    return result


def decay(state: Tensor, fraction: int) -> Tensor:
    """Multiply by ``(4096 - fraction) / 4096``, rounding towards zero."""
    if fraction == DECAY_UNITY:
        return torch.zeros_like(state)
    return torch.sign(state) * ((state.abs() * (DECAY_UNITY - fraction)) >> DECAY_SHIFT)


def align(activation: Tensor) -> Tensor:
    """Shift an activation by six bits in 32-bit arithmetic, as Lava does."""
    return (activation << ACTIVATION_SHIFT).to(torch.int32).to(torch.int64)


def wrap(current: Tensor) -> Tensor:
    """Wrap a current that left the 24-bit range once around, as Lava does."""
    span = 2 * (STATE_LIMIT + 1)
    wrapped = torch.where(current > STATE_LIMIT + 1, current - span, current)
    return torch.where(wrapped <= -(STATE_LIMIT + 1), current + span, wrapped)


def power_shift(sums: Tensor, exponent: int | IntArray) -> Tensor:
    """Multiply ``(T, B, C, ...)`` by ``2 ** exponent`` (one, or one a channel), rounding down."""
    exponents = torch.as_tensor(np.asarray(exponent, np.int64)).to(sums.device)
    if exponents.ndim:
        exponents = exponents.reshape(-1, *(1,) * (sums.ndim - CHANNEL_AXIS - 1))
    return (sums << exponents.clamp(min=0)) >> (-exponents).clamp(min=0)


def exact_dtype(weight: Any, largest_event: int) -> torch.dtype:
    """Return the narrowest float type in which the weighted sums are exact integers.

    Parameters
    ----------
    weight : ndarray
        ``(outputs, ...)`` integers.
    largest_event : int
        Largest magnitude of an input event.
    """
    matrix = np.abs(np.asarray(weight, np.int64)).reshape(weight.shape[0], -1)
    bound = int(matrix.sum(axis=1).max(initial=0)) * max(largest_event, 1)
    return torch.float32 if bound < FLOAT32_EXACT else torch.float64


def largest(values: Tensor) -> int:
    """Return the largest magnitude, 0 if there are no values."""
    return int(values.abs().max()) if values.numel() else 0


def largest_event(events: Tensor) -> int:
    """Return the largest magnitude among events, 1 for spikes without looking."""
    return 1 if events.dtype == torch.uint8 else largest(events)


def unfolded_conv(node: Conv, events: Tensor, weight: Tensor) -> Tensor:
    """Convolve by one matrix product for each group: sums in any order, and nothing but sums.

    Libraries may convolve in other ways (Winograd, FFT), which round.

    Parameters
    ----------
    node : Conv
        Geometry.
    events : Tensor
        ``(N, C, H, W)`` of the float type in which sums are exact.
    weight : Tensor
        ``(O, C / groups, kH, kW)`` of the same type.
    """
    columns = functional.unfold(
        events,
        node.weight.shape[2:],
        dilation=node.dilation,
        padding=node.padding,
        stride=node.stride,
    )
    matrix = weight.reshape(node.groups, len(weight) // node.groups, -1)
    parts = columns.reshape(len(events), node.groups, matrix.shape[-1], -1)
    sums = torch.matmul(matrix, parts)
    return sums.reshape(len(events), len(weight), *node.output_shape([events.shape[1:]])[1:])
