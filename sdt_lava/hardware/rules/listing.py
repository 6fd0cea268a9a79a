"""List the design rules with a target's limits and their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sdt_lava.hardware.rules import RULES
from sdt_lava.hardware.targets import Target


@dataclass(frozen=True)
class RuleRow:
    """A rule with the limits of a target.

    Parameters
    ----------
    name, summary : str
        Name and requirement of the rule.
    limits : mapping of str to int
        Values of the target's limits that the rule applies.
    source : str
        Source of the limits.
    """

    name: str
    summary: str
    limits: Mapping[str, int]
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values, for JSON."""
        return asdict(self)


def rule_rows(target: Target) -> tuple[RuleRow, ...]:
    """Return one row for each rule."""
    return tuple(
        RuleRow(
            rule.name,
            rule.summary,
            {name: value for name in rule.limits if (value := target.limit(name)) is not None},
            "; ".join(dict.fromkeys(filter(None, map(target.source, rule.limits)))),
        )
        for rule in RULES.values()
    )


def rules_markdown(target: Target) -> str:
    """Return the rows as the Markdown table of docs/design-rules.md."""
    lines = ["| rule | requirement | limits | source |", "|---|---|---|---|"]
    for row in rule_rows(target):
        limits = ", ".join(f"`{name}` = {value:,}" for name, value in row.limits.items())
        lines.append(f"| `{row.name}` | {row.summary} | {limits} | {row.source} |")
    return "\n".join(lines)
