"""Compute the energy of a run: exact counts times the costs of an energy model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdt_lava.counts.counts import SYNAPTIC_OPERATIONS, UPDATES, Counts
from sdt_lava.report.energy_model import EnergyModel, load_energy_model


@dataclass(frozen=True)
class EnergyRow:
    """Energy of one kind of operation in one layer, summed over the run.

    Parameters
    ----------
    name, block : str
        Population that performs the operations.
    operation : str
        One of :data:`sdt_lava.report.energy_model.OPERATIONS`.
    count : int
        Number of operations.
    energy_pj : float
        Count times the cost of the operation [pJ].
    """

    name: str
    block: str
    operation: str
    count: int
    energy_pj: float


@dataclass(frozen=True)
class EnergyTable:
    """Energy of a run by an energy model.

    Parameters
    ----------
    model : EnergyModel
        Costs, sources and assumptions.
    rows : tuple of EnergyRow
        Rows for all operations that occurred and have a cost.
    not_charged : dict of str to int
        Counts of operations that occurred but have no cost in the model.
    samples : int
        Number of samples of the run.
    """

    model: EnergyModel
    rows: tuple[EnergyRow, ...]
    not_charged: dict[str, int]
    samples: int

    @property
    def total_pj(self) -> float:
        """Energy of the whole run [pJ]."""
        return sum(row.energy_pj for row in self.rows)

    @property
    def per_sample_nj(self) -> float:
        """Mean energy of a sample [nJ]."""
        return self.total_pj / self.samples / 1e3

    @property
    def by_operation(self) -> dict[str, float]:
        """Energy of the run by operation [pJ]."""
        return self._grouped("operation")

    @property
    def by_block(self) -> dict[str, float]:
        """Energy of the run by block [pJ]."""
        return self._grouped("block")

    @property
    def by_layer(self) -> dict[str, float]:
        """Energy of the run by population [pJ]."""
        return self._grouped("name")

    def _grouped(self, key: str) -> dict[str, float]:
        groups: dict[str, float] = {}
        for row in self.rows:
            group = getattr(row, key)
            groups[group] = groups.get(group, 0.0) + row.energy_pj
        return groups

    def table(self) -> list[dict[str, Any]]:
        """Return flat rows, for example for ``pandas.DataFrame(energy.table())``."""
        return [asdict(row) for row in self.rows]

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain values, for JSON."""
        return {
            "model": self.model.name,
            "title": self.model.title,
            "source": self.model.source,
            "assumptions": list(self.model.assumptions),
            "constants": {key: asdict(cost) for key, cost in self.model.costs.items()},
            "samples": self.samples,
            "total_pj": self.total_pj,
            "per_sample_nj": self.per_sample_nj,
            "by_operation_pj": self.by_operation,
            "by_block_pj": self.by_block,
            "not_charged": self.not_charged,
            "rows": self.table(),
        }


def energy(counts: Counts, model: str | Path | EnergyModel = "horowitz45-fp32") -> EnergyTable:
    """Compute the energy of a run from its counts.

    Parameters
    ----------
    counts : Counts
        Counts from :func:`sdt_lava.report.count`.
    model : str, path or EnergyModel
        An energy model, its name, or the path of its ``.toml`` file.

    Returns
    -------
    EnergyTable
        The energy, including a list of operations without a cost in the model.

    Raises
    ------
    EnergyModelError
        If there is no such model.
    """
    costs = model if isinstance(model, EnergyModel) else load_energy_model(model)
    rows, not_charged = [], {}
    for operation in (*SYNAPTIC_OPERATIONS, *UPDATES):
        total = counts.total(operation)
        if not total:
            continue
        cost = costs.costs.get(operation)
        if cost is None:
            not_charged[operation] = total
            continue
        for layer in counts.layers:
            number = int(layer.operations(operation).sum())
            if number:
                row = EnergyRow(layer.name, layer.block, operation, number, number * cost.pj)
                rows.append(row)
    for operation, total in counts.messages.items():
        cost = costs.costs.get(operation)
        if cost is not None:
            rows.append(EnergyRow("network", "", operation, total, total * cost.pj))
        elif total:
            not_charged[operation] = total
    return EnergyTable(costs, tuple(rows), not_charged, counts.samples)
