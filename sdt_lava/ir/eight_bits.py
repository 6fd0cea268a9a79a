"""Convert weights to the eight bits that Lava's connections store."""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.errors import CompileError
from sdt_lava.ir import Dense, Sparse
from sdt_lava.ir.numerics import lava_weights


def eight_bit_weights(weights: Any, node: Sparse | Dense) -> tuple[Any, Any]:
    """Return weights that Lava stores exactly, and their weight exponent.

    Raises
    ------
    CompileError
        If the weights do not fit Lava's connections.
    """
    stored = lava_weights(weights)
    if stored is None:
        raise CompileError(
            f"connection {node.name!r}",
            f"weights from {weights.min()} to {weights.max()}",
            "eight bits: even within -256..254, any within -128..127, or of one sign up to 255",
        )
    return stored[0].astype(np.int32), node.exponent + stored[1]
