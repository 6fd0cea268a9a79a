"""CPU models: those of Lava, after a reset where it is time."""

from __future__ import annotations

from typing import Any

from lava.proc.sdn.models import PyDeltaModelFixed, PySigmaDeltaModelFixed, PySigmaModelFixed

from sdt_lava.backends.lava.processes.sigma_delta.process import (
    DeltaReset,
    SigmaDeltaReset,
    SigmaReset,
)
from sdt_lava.ir.sigma_delta_steps import Reset


def _reset(model: Any, *variables: str) -> None:
    reset: Reset = model.proc_params["reset"]
    if model.time_step % reset.interval == reset.offset:
        for name, values in zip(variables, reset.start, strict=True):
            setattr(model, name, values.copy())


class PySigmaDeltaResetModel(PySigmaDeltaModelFixed):
    """Sigma-delta neurons."""

    # Lava's decorator does not let a derived model implement another Process.
    implements_process = SigmaDeltaReset

    def run_spk(self) -> None:
        """Reset if it is time, then do as Lava does."""
        _reset(self, "sigma", "act", "residue")
        super().run_spk()


class PyDeltaResetModel(PyDeltaModelFixed):
    """Encoders."""

    implements_process = DeltaReset

    def run_spk(self) -> None:
        """Reset if it is time, then do as Lava does."""
        _reset(self, "act", "residue")
        super().run_spk()


class PySigmaResetModel(PySigmaModelFixed):
    """Decoders."""

    implements_process = SigmaReset

    def run_spk(self) -> None:
        """Reset if it is time, then do as Lava does."""
        _reset(self, "sigma")
        super().run_spk()
