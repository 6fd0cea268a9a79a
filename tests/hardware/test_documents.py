"""The documents of rules and targets say what the code says."""

from __future__ import annotations

from pathlib import Path

from sdt_lava.hardware.rules.listing import rules_markdown
from sdt_lava.hardware.targets import LIMITS, load_target, read_target

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_table_of_rules_is_the_codes():
    """Otherwise write what `rules_markdown` returns into the document."""
    assert rules_markdown(load_target("loihi2")) in (DOCS / "design-rules.md").read_text()


def test_every_limit_is_listed_with_its_value():
    text, target = (DOCS / "targets.md").read_text(), load_target("loihi2")
    for name, unit in LIMITS.items():
        value = target.limit(name)
        assert f"| `{name}` | {unit} | {'' if value is None else format(value, ',')} |" in text


def test_the_example_of_a_target_is_one():
    example = (DOCS / "targets.md").read_text().split("```toml\n")[1].split("```")[0]
    target = read_target("mine", example)
    assert target.board().partitions == ("desk",) and target.limit("delay_max") == 31
