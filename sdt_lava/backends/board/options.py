"""Define the options of a run on hardware."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sdt_lava.errors import ConfigError
from sdt_lava.hardware.targets import Target

RECORDS = ("all", "output")


@dataclass(frozen=True)
class HardwareOptions:
    """Options of a run on hardware.

    Parameters
    ----------
    target : str, path or Target
        Target to compile for, which must have boards.
    board : str, optional
        Board of the target; by default the target's default board.
    record : {'all', 'output'}
        Whether to record the spikes of all neurons or only the result. The adapters through which
        spikes leave the chip cost time and energy.
    convolutions : {'auto', 'sparse', 'conv'}, optional
        As for :func:`sdt_lava.compile`.
    check : bool
        Whether to reject a network that violates a design rule.
    measure : bool
        Whether to attach Lava's profilers.
    """

    target: str | Path | Target = "loihi2"
    board: str | None = None
    record: str = "all"
    convolutions: str | None = None
    check: bool = True
    measure: bool = True

    def __post_init__(self) -> None:
        if self.record not in RECORDS:
            raise ConfigError("record", repr(self.record), f"one of {RECORDS}")
