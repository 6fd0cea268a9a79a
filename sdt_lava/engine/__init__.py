"""Simulate integer graphs fast and bit-exactly, vectorised over batch and time.

The results equal those of the reference. Weighted sums are computed in float32, which adds integers
exactly while all partial sums stay below 2^24. If the weights do not prove this bound, sums are
computed in float64 (below 2^53).
"""

from typing import TYPE_CHECKING

from sdt_lava.support.lazy import lazy

if TYPE_CHECKING:
    from sdt_lava.engine.engine import Engine
    from sdt_lava.engine.options import KERNELS, EngineOptions
    from sdt_lava.engine.request import RunRequest

__all__ = ["KERNELS", "Engine", "EngineOptions", "RunRequest"]

# Import lazily, so that options can be used without the kernels, which import numba.
__getattr__ = lazy(
    __name__,
    {
        "Engine": "engine",
        "EngineOptions": "options",
        "KERNELS": "options",
        "RunRequest": "request",
    },
)
