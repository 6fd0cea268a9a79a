"""Fill the tables of ``docs/reliability.md`` from ``benchmarks/results/*.json``.

    python -m benchmarks.reliability

Each block between ``<!-- NAME.json -->`` and ``<!-- end -->`` holds what the function of that name
makes of the file's content. Nothing is measured here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.common import REPOSITORY, RESULTS

PAGE = REPOSITORY / "docs" / "reliability.md"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def fuzz(content: Mapping[str, Any]) -> str:
    """Return the figures of the fuzzer, by kind of file."""
    counts = ("tried", "refused", "loaded", "crashes", "hangs")
    rows = [
        [
            f"`{row['kind']}`" if row["kind"] != "all" else "**all**",
            *(f"{row[count]:,}" for count in counts),
            f"{row['longest_s']:.2f}",
            f"{row['largest_mib']:.0f}",
        ]
        for row in content["kinds"]
    ]
    text = table(["kind", *counts, "longest [s]", "memory [MiB]"], rows)
    machine = content["machine"]
    return (
        f"{text}\n{content['command']}, {content['machine']['date']}, {machine['cores']} cores "
        f"({machine['cpu']}), {content['seconds']:.0f} s.\n"
    )


# Block of the page and name of the file in `benchmarks/results`: what is made of it.
BLOCKS: dict[str, Callable[[Mapping[str, Any]], str]] = {"fuzz.json": fuzz}


def filled(page: str, name: str, text: str) -> str:
    """Return a page with the content of one block replaced."""
    begin, end = f"<!-- {name} -->", "<!-- end -->"
    before, found, rest = page.partition(begin)
    if not found:
        raise ValueError(f"no block {begin}")
    return f"{before}{begin}\n{text}{end}{rest.partition(end)[2]}"


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, make in BLOCKS.items():
        path = RESULTS / name
        if path.exists():
            page = filled(page, name, make(json.loads(path.read_text(encoding="utf-8"))))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
