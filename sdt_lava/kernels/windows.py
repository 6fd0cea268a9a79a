"""Which input rows a window of an output row reaches, and where they are kept."""

from __future__ import annotations

from typing import Any

from sdt_lava.kernels.jit import jit
from sdt_lava.kernels.words import write


@jit
def find_rows(
    window: Any, height: int, y: int, kernel_row: int, slot: int, found: int
) -> int:  # fmt: skip
    """Note the kernel rows that lie inside the image; return their number.

    Input rows are kept in turn in as many slots as a window reaches rows. That division is done
    here, once an output row.

    Parameters
    ----------
    window : tuple of int
        Kernel, stride, padding and dilation, each for rows and columns.
    height : int
        Rows of the image.
    y : int
        Output row.
    kernel_row, slot : int
        Distances, in elements of whatever they number, of kernel rows and of slots.
    found : address of int64
        ``(kernel rows, 2)``: where the kernel row begins, and where the slot of its input row.
    """
    kernel_h, stride_h, pad_h, dilation_h = window[0], window[2], window[4], window[6]
    slots = (kernel_h - 1) * dilation_h + 1
    number = 0
    for ky in range(kernel_h):
        row = y * stride_h - pad_h + ky * dilation_h
        if 0 <= row < height:
            write(found, 2 * number, ky * kernel_row)
            write(found, 2 * number + 1, row % slots * slot)
            number += 1
    return number
