"""What a board's own instruments measured during a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    """Measurements of Lava's profilers on Loihi 2; None where a profiler gave nothing.

    Parameters
    ----------
    target, board, host : str
        What ran, as configured, and how it was reached.
    machine_steps, samples, timesteps : int
        Size of the run: all steps of the machine, samples, and steps T of a sample.
    seconds_per_step : float or None
        Mean time of a machine step [s].
    total_power, static_power : float or None
        Mean power of the board during the run, and of the board at rest [W].
    core_power, memory_power, io_power : float or None
        Mean power of its three supplies [W]: VDD, VDD-M and VDD-IO.
    cores : int or None
        Neuro cores that were active.
    synops, neuron_updates, spikes_in, spikes_out : int or None
        Counts of all cores' activity counters, over the whole run.
    memory_utilisation : float or None
        Mean share of the cores' memory that is used.
    """

    target: str
    board: str
    host: str
    machine_steps: int
    samples: int
    timesteps: int
    seconds_per_step: float | None = None
    total_power: float | None = None
    static_power: float | None = None
    core_power: float | None = None
    memory_power: float | None = None
    io_power: float | None = None
    cores: int | None = None
    synops: int | None = None
    neuron_updates: int | None = None
    spikes_in: int | None = None
    spikes_out: int | None = None
    memory_utilisation: float | None = None

    @property
    def seconds_per_sample(self) -> float | None:
        """Time of a sample in a full pipeline [s]: ``T`` steps."""
        return None if self.seconds_per_step is None else self.seconds_per_step * self.timesteps

    @property
    def total_energy(self) -> float | None:
        """Energy of a sample [J]: ``total_power * seconds_per_sample``."""
        return _product(self.total_power, self.seconds_per_sample)

    @property
    def dynamic_energy(self) -> float | None:
        """Energy of a sample beyond that of the board at rest [J]."""
        if self.total_power is None or self.static_power is None:
            return None
        return _product(self.total_power - self.static_power, self.seconds_per_sample)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            **asdict(self),
            "seconds_per_sample": self.seconds_per_sample,
            "total_energy_per_sample": self.total_energy,
            "dynamic_energy_per_sample": self.dynamic_energy,
        }


def _product(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left * right
