"""Add a reset to Lava's sigma-delta neurons, for consecutive samples."""

from sdt_lava.backends.lava.processes.sigma_delta.process import (
    DeltaReset,
    SigmaDeltaReset,
    SigmaReset,
)

__all__ = ["DeltaReset", "SigmaDeltaReset", "SigmaReset"]
