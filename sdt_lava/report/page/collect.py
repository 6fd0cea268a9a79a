"""Everything that a report says, as plain data: what the page shows and ``report.json`` holds."""

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
from sdt_lava.families.sdt1.formula import vanilla_attention
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

# Samples that are drawn one by one.
SHOWN_SAMPLES = 6


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What to put into a report.

    Parameters
    ----------
    backend : str
        Back end that runs all samples.
    others : tuple of str
        Back ends that run the first samples again, to be compared with the first.
    compared_samples : int
        How many samples they run.
    models : tuple of EnergyModel
        Costs.
    target : str, optional
        Target whose cores the network is mapped to.
    board : str, optional
        Its board.
    runtime : RuntimeModel, optional
        Coefficients for a lower bound of a step's time on the target.
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
    """One back end against the report's own.

    Parameters
    ----------
    backend : str
        The other back end.
    samples, decisions, differing : int
        Samples, spike decisions compared, and how many of them differ.
    logits_differing : int
        Logits that differ.
    seconds : float
        Time that it took.
    """

    backend: str
    samples: int
    decisions: int
    differing: int
    logits_differing: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Report:
    """A report before it is written.

    Parameters
    ----------
    run : dict
        What was run: file, digest, data, versions, machine.
    result : Result
        The run.
    labels : ndarray of int64 or None
        True classes.
    counts : Counts
        Exact counts.
    accounting : Accounting
        The formula beside them.
    energies : tuple of EnergyTable
        A table a model.
    dense : dict
        The same network as a dense one: multiply-accumulates by layer, and of attention.
    differences : tuple of BackendDifference
        Other back ends.
    histograms, rasters, attention
        Pictures of the first samples.
    core_map : dict or None
        Cores and chips, where the network was mapped.
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
        """Share of right predictions, None without labels."""
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
        """Return plain values, for JSON; pictures are left out."""
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
    """Run a network and gather everything.

    Parameters
    ----------
    net : Graph
        Integer network.
    x : ndarray
        Samples ``(B, C, H, W)`` or ``(B, T, C, H, W)``.
    y : ndarray of int64 or None
        True classes.
    run : mapping
        What the page shall say about the run, such as the names of network and data.
    options : ReportOptions, optional
        What to put in.
    on_progress : callable, optional
        Called with what is being done, samples done and samples in all.

    Returns
    -------
    Report
        To be written with :func:`write_report`.
    """
    chosen = options or ReportOptions()
    labels = None if y is None else as_labels(y, len(x), "y")
    check_classes(net, labels, str(run.get("data", "data")))
    drawn = chosen_layers(net, chosen.layers)
    show = on_progress or (lambda stage, done, total: None)
    result = simulate(
        net,
        x,
        chosen.backend,
        on_progress=lambda done, total: show("run", done, total),
        count=True,
    )
    shown = min(SHOWN_SAMPLES, len(x))
    show("count", 0, 1)
    core_map, bound = None, None
    if chosen.target is not None:
        core_map = map_run(net, result, chosen.target, chosen.board)
        bound = None if chosen.runtime is None else runtime_bound(core_map, chosen.runtime)
    counts = count(result, core_map=core_map)
    show("count", 1, 1)
    return Report(
        run={**run, **environment(), "backend": chosen.backend, "samples": len(x)},
        result=result,
        labels=labels,
        counts=counts,
        accounting=compare_accountings(counts),
        energies=tuple(energy(counts, model) for model in chosen.models),
        dense=dense_network(net, counts),
        differences=tuple(
            _difference(net, x[: chosen.compared_samples], result, name, show)
            for name in chosen.others
        ),
        histograms=membrane_histograms(result, shown, drawn),
        rasters=rasters(result, shown, drawn),
        attention=attention_pictures(result, labels, shown),
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
    """Return the multiply-accumulates of the same network as a dense one, one pass."""
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
    same = Result(
        backend=result.backend,
        logits=result.logits[: len(x)],
        spikes={name: spikes[:, : len(x)] for name, spikes in result.spikes.items()},
        messages={name: sent[:, : len(x)] for name, sent in result.messages.items()},
        seconds=result.seconds,
    )
    comparison = compare(same, other)
    return BackendDifference(
        backend=backend,
        samples=len(x),
        decisions=sum(layer.decisions for layer in comparison.layers),
        differing=comparison.differing,
        logits_differing=int(np.count_nonzero(same.logits != other.logits)),
        seconds=other.seconds,
    )
