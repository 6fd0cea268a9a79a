"""Fill the table of ``docs/simulation.md``, and a sentence of README, from ``bench.json``.

    python -m benchmarks.speed

Nothing is measured here: ``make bench`` does that.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.common import REPOSITORY, RESULTS, Row
from benchmarks.pages import filled, table

PAGE = REPOSITORY / "docs" / "simulation.md"
README = REPOSITORY / "README.md"
SOURCE = "bench.json"
_BEST, _PLAIN = " / fastest float form: ", " / float32 torch model"


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
        f"{machine['torch_threads']} torch threads. Ratios are medians over interleaved rounds; "
        "the spread is their interquartile range divided by the median.\n"
    )


def sentence(content: dict) -> str:
    """Return how the engine compares with other forms of the same network."""
    rows = [Row(**row) for row in content["rows"]]
    best = [row for row in rows if _BEST in row.title]
    plain = [row.ratio for row in rows if row.title.endswith(_PLAIN) and row.unit == "s/image"]
    forms = " or ".join(sorted({row.title.partition(_BEST)[2] for row in best}))
    ratios = [row.ratio for row in best]
    return (
        f"The engine is {min(ratios):.1f} to {max(ratios):.1f} times as fast as the fastest float "
        f"form of the same network that we found\n({forms}) on the same cores, "
        f"and {min(plain):.0f} to {max(plain):.0f} times as fast as the plain PyTorch model.\n"
        "[All measurements](docs/simulation.md#how-fast).\n"
    )


def pages() -> dict[Path, str]:
    """Return the pages as they should be."""
    content = json.loads((RESULTS / SOURCE).read_text(encoding="utf-8"))
    made = {PAGE: row_table(content), README: sentence(content)}
    return {
        page: filled(page.read_text(encoding="utf-8"), SOURCE, text) for page, text in made.items()
    }


def main() -> None:
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
