"""Define Lava's sigma-delta processes with the reset of LIFReset."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.process import AbstractProcess
from lava.proc.sdn.process import Delta, Sigma, SigmaDelta

from sdt_lava.ir.sigma_delta_steps import Reset


class SigmaDeltaReset(SigmaDelta):
    """Sigma-delta neurons that are reset for every sample.

    Lava's neurons have no reset, so every sample starts from the state that the last one left. This
    process is for the CPU simulator; Loihi 2 runs samples as a stream.

    Parameters
    ----------
    name : str
        Name of the process.
    reset : Reset
        Times of resets, and values of sigma, activation and residue.
    **parameters
        Parameters of Lava's process.
    """

    def __init__(self, *, name: str, reset: Reset, **parameters: Any) -> None:
        super().__init__(**parameters)
        _add_reset(self, name, reset)


class DeltaReset(Delta):
    """Encoders that are reset for every sample; the states are activation and residue."""

    def __init__(self, *, name: str, reset: Reset, **parameters: Any) -> None:
        super().__init__(**parameters)
        _add_reset(self, name, reset)


class SigmaReset(Sigma):
    """Decoders that are reset for every sample; the state is sigma."""

    def __init__(self, *, name: str, reset: Reset, **parameters: Any) -> None:
        super().__init__(**parameters)
        _add_reset(self, name, reset)


def _add_reset(process: AbstractProcess, name: str, reset: Reset) -> None:
    """Pass parameters to the model that Lava's constructors do not accept."""
    process.name = name
    process.proc_params["reset"] = reset
