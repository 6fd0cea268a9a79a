"""Synapses: convolutions of the image plane that are identical at every time step."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional


class Synapse(nn.Conv3d):
    """Convolution of ``(B, C, H, W, T)`` without bias, with one kernel for all steps.

    Kernels have shape ``(out, in, k, k, 1)``: their last axis, time, has length one. This is the
    layout of lava-dl's SLAYER, so that networks trained with its synapses load unchanged.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels.
    kernel_size, stride, padding : int
        Kernel size, stride and padding of the image plane, in both directions.

    Attributes
    ----------
    pre_hook_fx : callable or None
        Function applied to the weights whenever the synapse is used, such as rounding. The name
        is that of SLAYER's synapses, which can be used as substitutes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            (kernel_size, kernel_size, 1),
            stride=(stride, stride, 1),
            padding=(padding, padding, 0),
            bias=False,
        )
        self.pre_hook_fx: Callable[[Tensor], Tensor] | None = None

    def forward(self, events: Tensor) -> Tensor:
        """Return the currents ``(B, C', H', W', T)``."""
        weight = self.weight if self.pre_hook_fx is None else self.pre_hook_fx(self.weight)
        return functional.conv3d(events, weight, None, self.stride, self.padding)
