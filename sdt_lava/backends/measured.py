"""Represent measurements of a board's instruments during a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    """Measurements of Lava's profilers on Loihi 2; None if a profiler returned no value.

    Parameters
    ----------
    target, board, host : str
        Configured target and board, and how the board was reached.
    machine_steps, samples, timesteps : int
        Total machine steps, number of samples, and steps T per sample.
    seconds_per_step : float or None
        Mean duration of a machine step [s].
    total_power, static_power : float or None
        Mean power of the board during the run, and idle power [W].
    core_power, memory_power, io_power : float or None
        Mean power of the three supplies VDD, VDD-M and VDD-IO [W].
    cores : int or None
        Number of active neuro cores.
    synops, neuron_updates, spikes_in, spikes_out : int or None
        Totals of the activity counters of all cores over the whole run.
    memory_utilisation : float or None
        Mean share of the cores' memory in use.
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
        """Duration of the ``T`` steps of a sample in a full pipeline [s]."""
        return None if self.seconds_per_step is None else self.seconds_per_step * self.timesteps

    @property
    def total_energy(self) -> float | None:
        """Energy per sample, ``total_power * seconds_per_sample`` [J]."""
        return _product(self.total_power, self.seconds_per_sample)

    @property
    def dynamic_energy(self) -> float | None:
        """Energy per sample in excess of the idle board [J]."""
        if self.total_power is None or self.static_power is None:
            return None
        return _product(self.total_power - self.static_power, self.seconds_per_sample)

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements as plain values, for JSON."""
        return {
            **asdict(self),
            "seconds_per_sample": self.seconds_per_sample,
            "total_energy_per_sample": self.total_energy,
            "dynamic_energy_per_sample": self.dynamic_energy,
        }


def _product(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left * right
