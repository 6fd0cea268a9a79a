"""Compute a lower bound of the runtime of a mapped network from a runtime model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.errors import RuntimeModelError
from sdt_lava.report.runtime_model import RuntimeModel

if TYPE_CHECKING:
    from sdt_lava.backends.result import Result
    from sdt_lava.hardware.core_map import CoreCounts, CoreMap


@dataclass(frozen=True)
class BoundTerm:
    """One term of a bound.

    Parameters
    ----------
    count : str
        Name of the count, one of :data:`sdt_lava.report.runtime_model.COUNTS`.
    per_step : float
        Mean count per step of the run, for the core with the largest count.
    core : int or None
        That core; None if the count is not per core.
    step_ns : float
        The resulting bound [ns].
    source : str
        Source of the coefficients.
    """

    count: str
    per_step: float
    core: int | None
    step_ns: float
    source: str


@dataclass(frozen=True)
class RuntimeBound:
    """Lower bounds of the time of a step and of a sample.

    Parameters
    ----------
    model : RuntimeModel
        Coefficients.
    terms : tuple of BoundTerm
        One term for each term of the model.
    timesteps : int
        Steps T of a sample.
    activity : str
        Description of the run in which the counts were measured.
    """

    model: RuntimeModel
    terms: tuple[BoundTerm, ...]
    timesteps: int
    activity: str

    @property
    def binding(self) -> BoundTerm:
        """The term with the largest bound."""
        return max(self.terms, key=lambda term: term.step_ns)

    @property
    def step_ns(self) -> float:
        """Lower bound of the mean time of a step [ns]."""
        return self.binding.step_ns

    @property
    def sample_us(self) -> float:
        """Lower bound of the time of a sample in a gapless stream of samples [us]."""
        return self.timesteps * self.step_ns / 1e3

    def to_dict(self) -> dict[str, Any]:
        """Return the bound as plain values, for JSON."""
        return {
            "model": self.model.name,
            "title": self.model.title,
            "source": self.model.source,
            "assumptions": list(self.model.assumptions),
            "activity": self.activity,
            "terms": [asdict(term) for term in self.terms],
            "binding": self.binding.count,
            "step_ns": self.step_ns,
            "timesteps": self.timesteps,
            "sample_us": self.sample_us,
            "is_lower_bound": True,
        }


def runtime_bound(
    core_map: CoreMap, model: RuntimeModel, run: Result | None = None
) -> RuntimeBound:
    """Return a lower bound of the time of a step, from counts for each core.

    A step takes at least as long as its slowest term, ``base + per_unit * count``. Counts are
    means over the steps of a run: the mean of a maximum is never less than the maximum of means,
    so the result is a lower bound of the mean time.

    Parameters
    ----------
    core_map : CoreMap
        Map of the network to cores.
    model : RuntimeModel
        Coefficients.
    run : Result, optional
        Run of the mapped network; by default the one for which the map was made.

    Raises
    ------
    RuntimeModelError
        If the map was made for an assumed activity, which yields no lower bound.
    """
    if run is None and not core_map.activity.is_measured:
        raise RuntimeModelError(
            "runtime bound",
            f"activity {core_map.activity.source}",
            "spikes of a run: an assumed activity is not a lower bound",
            "measure spikes: --data DATA",
        )
    counts, traffic = core_map.by_core(run), core_map.traffic(run)
    return RuntimeBound(
        model=model,
        terms=tuple(_term(name, model, counts, traffic.per_step("hops")) for name in model.terms),
        timesteps=core_map.timesteps,
        activity=traffic.source,
    )


def _term(name: str, model: RuntimeModel, counts: CoreCounts, hops: float) -> BoundTerm:
    term = model.terms[name]
    core: int | None = None
    per_step = 0.0
    if name == "hops":
        per_step = hops
    elif name != "step":
        by_core = getattr(counts, name)
        core = int(np.argmax(by_core))
        per_step = float(by_core[core]) / counts.steps
    return BoundTerm(name, per_step, core, term.time_ns(per_step), term.source)
