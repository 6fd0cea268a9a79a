"""Lava's sigma-delta processes, reset as its LIFReset is."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.process import AbstractProcess
from lava.proc.sdn.process import Delta, Sigma, SigmaDelta

from sdt_lava.ir.sigma_delta_steps import Reset


class SigmaDeltaReset(SigmaDelta):
    """Sigma-delta neurons that start every sample anew.

    Lava's have no reset: what one sample left behind is the start of the next. This is for the
    CPU simulator; Loihi 2 takes a stream.

    Parameters
    ----------
    name : str
        Name of the process.
    reset : Reset
        When, and to which sigma, activation and residue.
    **parameters
        Of Lava's process.
    """

    def __init__(self, *, name: str, reset: Reset, **parameters: Any) -> None:
        super().__init__(**parameters)
        _add_reset(self, name, reset)


class DeltaReset(Delta):
    """Encoders that start every sample anew; the states are activation and residue."""

    def __init__(self, *, name: str, reset: Reset, **parameters: Any) -> None:
        super().__init__(**parameters)
        _add_reset(self, name, reset)


class SigmaReset(Sigma):
    """Decoders that start every sample anew; the state is sigma."""

    def __init__(self, *, name: str, reset: Reset, **parameters: Any) -> None:
        super().__init__(**parameters)
        _add_reset(self, name, reset)


def _add_reset(process: AbstractProcess, name: str, reset: Reset) -> None:
    """Pass on to the model what Lava's constructors do not take."""
    process.name = name
    process.proc_params["reset"] = reset
