"""Building blocks in SLAYER's layout ``(B, C, H, W, T)``, time last."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdt_lava.model._slayer import slayer

BATCH_NORM_EPS = 1e-5

Record = dict[str, Tensor]


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """Return a 3x3 synapse with padding 1; BatchNorm follows, so there is no bias."""
    conv: nn.Module = slayer.synapse.Conv(in_channels, out_channels, 3, stride=stride, padding=1)
    return conv


def conv1x1(in_channels: int, out_channels: int) -> nn.Module:
    """Return a 1x1 synapse without bias: a linear map of every token."""
    conv: nn.Module = slayer.synapse.Conv(in_channels, out_channels, 1)
    return conv


def batch_norm(channels: int) -> nn.BatchNorm3d:
    """Return a normalisation over batch, space and time, to be folded into the synapse later."""
    return nn.BatchNorm3d(channels, eps=BATCH_NORM_EPS)


def max_pool(x: Tensor) -> Tensor:
    """3x3 maximum with stride 2 and padding 1 of the image plane; an OR where ``x`` is spikes."""
    return functional.max_pool3d(x, (3, 3, 1), (2, 2, 1), (1, 1, 0))


def dilate_image(spikes: Tensor) -> Tensor:
    """OR of each spike with its eight neighbours in the image plane."""
    return functional.max_pool3d(spikes, (3, 3, 1), 1, (1, 1, 0))


def dilate_tokens(spikes: Tensor, num_heads: int) -> Tensor:
    """OR over neighbouring token indices and neighbouring channels inside one head.

    The official network applies its image pooling to an array ``(heads, N, C / heads)``. The
    window therefore wraps over the ends of image rows and never crosses from head to head.

    Parameters
    ----------
    spikes : Tensor
        Shape ``(B, C, H, W, T)``.
    num_heads : int
        Number of groups of channels.

    Returns
    -------
    Tensor
        Same shape.
    """
    batch, channels, height, width, steps = spikes.shape
    grid = spikes.reshape(batch * num_heads, channels // num_heads, height * width, steps)
    return functional.max_pool3d(grid, (3, 3, 1), 1, (1, 1, 0)).reshape(spikes.shape)


def keep(record: Record | None, name: str, spikes: Tensor) -> None:
    """Store ``(B, ..., T)`` spikes as ``(T, B, ...)`` uint8 under ``name``, if asked to record."""
    if record is not None:
        record[name] = spikes.detach().movedim(-1, 0).to(torch.uint8).contiguous()
