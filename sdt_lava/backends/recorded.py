"""Keep the input of a run as packed by the engine, and unpack it on demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sdt_lava.ir.numerics import IntArray

if TYPE_CHECKING:
    from sdt_lava.engine.plan.plan import Output


class PackedFrames:
    """The packed input of a run.

    Parameters
    ----------
    batches : sequence of Output
        Packed batches in order.
    """

    def __init__(self, batches: Sequence[Output]) -> None:
        self._batches = batches

    def unpack(self) -> IntArray:
        """Return the input as an array ``(T, B, *shape)``."""
        from sdt_lava.engine.request import unpacked

        return unpacked(self._batches).astype(np.int64)
