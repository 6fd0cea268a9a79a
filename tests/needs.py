"""Which tests need the packages lava-nc and lava-dl, and what of a test runs without them.

A test that needs them carries the marker ``lava``, by itself, by its parameters (`back_ends`) or by
its module (``pytestmark``); without the packages it is skipped, and such a module is not imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

# Back ends that run Lava's own processes.
_LAVA_BACK_ENDS = ("lava", "lava-inprocess")
# Those that fork a process for each of Lava's.
_SLOW_BACK_ENDS = ("lava",)


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of a package that it is in
        return False


HAS_LAVA = _is_installed("lava.proc") and _is_installed("lava.lib.dl")
REASON = "needs lava-nc and lava-dl, which are not installed"


def back_ends(*names: str) -> list[Any]:
    """Return parameters of a test: Lava's carry the marker ``lava``."""
    marks = {
        name: [
            *([pytest.mark.lava] if name in _LAVA_BACK_ENDS else []),
            *([pytest.mark.slow] if name in _SLOW_BACK_ENDS else []),
        ]
        for name in names
    }
    return [pytest.param(name, marks=marks[name]) for name in names]


def runnable(forms: Iterable[Any]) -> list[Any]:
    """Keep back ends, or tuples that begin with one, that can run where the tests do."""
    return [form for form in forms if HAS_LAVA or _name(form) not in _LAVA_BACK_ENDS]


def _name(form: str | Sequence[Any]) -> Any:
    return form if isinstance(form, str) else form[0]


def module_needs_lava(path: Path) -> bool:
    """Say whether a test module's ``pytestmark`` holds the marker, without importing it."""
    assigned = (
        statement.value
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "pytestmark"
    )
    return any(
        isinstance(part, ast.Attribute) and ast.unparse(part) == "pytest.mark.lava"
        for value in assigned
        for part in ast.walk(value)
    )
