"""What the package depends on, and what each part of it loads."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

from tests.netx.damage import chain

REPOSITORY = Path(__file__).resolve().parents[1]
_PROJECT = tomli.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_REQUIREMENTS = {
    "build": tomli.loads((REPOSITORY / "pyproject.toml").read_text())["build-system"]["requires"],
    "dependencies": _PROJECT["dependencies"],
    **_PROJECT["optional-dependencies"],
}


@pytest.mark.parametrize("group", _REQUIREMENTS)
def test_direct_dependencies_are_pinned_exactly(group):
    loose = [
        requirement
        for requirement in _REQUIREMENTS[group]
        if not re.fullmatch(r"[A-Za-z0-9_.\-]+==[0-9][0-9a-z.]*", requirement)
    ]
    assert _REQUIREMENTS[group] and not loose


def imported_packages():
    """Return the names of packages that the library's files import."""
    found = set()
    for file in (REPOSITORY / "sdt_lava").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        found.update(re.findall(r"^\s*(?:from|import) (\w+)", text, re.MULTILINE))
    return found - set(sys.stdlib_module_names) - {"sdt_lava", "__future__"}


# Import names that differ from the name of the distribution.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "lava": "lava-nc",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "dask": "dask",
}


def test_everything_imported_is_declared():
    declared = {
        re.split("==", requirement)[0].lower()
        for group in _REQUIREMENTS.values()
        for requirement in group
    }
    names = {_DISTRIBUTIONS.get(name, name).lower() for name in imported_packages()}
    # Words after "from" or "import" at the start of a line of a docstring are no packages.
    unknown = {name for name in names if name not in declared and _is_installed(name)}
    assert not unknown


def _is_installed(name):
    from importlib.util import find_spec

    return find_spec(name) is not None


def run(code, blocked=()):
    """Run code in a fresh interpreter where some packages cannot be imported."""
    start = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in blocked)
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        [sys.executable, "-c", start + code],
        capture_output=True,
        text=True,
        timeout=120,
        env=variables,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


HEAVY = ("torch", "lava", "matplotlib", "numba", "h5py", "networkx", "scipy", "sklearn", "dask")


def test_importing_the_package_loads_nothing_heavy():
    loaded = run(f"import sdt_lava\nprint([m for m in {HEAVY} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_the_reader_needs_neither_torch_nor_lava_nor_matplotlib(tmp_path):
    from sdt_lava.netx import save_network

    save_network(chain(), tmp_path / "net.h5")
    code = f"import sdt_lava\nprint(len(sdt_lava.load_network({str(tmp_path / 'net.h5')!r})))"
    blocked = ("torch", "torchvision", "lava", "matplotlib", "numba", "sklearn", "dask", "nir")
    assert int(run(code, blocked)) == len(chain())


def test_the_reference_runs_without_torch_and_lava(tmp_path):
    code = (
        "import numpy as np, sdt_lava\n"
        "from tests.netx.damage import chain\n"
        "net = chain()\n"
        "x = np.ones((1, *net.input_shape), np.float32)\n"
        "print(sdt_lava.simulate(net, x, 'reference').logits.shape)\n"
    )
    assert run(code, ("torch", "torchvision", "lava", "matplotlib", "sklearn", "dask", "nir"))


def test_the_exporter_needs_neither_matplotlib_nor_lavas_processes(tmp_path):
    code = (
        "import sdt_lava\n"
        "from sdt_lava.model import SpikeDrivenTransformer\n"
        "from tests.checkpoint.official_cases import official_config\n"
        "config = official_config(depth=1, downsampling='stride', neuron='lif')\n"
        f"sdt_lava.export(SpikeDrivenTransformer(config), {str(tmp_path / 'net.h5')!r})\n"
        f"print(len(sdt_lava.load_network({str(tmp_path / 'net.h5')!r})))\n"
    )
    assert int(run(code, ("matplotlib", "sklearn", "dask", "nir", "jinja2"))) > 10


def test_licences_of_everything_installed_are_listed():
    """Names, not versions; which packages torch brings for GPUs depends on its wheel."""
    script = Path(__file__).parents[1] / "scripts" / "licences.py"
    page = Path(__file__).parents[1] / "docs" / "security.md"
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=100, check=True
    )
    row = re.compile(r"^\| ([a-z0-9.-]+) \| (.+) \|$", re.MULTILINE)
    printed = dict(row.findall(ended.stdout))
    listed = page.read_text("utf-8").partition("### Licences")[2].partition("\n## ")[0]
    written = dict(row.findall(listed))
    for table in (printed, written):
        for name in [name for name in table if name.startswith(("nvidia-", "triton", "package"))]:
            del table[name]
    assert written.keys() == printed.keys()
    assert "LGPL" in written["lava-nc"] and "BSD-3-Clause" in written["lava-nc"]
