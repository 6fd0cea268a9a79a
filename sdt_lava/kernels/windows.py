"""Which input rows a window of an output row reaches, and where they are kept."""

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
    """Return how many input rows a window spans: they are kept in turn in as many slots."""
    return (window.kernel_h - 1) * window.dilation_h + 1


@jit
def find_rows(
    window: WindowGeometry, height: int, y: int, kernel_row: int, slot: int, found: int
) -> int:
    """Note the kernel rows that lie inside the image; return their number.

    Slots are found by a division, which is done here, once an output row.

    Parameters
    ----------
    window : WindowGeometry
        Geometry of the layer.
    height : int
        Rows of the image.
    y : int
        Output row.
    kernel_row, slot : int
        Distances, in elements of whatever they number, of kernel rows and of slots.
    found : address of int64
        ``(kernel rows, 2)``: where the kernel row begins, and where the slot of its input row.
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
