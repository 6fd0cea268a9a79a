"""The input of a run as the engine packs it, unpacked when somebody looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sdt_lava.ir.numerics import IntArray

if TYPE_CHECKING:
    from sdt_lava.engine.plan.plan import Output


class PackedFrames:
    """The input of a run, as it was packed.

    Parameters
    ----------
    batches : sequence of Output
        Batch after batch.
    """

    def __init__(self, batches: Sequence[Output]) -> None:
        self._batches = batches

    def unpack(self) -> IntArray:
        """Return ``(T, B, *shape)``."""
        from sdt_lava.engine.request import unpacked

        return unpacked(self._batches).astype(np.int64)
