"""How long a frame takes through the network, and how many samples a second go through."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Timing:
    """Latency and throughput of a run.

    Parameters
    ----------
    timesteps : int
        Steps ``T`` of a sample.
    samples : int
        Samples of the run.
    latency : int
        Machine steps between a frame and the network's output for it, on Lava and Loihi.
    steps : int
        Steps that this back end has run: the machine steps of Lava, the others' ``samples * T``.
    seconds : float
        Wall-clock time of these steps: on Lava without compiling, starting and stopping, elsewhere
        of the whole run.
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
        """Measured throughput."""
        return self.samples / self.seconds

    @property
    def steps_per_second(self) -> float:
        """Measured speed of this back end."""
        return self.steps / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
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
