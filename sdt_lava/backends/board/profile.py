"""Read the measurements of Lava's profilers for Loihi 2.

Names, units and formulas are those of lava-dl's notebooks (netx, PilotNet: benchmark.ipynb) and of
public programs that use the profilers. Values that a version of the extension does not provide are
None.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

# [s] Lava's profilers report times in microseconds.
_TIME_UNIT = 1e-6

_MEANS = {
    "total_power": ("Loihi2Power", "total_power"),
    "static_power": ("Loihi2Power", "static_total_power"),
    "core_power": ("Loihi2Power", "vdd_power"),
    "memory_power": ("Loihi2Power", "vddm_power"),
    "io_power": ("Loihi2Power", "vddio_power"),
    "memory_utilisation": ("Loihi2Memory", "total_mpds"),
}
_SUMS = {
    "synops": ("Loihi2Activity", "syn_ops"),
    "neuron_updates": ("Loihi2Activity", "dendrite_updates"),
    "spikes_in": ("Loihi2Activity", "spikes_in"),
    "spikes_out": ("Loihi2Activity", "axon_out"),
}


def read_profilers(profilers: Mapping[str, Any]) -> dict[str, float | int | None]:
    """Return the measurements by the field names of `Measured`.

    Parameters
    ----------
    profilers : mapping of str to object
        Profilers after the run, by class name.
    """
    values: dict[str, float | int | None] = {}
    for field, (profiler, attribute) in _MEANS.items():
        measurement = _read(profilers, profiler, attribute)
        values[field] = None if measurement is None else float(measurement.mean())
    for field, (profiler, attribute) in _SUMS.items():
        measurement = _read(profilers, profiler, attribute)
        values[field] = None if measurement is None else int(measurement.sum())
    step = _read(profilers, "Loihi2ExecutionTime", "avg_time_per_step")
    values["seconds_per_step"] = None if step is None else float(step.mean()) * _TIME_UNIT
    updates = _read(profilers, "Loihi2Activity", "dendrite_updates")
    values["cores"] = None if updates is None else int(np.count_nonzero(updates))
    return values


def _read(profilers: Mapping[str, Any], profiler: str, attribute: str) -> Any:
    """Return an attribute of a profiler as an array, or None if it is not available."""
    if profiler not in profilers:
        return None
    try:
        values = np.asarray(getattr(profilers[profiler], attribute), np.float64)
    except Exception as error:
        # The package is closed and its version unknown; a missing measurement must not fail the
        # run.
        logger.warning("%s.%s cannot be read: %s", profiler, attribute, error)
        return None
    if not values.size or not np.isfinite(values).all():
        logger.warning("%s.%s gave no numbers", profiler, attribute)
        return None
    return values
