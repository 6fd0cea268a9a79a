"""Compute accuracy, counts and energy from the results of all samples."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from sdt_lava.evaluate.sample import OPERATIONS, TOP, SampleResult
from sdt_lava.io.files import replacing, write_json
from sdt_lava.report.energy_model import EnergyModel


@dataclass(frozen=True)
class Evaluation:
    """Results of an evaluation, identical regardless of how it was divided or interrupted.

    Parameters
    ----------
    results : tuple of SampleResult
        Results in the order of the samples.
    models : tuple of EnergyModel
        Energy models that give the costs.
    identity : mapping of str to str
        Identity of the evaluation.
    """

    results: tuple[SampleResult, ...]
    models: tuple[EnergyModel, ...]
    identity: Mapping[str, str]

    @property
    def good(self) -> tuple[SampleResult, ...]:
        """Results of the samples that could be read."""
        return tuple(row for row in self.results if not row.error)

    @property
    def bad(self) -> tuple[SampleResult, ...]:
        """Results of the samples that could not be read."""
        return tuple(row for row in self.results if row.error)

    def accuracy(self, top: int = 1) -> float | None:
        """Return the fraction of samples correct in the top `top` classes; None without labels."""
        ranks = [row.rank for row in self.good if row.rank is not None]
        return sum(rank < top for rank in ranks) / len(ranks) if ranks else None

    @property
    def confusion(self) -> list[list[int]] | None:
        """Sample counts by true class (row) and predicted class (column); None without labels."""
        pairs = [
            (row.label, row.predicted)
            for row in self.good
            if row.label is not None and row.predicted is not None
        ]
        if not pairs:
            return None
        classes = max(max(pair) for pair in pairs) + 1
        table = np.zeros((classes, classes), np.int64)
        np.add.at(table, tuple(np.array(pairs).T), 1)
        rows: list[list[int]] = table.tolist()
        return rows

    def statistics(self) -> dict[str, dict[str, float | int]]:
        """Return the total, mean and standard deviation of each operation, from exact integers."""
        results = self.good
        table: dict[str, dict[str, float | int]] = {}
        for position, name in enumerate(OPERATIONS):
            numbers = [row.operations[position] for row in results]
            total, count = sum(numbers), max(len(numbers), 1)
            mean = Fraction(total, count)
            variance = Fraction(sum(number * number for number in numbers), count) - mean * mean
            table[name] = {"total": total, "mean": float(mean), "std": math.sqrt(variance)}
        return table

    def energy(self) -> dict[str, dict[str, Any]]:
        """Return the energy per sample [nJ] by model, and the operations it does not charge for."""
        statistics = self.statistics()
        energies = {}
        for model in self.models:
            charged_costs = {
                name: cost.pj for name, cost in model.costs.items() if name in statistics
            }
            picojoule = math.fsum(
                statistics[name]["mean"] * pj for name, pj in charged_costs.items()
            )
            uncharged = [
                name
                for name in OPERATIONS
                if name not in charged_costs and statistics[name]["total"]
            ]
            energies[model.name] = {
                "per_sample_nj": picojoule / 1e3,
                "source": model.source,
                "assumptions": list(model.assumptions),
                "not_charged": uncharged,
            }
        return energies

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, which do not depend on when or where it ran."""
        return {
            "identity": dict(self.identity),
            "samples": len(self.good),
            "bad_samples": [{"sample": row.index, "error": row.error} for row in self.bad],
            "top1": self.accuracy(),
            "top5": self.accuracy(TOP),
            "confusion": self.confusion,
            "operations": self.statistics(),
            "energy": self.energy(),
        }

    def write(self, folder: Path) -> None:
        """Write ``results.json`` and ``predictions.csv``, each atomically."""
        write_json(folder / "results.json", self.to_dict())
        _write_predictions(folder / "predictions.csv", self.results)


def _write_predictions(path: Path, results: Iterable[SampleResult]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "label", "predicted", "rank", "error", *OPERATIONS])
        for row in results:
            values = (row.index, row.label, row.predicted, row.rank, row.error, *row.operations)
            writer.writerow(["" if value is None else value for value in values])
