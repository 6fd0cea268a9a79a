"""The result of a sweep: its rows, Pareto front and files."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sdt_lava.evaluate.sweep.row import SweepRow
from sdt_lava.io.files import replacing, write_json


@dataclass(frozen=True)
class Sweep:
    """All rows of a sweep.

    Parameters
    ----------
    rows : tuple of SweepRow
        Rows by width, then by lowering, in the requested order.
    samples, counted_samples : int
        Number of samples on which accuracy was measured and on which operations were counted.
    identity : mapping of str to str
        Identity of the sweep.
    refused : tuple of dict
        Unsupported lowerings: ``bits``, ``shortcut``, ``sdsa``, ``reason``.
    """

    rows: tuple[SweepRow, ...]
    samples: int
    counted_samples: int
    identity: Mapping[str, str]
    refused: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the energy models."""
        return tuple(self.rows[0].energy_nj) if self.rows else ()

    def pareto(self, model: str) -> tuple[SweepRow, ...]:
        """Return the Pareto front: the rows that no other row dominates, by increasing energy.

        A row dominates another if it is at least as accurate and takes no more energy, and is
        better in at least one of the two. Without labels, there is no accuracy and the front is
        empty.
        """
        candidates = [row for row in self.rows if row.accuracy is not None]

        def beats(left: SweepRow, right: SweepRow) -> bool:
            first, second = _point(left, model), _point(right, model)
            return first != second and first[0] <= second[0] and first[1] <= second[1]

        front = [row for row in candidates if not any(beats(other, row) for other in candidates)]
        return tuple(sorted(front, key=lambda row: _point(row, model)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "identity": dict(self.identity),
            "samples": self.samples,
            "counted_samples": self.counted_samples,
            "rows": [asdict(row) for row in self.rows],
            "pareto": {name: [row.name for row in self.pareto(name)] for name in self.models},
            "refused": [dict(entry) for entry in self.refused],
        }

    def write(self, folder: Path) -> None:
        """Write ``sweep.json``, ``sweep.csv`` and, with labels, ``pareto.png`` and ``.svg``."""
        write_json(folder / "sweep.json", self.to_dict())
        _write_csv(folder / "sweep.csv", self)
        if any(row.accuracy is not None for row in self.rows):
            from sdt_lava.evaluate.sweep.figure import plot_pareto

            fronts = {name: self.pareto(name) for name in self.models}
            for suffix in ("png", "svg"):
                plot_pareto(self.rows, fronts, folder / f"pareto.{suffix}")


def _point(row: SweepRow, model: str) -> tuple[float, float]:
    """Return energy and negative accuracy; lower is better for both."""
    return row.energy_nj[model], -(row.accuracy or 0.0)


def _write_csv(path: Path, sweep: Sweep) -> None:
    front = {name: set(map(id, sweep.pareto(name))) for name in sweep.models}
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = [_flat(row, front) for row in sweep.rows]
        writer = csv.DictWriter(file, fieldnames=list(table[0]) if table else [])
        writer.writeheader()
        writer.writerows(table)


def _flat(row: SweepRow, front: Mapping[str, set[int]]) -> dict[str, Any]:
    values = asdict(row)
    energies = values.pop("energy_nj")
    not_charged = values.pop("not_charged")
    for name, energy in energies.items():
        values[f"{name} [nJ]"] = energy
        values[f"{name}: not charged"] = " ".join(not_charged[name])
        values[f"{name}: on the front"] = id(row) in front[name]
    return values
