"""Tables in pages: each stands between ``<!-- NAME -->`` and ``<!-- end -->``."""

from __future__ import annotations

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def filled(page: str, name: str, text: str) -> str:
    """Return a page with the content of one block replaced."""
    begin, end = f"<!-- {name} -->", "<!-- end -->"
    before, found, rest = page.partition(begin)
    if not found:
        raise ValueError(f"no block {begin}")
    return f"{before}{begin}\n{text}{end}{rest.partition(end)[2]}"
