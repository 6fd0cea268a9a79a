"""Weights as Lava's connections hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.errors import CompileError
from sdt_lava.ir import Dense, Sparse
from sdt_lava.ir.numerics import lava_weights


def eight_bit_weights(weights: Any, node: Sparse | Dense) -> tuple[Any, Any]:
    """Return weights that Lava does not clip or round, and the exponent that goes with them.

    Raises
    ------
    CompileError
        If Lava's connections cannot hold the weights.
    """
    found = lava_weights(weights)
    if found is None:
        raise CompileError(
            f"connection {node.name!r}",
            f"weights from {weights.min()} to {weights.max()}",
            "eight bits: even within -256..254, any within -128..127, or of one sign up to 255",
        )
    return found[0].astype(np.int32), node.exponent + found[1]
