"""Old names of modules lead to the modules, with a warning."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from sdt_lava._moved import MOVED, MOVED_NAMES, new_name

PROGRAM = """
import importlib, sys, warnings
import sdt_lava
simulate = sdt_lava.simulate
for name in sys.argv[1:]:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        module = importlib.import_module(name)
    from sdt_lava._moved import new_name
    new = new_name(name)
    assert module is importlib.import_module(new), name
    assert module.__name__ == module.__spec__.name == new, (name, module.__spec__)
    assert any(name in str(one.message) for one in heard), name
assert sdt_lava.simulate is simulate
"""
# Those that import Lava are alike.
OLD = [f"sdt_lava.{name}" for name in MOVED if not name.startswith(("processes", "simulate.lava"))]


def test_every_old_name_leads_to_the_module():
    names = [name for name in OLD if name != "sdt_lava.simulate" and "guard" not in name]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names], capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stderr[-2000:]


@pytest.mark.parametrize(
    "old, new",
    [
        ("sdt_lava.graph.nodes", "sdt_lava.ir"),
        ("sdt_lava.checkpoint.official", "sdt_lava.families.sdt1.official"),
        ("sdt_lava.checkpoint.own", "sdt_lava.families.own"),
        ("sdt_lava.simulate.engine.plan.team", "sdt_lava.engine.plan.team"),
        ("sdt_lava.ir.nodes", None),
        ("sdt_lava", None),
        ("numpy.graph", None),
    ],
)
def test_the_longest_old_name_decides(old, new):
    assert new_name(old) == new


@pytest.mark.parametrize(
    "module, name", [(module, name) for module, names in MOVED_NAMES.items() for name in names]
)
def test_names_that_left_a_module_lead_to_where_they_are(module, name):
    with pytest.warns(DeprecationWarning, match="will be removed") as heard:
        value = getattr(importlib.import_module(f"sdt_lava.{module}"), name)
    new = importlib.import_module(f"sdt_lava.{MOVED_NAMES[module][name]}")
    assert value is getattr(new, name) and heard[0].filename == __file__


@pytest.mark.parametrize("module", sorted(MOVED_NAMES))
def test_a_module_has_no_other_names(module):
    with pytest.raises(AttributeError, match="nothing"):
        importlib.import_module(f"sdt_lava.{module}").nothing  # noqa: B018


STATEMENTS = (
    "from sdt_lava.simulate import run",
    "from sdt_lava.simulate.run import simulate",
    "import sdt_lava.simulate.result",
)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_function_simulate_stays(statement):
    program = f"import sdt_lava\n{statement}\nassert callable(sdt_lava.simulate)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr


def test_nothing_else_is_found():
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        import sdt_lava.graph.nothing  # noqa: F401
