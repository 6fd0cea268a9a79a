"""Fill the table of ``docs/simulation.md`` from ``benchmarks/results/bench.json``.

    python -m benchmarks.speed

Nothing is measured here: ``make bench`` does that.
"""

from __future__ import annotations

import json

from benchmarks.common import REPOSITORY, RESULTS, Row
from benchmarks.pages import filled, table

PAGE = REPOSITORY / "docs" / "simulation.md"
SOURCE = "bench.json"


def row_table(content: dict) -> str:
    """Return the rows of the benchmark, and the machine."""
    rows = [Row(**row) for row in content["rows"]]
    text = table(
        ("comparison", "ratio", "target", "ours", "peer", "unit", "spread"),
        [
            (
                row.title,
                f"**{row.ratio:.3g}x**",
                "" if row.target is None else f"{row.target:g}x",
                f"{row.ours:.3g}",
                f"{row.peer:.3g}",
                row.unit,
                f"{row.spread:.0%}",
            )
            for row in rows
        ],
    )
    machine = content["machine"]
    return (
        f"{text}\n`make bench`, {machine['date']}, {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['torch_threads']} torch threads. Ratios are medians over interleaved rounds, "
        "the spread is the distance of their quartiles over the median.\n"
    )


def main() -> None:
    content = json.loads((RESULTS / SOURCE).read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(page, SOURCE, row_table(content)), encoding="utf-8")


if __name__ == "__main__":
    main()
