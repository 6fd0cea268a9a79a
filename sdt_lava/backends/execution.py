"""Record how a Lava network was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LavaExecution:
    """Executor of a Lava network, and the durations of its phases.

    Parameters
    ----------
    executor : str
        'processes': an operating system process for each Lava Process with a ProcessModel.
        'in-process': all of them in turn in the calling thread.
    models : str
        ProcessModels used: 'lava', 'accelerated', 'fused-blocks' or 'fused'.
    processes : int
        Number of Lava Processes with a ProcessModel, including those that feed and record.
    seconds : mapping of str to float
        Wall-clock time of 'compile', 'start', 'run' and 'stop'.
    note : str
        Reason why a different executor ran than requested; otherwise empty.
    """

    executor: str
    models: str
    processes: int
    seconds: Mapping[str, float]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the execution as plain values, for JSON."""
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
