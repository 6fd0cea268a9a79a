"""What the package depends on, and what each part of it loads."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.io.netx.damage import chain

REPOSITORY = Path(__file__).resolve().parents[1]


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
    from sdt_lava.io.netx import save_network

    save_network(chain(), tmp_path / "net.h5")
    code = f"import sdt_lava\nprint(len(sdt_lava.load_network({str(tmp_path / 'net.h5')!r})))"
    blocked = ("torch", "torchvision", "lava", "matplotlib", "numba", "sklearn", "dask", "nir")
    assert int(run(code, blocked)) == len(chain())


def test_the_reference_runs_without_torch_and_lava(tmp_path):
    code = (
        "import numpy as np, sdt_lava\n"
        "from tests.io.netx.damage import chain\n"
        "net = chain()\n"
        "x = np.ones((1, *net.input_shape), np.float32)\n"
        "print(sdt_lava.simulate(net, x, 'reference').logits.shape)\n"
    )
    assert run(code, ("torch", "torchvision", "lava", "matplotlib", "sklearn", "dask", "nir"))


def test_the_exporter_needs_neither_matplotlib_nor_lavas_processes(tmp_path):
    code = (
        "import sdt_lava\n"
        "from sdt_lava.model import SpikeDrivenTransformer\n"
        "from tests.families.sdt1.official_cases import official_config\n"
        "config = official_config(depth=1, downsampling='stride', neuron='lif')\n"
        f"sdt_lava.export(SpikeDrivenTransformer(config), {str(tmp_path / 'net.h5')!r})\n"
        f"print(len(sdt_lava.load_network({str(tmp_path / 'net.h5')!r})))\n"
    )
    assert int(run(code, ("matplotlib", "sklearn", "dask", "nir", "jinja2"))) > 10


def test_licences_of_everything_installed_are_listed():
    """Names, not versions; which packages torch brings for GPUs depends on its wheel.

    The page lists those of every Python, with Lava and without.
    """
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
        for name in [
            name for name in table if name.startswith(("nvidia-", "cuda-", "triton", "package"))
        ]:
            del table[name]
    assert {"torch", "numpy", "typer"} <= printed.keys()
    assert printed.keys() <= written.keys()
    assert "LGPL" in written["lava-nc"] and "BSD-3-Clause" in written["lava-nc"]
