"""Lava's sigma-delta neurons with a reset, for samples that follow one another."""

from sdt_lava.backends.lava.processes.sigma_delta.process import (
    DeltaReset,
    SigmaDeltaReset,
    SigmaReset,
)

__all__ = ["DeltaReset", "SigmaDeltaReset", "SigmaReset"]
