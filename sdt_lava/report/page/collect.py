"""Collect all data of a report, which are shown on the page and stored in ``report.json``."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.backends.result import Result
from sdt_lava.backends.run import simulate
from sdt_lava.counts.counts import Counts
from sdt_lava.datasets.labels import as_labels, check_classes
from sdt_lava.families.formula import vanilla_attention
from sdt_lava.ir import Graph
from sdt_lava.report.accounting import Accounting, compare_accountings
from sdt_lava.report.compare import compare
from sdt_lava.report.cores import core_table, map_run
from sdt_lava.report.counting import count
from sdt_lava.report.energy_model import ENERGY_MODELS, EnergyModel, load_energy_model
from sdt_lava.report.energy_table import EnergyTable, energy
from sdt_lava.report.page.membranes import MembraneHistogram, membrane_histograms
from sdt_lava.report.page.pictures import (
    AttentionPicture,
    Raster,
    attention_pictures,
    chosen_layers,
    rasters,
)
from sdt_lava.report.runtime_bound import runtime_bound
from sdt_lava.report.runtime_model import RuntimeModel

# Number of samples that are drawn individually.
SHOWN_SAMPLES = 6


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of a report.

    Parameters
    ----------
    backend : str
        Back end that runs all samples.
    others : tuple of str
        Back ends that run the first samples again, for comparison with the first back end.
    compared_samples : int
        Number of samples that they run.
    models : tuple of EnergyModel
        Energy models.
    target : str, optional
        Target to whose cores the network is mapped.
    board : str, optional
        Board of the target.
    runtime : RuntimeModel, optional
        Runtime model for a lower bound of the time of a step on the target.
    layers : tuple of str
        Layers whose spikes and membrane potentials are drawn: names, or patterns with ``*``.
    """

    backend: str = "engine"
    others: tuple[str, ...] = ("reference",)
    compared_samples: int = 2
    models: tuple[EnergyModel, ...] = field(
        default_factory=lambda: tuple(load_energy_model(name) for name in ENERGY_MODELS)
    )
    target: str | None = None
    board: str | None = None
    runtime: RuntimeModel | None = None
    layers: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class BackendDifference:
    """Differences between another back end and that of the report.

    Parameters
    ----------
    backend : str
        The other back end.
    samples, decisions, differing : int
        Numbers of samples, compared spike decisions, and differing decisions.
    logits_differing : int
        Number of differing logits.
    seconds : float
        Runtime of the other back end [s].
    """

    backend: str
    samples: int
    decisions: int
    differing: int
    logits_differing: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Report:
    """The content of a report.

    Parameters
    ----------
    run : dict
        Description of the run: file, digest, data, versions, machine.
    result : Result
        The run.
    labels : ndarray of int64 or None
        True classes.
    counts : Counts
        Exact counts.
    accounting : Accounting
        Comparison with the formula.
    energies : tuple of EnergyTable
        One table per energy model.
    dense : dict
        Multiply-accumulates of the same network as a dense network, by layer and of attention.
    differences : tuple of BackendDifference
        Comparisons with other back ends.
    histograms, rasters, attention
        Pictures of the first samples.
    core_map : dict or None
        Cores and chips, if the network was mapped.
    """

    run: dict[str, Any]
    result: Result
    labels: NDArray[np.int64] | None
    counts: Counts
    accounting: Accounting
    energies: tuple[EnergyTable, ...]
    dense: dict[str, Any]
    differences: tuple[BackendDifference, ...]
    histograms: tuple[MembraneHistogram, ...]
    rasters: tuple[Raster, ...]
    attention: tuple[AttentionPicture, ...]
    core_map: dict[str, Any] | None = None

    @property
    def accuracy(self) -> float | None:
        """Fraction of correct predictions, None without labels."""
        if self.labels is None:
            return None
        return float(np.mean(self.result.labels == self.labels))

    @property
    def confusion(self) -> list[list[int]] | None:
        """Samples by true class (row) and predicted class (column)."""
        if self.labels is None:
            return None
        classes = self.result.logits.shape[1]
        table = np.zeros((classes, classes), np.int64)
        np.add.at(table, (self.labels, self.result.labels), 1)
        rows: list[list[int]] = table.tolist()
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values without pictures, for JSON."""
        return {
            "run": self.run,
            "accuracy": self.accuracy,
            "confusion": self.confusion,
            "seconds": self.result.seconds,
            "timing": self.result.timing.to_dict(),
            "counts": self.counts.to_dict(),
            "accounting": self.accounting.to_dict(),
            "dense": self.dense,
            "energy": [table.to_dict() for table in self.energies],
            "differences": [asdict(row) for row in self.differences],
            "membranes": [asdict(row) for row in self.histograms],
            "core_map": self.core_map,
        }


def collect_report(
    net: Graph,
    x: NDArray[np.float32],
    y: NDArray[np.int64] | None,
    run: Mapping[str, Any],
    options: ReportOptions | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Run a network and collect the content of the report.

    Parameters
    ----------
    net : Graph
        Integer network.
    x : ndarray
        Samples ``(B, C, H, W)`` or ``(B, T, C, H, W)``.
    y : ndarray of int64 or None
        True classes.
    run : mapping
        Description of the run on the page, such as the names of network and data.
    options : ReportOptions, optional
        Options of the report.
    on_progress : callable, optional
        Called with the name of the stage, the samples done and the number of samples.

    Returns
    -------
    Report
        The report, to be written with :func:`write_report`.
    """
    settings = options or ReportOptions()
    labels = None if y is None else as_labels(y, len(x), "y")
    check_classes(net, labels, str(run.get("data", "data")))
    layers = chosen_layers(net, settings.layers)
    show = on_progress or (lambda stage, done, total: None)
    result = simulate(
        net,
        x,
        settings.backend,
        on_progress=lambda done, total: show("run", done, total),
        count=True,
    )
    num_shown = min(SHOWN_SAMPLES, len(x))
    show("count", 0, 1)
    core_map, bound = None, None
    if settings.target is not None:
        core_map = map_run(net, result, settings.target, settings.board)
        bound = None if settings.runtime is None else runtime_bound(core_map, settings.runtime)
    counts = count(result, core_map=core_map)
    show("count", 1, 1)
    return Report(
        run={**run, **environment(), "backend": settings.backend, "samples": len(x)},
        result=result,
        labels=labels,
        counts=counts,
        accounting=compare_accountings(counts),
        energies=tuple(energy(counts, model) for model in settings.models),
        dense=dense_network(net, counts),
        differences=tuple(
            _difference(net, x[: settings.compared_samples], result, name, show)
            for name in settings.others
        ),
        histograms=membrane_histograms(result, num_shown, layers),
        rasters=rasters(result, num_shown, layers),
        attention=attention_pictures(result, labels, num_shown),
        core_map=None if core_map is None else core_table(core_map, bound),
    )


def environment() -> dict[str, str]:
    """Return versions, machine and time of a run."""
    from sdt_lava._version import __version__

    return {
        "sdt_lava": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.machine()}, {platform.system()}",
        "time": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def dense_network(net: Graph, counts: Counts) -> dict[str, Any]:
    """Return the multiply-accumulates of one pass of the same network as a dense network."""
    layers = {row.origin: row.flops for row in counts.connections if row.role == "synapse"}
    attention = 0
    for node in net:
        if node.name.endswith(".attn.mask") and len(net.shapes[node.name]) == 3:
            channels, height, width = net.shapes[node.name]
            cost = vanilla_attention(height * width, channels)
            attention += cost.total - cost.qkv
    return {
        "layers": layers,
        "attention": attention,
        "total": sum(layers.values()) + attention,
        "per_synop": (sum(layers.values()) + attention) * counts.samples / max(counts.synops, 1),
    }


def _difference(
    net: Graph,
    x: NDArray[np.float32],
    result: Result,
    backend: str,
    show: Callable[[str, int, int], None],
) -> BackendDifference:
    other = simulate(
        net, x, backend, on_progress=lambda done, total: show(f"compare {backend}", done, total)
    )
    baseline = Result(
        backend=result.backend,
        logits=result.logits[: len(x)],
        spikes={name: spikes[:, : len(x)] for name, spikes in result.spikes.items()},
        messages={name: values[:, : len(x)] for name, values in result.messages.items()},
        seconds=result.seconds,
    )
    comparison = compare(baseline, other)
    return BackendDifference(
        backend=backend,
        samples=len(x),
        decisions=sum(layer.decisions for layer in comparison.layers),
        differing=comparison.differing,
        logits_differing=int(np.count_nonzero(baseline.logits != other.logits)),
        seconds=other.seconds,
    )
