"""The fast bit-exact simulator: the reference's semantics, vectorised over batch and time.

Weighted sums run in float32, which adds integers exactly while every partial sum stays below
2^24; where that cannot be proved from the weights, in float64 (below 2^53).
"""

from typing import TYPE_CHECKING

from sdt_lava.support.lazy import lazy

if TYPE_CHECKING:
    from sdt_lava.engine.engine import Engine
    from sdt_lava.engine.options import KERNELS, EngineOptions
    from sdt_lava.engine.request import RunRequest

__all__ = ["KERNELS", "Engine", "EngineOptions", "RunRequest"]

# Options are wanted without the kernels, which import numba.
__getattr__ = lazy(
    __name__,
    {
        "Engine": "engine",
        "EngineOptions": "options",
        "KERNELS": "options",
        "RunRequest": "request",
    },
)
