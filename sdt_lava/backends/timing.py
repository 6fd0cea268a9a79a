"""Report the latency of a network and the measured throughput."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Timing:
    """Latency and throughput of a run.

    Parameters
    ----------
    timesteps : int
        Number of steps per sample, ``T``.
    samples : int
        Number of samples of the run.
    latency : int
        Machine steps from a frame to the network's output for it, on Lava and Loihi.
    steps : int
        Number of steps that the back end ran: machine steps for Lava, ``samples * T`` for others.
    seconds : float
        Wall-clock time of these steps. For Lava, it excludes compiling, starting and stopping; for
        others, it covers the whole run.
    """

    timesteps: int
    samples: int
    latency: int
    steps: int
    seconds: float

    @property
    def first_result(self) -> int:
        """Machine steps until the last output of the first sample: ``latency + T``."""
        return self.latency + self.timesteps

    @property
    def samples_per_second(self) -> float:
        """Measured throughput in samples per second."""
        return self.samples / self.seconds

    @property
    def steps_per_second(self) -> float:
        """Measured speed of the back end in steps per second."""
        return self.steps / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Return the timing as plain values, for JSON."""
        return {
            **asdict(self),
            "first_result": self.first_result,
            "samples_per_second": self.samples_per_second,
            "steps_per_second": self.steps_per_second,
        }

    def __str__(self) -> str:
        return (
            f"latency {self.latency} machine steps to the first output, {self.first_result} to the "
            f"first result; {self.samples_per_second:,.2f} samples/s, "
            f"{self.steps_per_second:,.1f} steps/s"
        )
