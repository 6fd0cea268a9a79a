"""Define CPU models that extend Lava's by a reset."""

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
    """CPU model of sigma-delta neurons with a reset."""

    # Lava's decorator does not allow a derived model to implement another Process.
    implements_process = SigmaDeltaReset

    def run_spk(self) -> None:
        """Reset the neurons if due, then run Lava's step."""
        _reset(self, "sigma", "act", "residue")
        super().run_spk()


class PyDeltaResetModel(PyDeltaModelFixed):
    """CPU model of encoders with a reset."""

    implements_process = DeltaReset

    def run_spk(self) -> None:
        """Reset the neurons if due, then run Lava's step."""
        _reset(self, "act", "residue")
        super().run_spk()


class PySigmaResetModel(PySigmaModelFixed):
    """CPU model of decoders with a reset."""

    implements_process = SigmaReset

    def run_spk(self) -> None:
        """Reset the neurons if due, then run Lava's step."""
        _reset(self, "sigma")
        super().run_spk()
