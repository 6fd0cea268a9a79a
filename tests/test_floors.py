"""Modules import from their own floor and those below it, and never in circles."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp
import networkx as nx
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def circles(imports):
    """Return the sets of modules that import one another."""
    return [found for found in nx.strongly_connected_components(imports) if len(found) > 1]


def imports_of(package):
    """Return all imports between modules, those inside functions and for type checkers included."""
    graph = grimp.build_graph(package, cache_dir=None)
    return nx.DiGraph(
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    )


# In a process of its own: import-linter disables every logger that there is.
LINT = """
import sys
from importlinter.cli import lint_imports

sys.exit(lint_imports(no_cache=True))
"""


def test_contracts_hold():
    run = subprocess.run(
        [sys.executable, "-c", LINT], cwd=REPOSITORY, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "def f():\n    from toy import a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import toy.a",
    ],
    ids=["inside a function", "for type checkers"],
)
def test_a_hidden_circle_is_found(tmp_path, monkeypatch, statement):
    package = tmp_path / "toy"
    package.mkdir()
    files = {"__init__": "", "a": "import toy.b", "b": statement}
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert circles(imports_of("toy")) == [{"toy.a", "toy.b"}]


def test_no_modules_import_one_another():
    assert circles(imports_of("sdt_lava")) == []
