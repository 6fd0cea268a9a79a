"""How much room neurons have left in their registers."""

from __future__ import annotations

from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.numerics import ACTIVATION_LIMIT, ACTIVATION_SHIFT, STATE_LIMIT


def fits(extremes: Extremes, margin: float = 1.0) -> bool:
    """Return whether values times a safety margin stay within the 24-bit state."""
    return headroom(extremes) >= margin


def headroom(extremes: Extremes) -> float:
    """Return the range of the 24-bit state divided by the largest values."""
    return min(
        ACTIVATION_LIMIT / max(extremes.activation, 1),
        STATE_LIMIT / max(extremes.membrane, 1 << ACTIVATION_SHIFT),
    )
