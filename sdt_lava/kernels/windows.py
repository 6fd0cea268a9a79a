"""Find the input rows in the windows of an output row."""

from __future__ import annotations

from typing import NamedTuple

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.words import write


class WindowGeometry(NamedTuple):
    """Kernel, stride, padding and dilation of a convolution, each for rows and columns."""

    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int


@jit
def row_slots(window: WindowGeometry) -> int:
    """Return the number of input rows that a window spans, which is also the number of slots."""
    return (window.kernel_h - 1) * window.dilation_h + 1


@jit
def find_rows(
    window: WindowGeometry, height: int, y: int, kernel_row: int, slot: int, found: int
) -> int:
    """Store the kernel rows that lie inside the image and return their number.

    The division that determines slots is thus done once per output row.

    Parameters
    ----------
    window : WindowGeometry
        Geometry of the layer.
    height : int
        Number of rows of the image.
    y : int
        Index of the output row.
    kernel_row, slot : int
        Strides of kernel rows and of slots, in elements.
    found : address of int64
        Output ``(kernel rows, 2)``: starts of the kernel row and of the slot of its input row.
    """
    slots = row_slots(window)
    number = 0
    for ky in range(window.kernel_h):
        row = y * window.stride_h - window.pad_h + ky * window.dilation_h
        if 0 <= row < height:
            write(found, 2 * number, ky * kernel_row)
            write(found, 2 * number + 1, row % slots * slot)
            number += 1
    return number
