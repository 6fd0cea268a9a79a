"""Names that can be written after ``import sdt_lava`` alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import sdt_lava

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def documented() -> list[str]:
    text = "\n".join(page.read_text() for page in PAGES)
    # A path of a module to import from is no name that anybody writes after `import sdt_lava`.
    text = re.sub(r"(from|import|-m) sdt_lava[.\w]*", "", text)
    names = set(re.findall(r"sdt_lava(?:\.[A-Za-z_]+)+", text))
    return sorted(name for name in names)


def test_every_documented_name_works_in_a_fresh_interpreter():
    names = documented()
    assert {"sdt_lava.model.preset", "sdt_lava.families.load_with_report"} <= set(names)
    # One interpreter for all would find what another name has imported already.
    failed = []
    for name in names:
        program = f"import sdt_lava; {name}"
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
        )
        if run.returncode:
            failed.append(f"{name}: {run.stderr.strip().splitlines()[-1]}")
    assert not failed, failed


def test_names_are_listed_and_unknown_ones_fail():
    assert {"load_model", "model", "nir", "simulate"} <= set(dir(sdt_lava))
    assert all(getattr(sdt_lava, name) is not None for name in dir(sdt_lava))
    with pytest.raises(AttributeError, match="nothing"):
        sdt_lava.nothing  # noqa: B018
