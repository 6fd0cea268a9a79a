"""Write a report: page, JSON, tables, figures; each file atomically, the page last."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from sdt_lava.counts.counts import SYNAPTIC_OPERATIONS, UPDATES
from sdt_lava.io.files import make_folder, replacing, write_json
from sdt_lava.report.energy_model import OPERATIONS
from sdt_lava.report.energy_table import EnergyTable
from sdt_lava.report.page.collect import Report
from sdt_lava.report.page.explanations import EXPLANATIONS
from sdt_lava.report.page.membranes import BINS, HIGH, LOW
from sdt_lava.support.text import printable

PAGE = "index.html"


def write_report(report: Report, folder: str | os.PathLike[str], *, figures: bool = False) -> Path:
    """Write a report to a folder, which is created if necessary.

    Parameters
    ----------
    report : Report
        Report from :func:`collect_report`.
    folder : path-like
        Folder, in which files with the same names are replaced.
    figures : bool
        Also write the figures as PNG and SVG.

    Returns
    -------
    Path
        The page, ``index.html``, which needs neither other files nor network access.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    target = make_folder(folder)
    write_json(target / "report.json", report.to_dict())
    for name, rows in _tables(report).items():
        _write_csv(target / name, rows)
    if figures:
        from sdt_lava.report.figures import plot_run

        for suffix in ("png", "svg"):
            plot_run(report.result, target / f"run.{suffix}", labels=report.labels)
    page = target / PAGE
    with replacing(page) as temporary:
        temporary.write_text(render(report), encoding="utf-8")
    return page


def render(report: Report) -> str:
    """Return the HTML of the page."""
    files = resources.files("sdt_lava.report.page")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=_shown
    )
    environment.filters["number"] = lambda value: f"{value:,.0f}"
    template = environment.from_string(files.joinpath("page.html").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        style=files.joinpath("style.css").read_text(encoding="utf-8"),
        explain=EXPLANATIONS,
        operations=OPERATIONS,
        synaptic=SYNAPTIC_OPERATIONS,
        updates=UPDATES,
        layers=report.counts.rows(),
        bins=(BINS, LOW, HIGH),
        report_parts=_block_parts,
        heights=_heights,
        threshold_x=f"{BINS * (1.0 - LOW) / (HIGH - LOW):.2f}",
    )


def _shown(value: Any) -> Any:
    """Escape direction-control characters in names, which browsers would obey."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _block_parts(table: EnergyTable, block: str) -> list[tuple[str, float]]:
    """Return the energy of one block by operation [pJ]."""
    parts: dict[str, float] = {}
    for row in table.rows:
        if row.block == block:
            parts[row.operation] = parts.get(row.operation, 0.0) + row.energy_pj
    return list(parts.items())


def _heights(counts: Sequence[int]) -> list[float]:
    """Return the heights of a histogram's bars on a logarithmic scale, at most 30."""
    logarithms = np.log1p(np.asarray(counts, float))
    highest = float(logarithms.max()) or 1.0
    heights: list[float] = (28.0 * logarithms / highest).tolist()
    return heights


def _tables(report: Report) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    energy = [
        {"model": table.model.name, **row} for table in report.energies for row in table.table()
    ]
    predictions = [
        {"sample": index, "predicted": int(predicted)}
        | ({} if report.labels is None else {"label": int(report.labels[index])})
        for index, predicted in enumerate(report.result.labels)
    ]
    return {
        "layers.csv": report.counts.rows(),
        "accounting.csv": [row.to_dict() for row in report.accounting.rows],
        "energy.csv": energy,
        "predictions.csv": predictions,
    }


def _write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    table = list(rows)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if table:
            writer = csv.DictWriter(file, fieldnames=list(table[0]))
            writer.writeheader()
            writer.writerows(table)
