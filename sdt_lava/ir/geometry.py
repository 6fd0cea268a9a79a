"""Compute the geometry of images and windows."""

from __future__ import annotations

from sdt_lava.ir.base import Node
from sdt_lava.ir.numerics import Shape


def require_image(node: Node, shape: Shape) -> None:
    """Check that the input of a node is an image.

    Raises
    ------
    GraphError
        If the input is not an image.
    """
    if len(shape) != 3:
        raise node.mismatch(f"input of shape {shape}", "an image-like input (C, H, W)")


def window_output(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Return the number of windows along one axis."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
