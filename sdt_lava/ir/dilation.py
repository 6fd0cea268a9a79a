"""The spike dilation over token indices and channels, found only in CIFAR10-DVS networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sdt_lava.ir.base import SPIKES, Node, Shape, Signal


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenDilate(Node):
    """OR over neighbouring token indices and neighbouring channels inside one head.

    The official network applies its 3x3 image pooling to an array ``(heads, N, C / heads)``. The
    window therefore wraps over the ends of image rows and never crosses from head to head.

    Parameters
    ----------
    heads : int
        Groups of channels.
    """

    heads: int = 1

    kind: ClassVar[str] = "token_dilate"
    accepts: ClassVar[frozenset[Signal]] = SPIKES
    emits: ClassVar[Signal] = Signal.SPIKE

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape of the input."""
        if len(shapes[0]) != 3:
            raise self.mismatch(f"input of shape {shapes[0]}", "an image-like input (C, H, W)")
        if self.heads < 1 or shapes[0][0] % self.heads:
            raise self.mismatch(f"{self.heads} heads", f"a divisor of {shapes[0][0]} channels")
        return shapes[0]
