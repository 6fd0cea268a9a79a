"""How a Lava network was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LavaExecution:
    """What ran a Lava network, and how long its parts took.

    Parameters
    ----------
    executor : str
        'processes': an operating system process for each Lava Process that has a ProcessModel;
        'in-process': all of them one after another in the calling thread.
    models : str
        ProcessModels: 'lava', 'accelerated', 'fused-blocks' or 'fused'.
    processes : int
        Lava Processes that have a ProcessModel, with those that feed and record.
    seconds : mapping of str to float
        Wall-clock time of 'compile', 'start', 'run' and 'stop'.
    note : str
        Why another executor ran than was asked for; empty otherwise.
    """

    executor: str
    models: str
    processes: int
    seconds: Mapping[str, float]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        where = "one" if self.executor == "in-process" else f"{self.processes}"
        plural = "" if self.executor == "in-process" else "es"
        times = ", ".join(f"{part} {seconds:.2f} s" for part, seconds in self.seconds.items())
        text = (
            f"{self.processes} Lava processes ({self.models} models) in {where} operating system "
            f"process{plural}: {times}"
        )
        return f"{text}\n{self.note}" if self.note else text
