"""Building blocks in the layout ``(B, C, H, W, T)``, with time as the last axis."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdt_lava.families.blocks.synapses import Synapse

BATCH_NORM_EPS = 1e-5

Record = dict[str, Tensor]


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> Synapse:
    """Return a 3x3 synapse with padding 1, without bias because BatchNorm follows."""
    return Synapse(in_channels, out_channels, 3, stride=stride, padding=1)


def conv1x1(in_channels: int, out_channels: int) -> Synapse:
    """Return a 1x1 synapse without bias, a linear map of every token."""
    return Synapse(in_channels, out_channels, 1)


class Norm(nn.BatchNorm3d):
    """Batch normalisation whose gradient does not depend on the memory layout.

    On a CPU, torch silently computes a wrong gradient if the input has one of the layouts that it
    regards as contiguous and the gradient of the output has another one. An example is the
    gradient of a mean over tokens with a single time step, which is stored channels last.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(B, C, H, W, T)``."""
        out: Tensor = super().forward(_channels_first(x))
        if out.requires_grad:
            out.register_hook(_channels_first)
        return out


def _channels_first(x: Tensor) -> Tensor:
    """Return a tensor in channels-first memory order, copied if it is stored channels last."""
    is_last = x.is_contiguous(memory_format=torch.channels_last_3d)
    return x.contiguous() if is_last else x


def batch_norm(channels: int) -> Norm:
    """Return a normalisation over batch, space and time, which can be folded into the synapse."""
    return Norm(channels, eps=BATCH_NORM_EPS)


class MaxPool(nn.Module):
    """A 3x3 max-pool with stride 2 and padding 1 of the image plane; an OR for spikes."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C, H', W', T)``."""
        return functional.max_pool3d(x, (3, 3, 1), (2, 2, 1), (1, 1, 0))


class Subsample(nn.Module):
    """Every second row and column: what is at the centres of the windows of `MaxPool`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C, H', W', T)``."""
        return x[:, :, ::2, ::2]


def dilate_image(spikes: Tensor) -> Tensor:
    """Replace each spike by the OR with its eight neighbours in the image plane."""
    return functional.max_pool3d(spikes, (3, 3, 1), 1, (1, 1, 0))


def dilate_tokens(spikes: Tensor, num_heads: int) -> Tensor:
    """Apply an OR over neighbouring token indices and neighbouring channels inside one head.

    The official network applies its image pooling to an array ``(heads, N, C / heads)``. The
    window therefore wraps around the ends of image rows, but never spans two heads.

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
    """Store spikes ``(B, ..., T)`` as ``(T, B, ...)`` uint8 under ``name`` if recording."""
    if record is not None:
        record[name] = spikes.detach().movedim(-1, 0).to(torch.uint8).contiguous()
