"""Building blocks in the layout ``(B, C, H, W, T)``, time last."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdt_lava.families.blocks.synapses import Synapse

BATCH_NORM_EPS = 1e-5

Record = dict[str, Tensor]


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> Synapse:
    """Return a 3x3 synapse with padding 1; BatchNorm follows, so there is no bias."""
    return Synapse(in_channels, out_channels, 3, stride=stride, padding=1)


def conv1x1(in_channels: int, out_channels: int) -> Synapse:
    """Return a 1x1 synapse without bias: a linear map of every token."""
    return Synapse(in_channels, out_channels, 1)


class Norm(nn.BatchNorm3d):
    """Batch normalisation whose gradient does not depend on the order of memory.

    On a CPU torch computes a wrong gradient, without a word, where the input has one of the orders
    that it calls contiguous and the gradient of the output another. With a single time step the
    gradient of a mean over tokens is such a case, channels last.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(B, C, H, W, T)``."""
        out: Tensor = super().forward(_channels_first(x))
        if out.requires_grad:
            out.register_hook(_channels_first)
        return out


def _channels_first(x: Tensor) -> Tensor:
    """Return a tensor whose memory is in order, if it is only so with the channels last."""
    is_last = x.is_contiguous(memory_format=torch.channels_last_3d)
    return x.contiguous() if is_last else x


def batch_norm(channels: int) -> Norm:
    """Return a normalisation over batch, space and time, to be folded into the synapse later."""
    return Norm(channels, eps=BATCH_NORM_EPS)


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
