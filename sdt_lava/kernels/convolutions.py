"""Weighted sums as they are written down: loops, for whatever no library sums up exactly."""

from __future__ import annotations

from typing import Any, NamedTuple

from sdt_lava.kernels.jit import jit


class Strides(NamedTuple):
    """Stride and dilation, each for rows and columns, and groups of channels."""

    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    groups: int


@jit
def add_up(events: Any, weights: Any, geometry: Strides, sums: Any) -> None:
    """Add the weights of what arrives to sums, which are 0 before.

    Parameters
    ----------
    events : ndarray
        ``(N, H, W, C)``, the border included, of the sums' type.
    weights : ndarray
        ``(kH, kW, C / groups, O)`` of that type.
    geometry : Strides
        Geometry.
    sums : ndarray
        ``(N, H', W', O)``.
    """
    groups = geometry.groups
    images, rows, columns, outputs = sums.shape
    kernel_h, kernel_w, per_group, _ = weights.shape
    share = outputs // groups
    for image in range(images):
        for row in range(rows):
            for column in range(columns):
                own = sums[image, row, column]
                for i in range(kernel_h):
                    for j in range(kernel_w):
                        arriving = events[
                            image,
                            row * geometry.stride_h + i * geometry.dilation_h,
                            column * geometry.stride_w + j * geometry.dilation_w,
                        ]
                        for channel in range(groups * per_group):
                            event = arriving[channel]
                            if event != 0:
                                first = channel // per_group * share
                                line = weights[i, j, channel % per_group]
                                for output in range(first, first + share):
                                    own[output] += event * line[output]
