"""What the library imports is what the package asks for, and where."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[1]
_DOCUMENT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
_PROJECT = _DOCUMENT["project"]
_EXTRAS = _PROJECT["optional-dependencies"]
_CONSTRAINTS = sorted((REPOSITORY / "constraints").glob("*.txt"))

# Distributions whose names are not those of their packages. torch's writer for TensorBoard is the
# one import that needs a second distribution.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "lava.lib": "lava-dl",
    "lava": "lava-nc",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "torch.utils.tensorboard": "tensorboard",
}
# Imported by none of our files, but by those of a distribution that does not declare them, or
# (lava-dl) by users who train or run networks with it, and by the tests.
_IMPORTED_ELSEWHERE = {"lava": {"lava-dl", "setuptools"}, "events": {"aedat"}}
# Modules that are imported only where Lava runs.
_LAVA_ONLY = re.compile(r"sdt_lava/(backends/(lava/|board/wiring)|kernels/lava/)")


def imports():
    """Yield (file, module, whether it is imported with its file) for everything not our own."""
    for folder in ("sdt_lava", "export", "simulate"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            eager = set(map(id, eager_statements(tree)))
            for statement in ast.walk(tree):
                for name in imported_modules(statement):
                    package = name.partition(".")[0]
                    if package not in {"sdt_lava", *sys.stdlib_module_names, "tomllib"}:
                        yield str(path.relative_to(REPOSITORY)), name, id(statement) in eager


def imported_modules(statement):
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom) and not statement.level:
        return [statement.module]
    return []


def eager_statements(node):
    """Yield statements that run when a module is imported: none of functions, none for types."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from eager_statements(child)


def distribution_of(module):
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in _DISTRIBUTIONS:
            return _DISTRIBUTIONS[name]
    return canonicalize_name(parts[0])


def names(requirements):
    return {canonicalize_name(Requirement(text).name) for text in requirements}


BASE = names(_PROJECT["dependencies"])
EXTRA = {extra: names(_EXTRAS[extra]) for extra in _EXTRAS if extra != "dev"}


def test_all_imports_are_found():
    found = {(file, module) for file, module, _ in imports()}
    for expected in (
        ("sdt_lava/datasets/images.py", "torchvision"),
        ("sdt_lava/engine/engine.py", "torch"),
        ("sdt_lava/backends/lava/processes/leaves.py", "lava.proc.conv.process"),
    ):
        assert expected in found


def test_what_is_imported_with_a_module_is_always_installed():
    wrong = [
        (file, module)
        for file, module, is_eager in imports()
        if is_eager and distribution_of(module) not in BASE
        if not (distribution_of(module) in EXTRA["lava"] and _LAVA_ONLY.match(file))
    ]
    assert not wrong


def test_what_is_imported_later_belongs_to_the_package_or_to_an_extra():
    declared = BASE.union(*EXTRA.values())
    wrong = [
        (file, module) for file, module, _ in imports() if distribution_of(module) not in declared
    ]
    assert not wrong


def test_everything_declared_is_imported():
    used = {distribution_of(module) for _, module, _ in imports()}
    assert used >= BASE
    for extra, wanted in EXTRA.items():
        assert used >= wanted - _IMPORTED_ELSEWHERE.get(extra, set()), extra


@pytest.mark.parametrize("extra", ["images", "events", "cluster", "tensorboard"])
def test_every_extra_is_named_where_it_is_missing(extra):
    """A file that imports what only an extra brings tells how to install that extra."""
    files = {
        file for file, module, _ in imports() if distribution_of(module) in EXTRA[extra] - BASE
    }
    assert files
    for file in files:
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        assert f"sdt-lava[{extra}]" in text or f', "{extra}")' in text, file


def test_lavas_packages_are_for_python_310_alone():
    for text in _EXTRAS["lava"]:
        marker = Requirement(text).marker
        wanted = {
            version: marker.evaluate({**default_environment(), "python_version": version})
            for version in ("3.10", "3.11", "3.13")
        }
        assert wanted == {"3.10": True, "3.11": False, "3.13": False}


def pinned(path):
    """Return the versions of a file of constraints by distribution."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, version = re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", line).groups()
        found[name] = Version(version)
    return found


@pytest.mark.parametrize("path", _CONSTRAINTS, ids=lambda path: path.stem)
def test_the_tested_versions_are_exact_and_in_range(path):
    """And nothing but names and versions is in the files."""
    versions = pinned(path)
    python = re.match(r"py3(\d\d)", path.stem)[1]
    environment = {**default_environment(), "python_version": f"3.{python}"}
    has_lava = path.stem.endswith("-lava")
    groups = [
        _PROJECT["dependencies"],
        *(_EXTRAS[extra] for extra in _EXTRAS if extra != "lava" or has_lava),
    ]
    checked = 0
    for requirement in map(Requirement, (text for group in groups for text in group)):
        if requirement.name == "sdt-lava":
            continue
        if requirement.marker and not requirement.marker.evaluate(environment):
            continue
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, requirement
        checked += 1
    assert checked > len(_PROJECT["dependencies"])
    assert ("lava-nc" in versions) == has_lava


def test_every_python_that_is_named_has_its_versions():
    named = {
        text.rpartition(" ")[2]
        for text in _PROJECT["classifiers"]
        if re.search(r":: 3\.\d+$", text)
    }
    files = {re.sub(r"py3(\d\d).*", r"3.\1", path.stem) for path in _CONSTRAINTS}
    assert named == files and "3.10" in named
