"""Find the axes along which the windows of an operation move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sdt_lava.importers.tracing.axes import TIME, is_whole, roots
from sdt_lava.importers.tracing.refusals import NoMeaning
from sdt_lava.importers.tracing.symbols import Traced


def per_axis(values: Any, ndim: int) -> tuple[Any, ...]:
    """Return one number per axis from a number or a sequence."""
    if isinstance(values, Sequence):
        return tuple(values) * (ndim if len(values) == 1 else 1)
    return (values,) * ndim


def window_output(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Return the number of windows along an axis."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def image_axes(subject: Traced, first: int, ndim: int, moving: Sequence[int]) -> tuple[int, int]:
    """Find the positions of rows and columns among the last axes of a tensor.

    Parameters
    ----------
    subject : Traced
        Image ``(C, H, W)`` in any layout.
    first, ndim : int
        First axis with windows, and number of such axes.
    moving : sequence of int
        Axes along which windows are not trivial.

    Raises
    ------
    NoMeaning
        If windows move along other axes.
    """
    shape, layout = subject.symbol.shape, subject.layout
    moved = {first + axis for axis in moving}
    candidates = [
        position for position in range(first, first + ndim) if TIME not in roots([layout[position]])
    ]
    if len(shape) == 3:
        for rows in candidates:
            for columns in candidates:
                if (
                    rows < columns
                    and moved <= {rows, columns}
                    and is_whole(layout[rows], 1, shape[1])
                    and is_whole(layout[columns], 2, shape[2])
                ):
                    return rows, columns
    raise NoMeaning("windows over other axes than rows and columns", "over the image (H, W)")
