"""From training to the exported file without Lava, lava-dl and what only they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sdt_lava
from sdt_lava.families import load_model
from sdt_lava.io.netx import save_network
from tests.io.netx.damage import chain
from tests.test_supply_chain import HEAVY, REPOSITORY

DIGITS_MODEL = Path(__file__).parents[1] / "data" / "digits" / "model.pt"
# lava-dl imports setuptools, and a package for videos, without declaring them.
BLOCKED = ("lava", "setuptools", "pkg_resources", "cv2")


def run(folder, code):
    """Run code in an interpreter where nothing of Lava can be imported."""
    start = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in BLOCKED)
    ended = subprocess.run(
        [sys.executable, "-c", start + code],
        cwd=folder, capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


@pytest.mark.parametrize("module", ["", ".transformer", ".neurons", ".synapses"])
def test_what_the_model_imports(tmp_path, module):
    code = f"import sdt_lava.model{module}\nprint([m for m in {HEAVY} if sys.modules.get(m)])"
    assert run(tmp_path, code).strip() == str(["torch"] if module else [])


def test_the_graph_of_a_network_of_slayer(tmp_path):
    """A checkpoint of a network that was trained in SLAYER."""
    code = (
        "import numpy as np, sdt_lava\n"
        f"model = sdt_lava.load_model({str(DIGITS_MODEL)!r})\n"
        "data = sdt_lava.load_dataset('digits', 'test', 20)\n"
        "print(sdt_lava.simulate(model, data.x).labels.tolist() == data.y.tolist())\n"
        "report = sdt_lava.export(model, 'net.h5')\n"
        "net = sdt_lava.load_network('net.h5')\n"
        "left, right = (sdt_lava.simulate(net, data.x, b) for b in ('engine', 'reference'))\n"
        "print(np.array_equal(left.logits, right.logits), (left.labels == data.y).all())\n"
    )
    assert run(tmp_path, code).split() == ["True"] * 3


COMMANDS = [
    ["train", "--preset", "digits", "--epochs", "1", "--out", "model.pt"],
    ["finetune", "model.pt", "--data", "digits", "--bits", "4", "--epochs", "1", "--out", "4.pt"],
    ["convert", "model.pt", "--pooling", "or", "--out", "or.pt"],
    ["export", "4.pt", "--bits", "4", "--out", "net.h5"],
    ["evaluate", "net.h5", "--data", "digits", "--out", "run"],
    ["nir", "chain.h5", "--out", "net.nir"],
    ["nir", "net.nir", "--out", "back.h5"],
]
# All in one interpreter: each ends with SystemExit, whose code is 0 if all went well.
RUN = """
from sdt_lava.cli import main
for command in {commands}:
    sys.argv[1:] = command
    try:
        main()
    except SystemExit as end:
        assert not end.code, command
"""


@pytest.mark.slow
def test_commands(tmp_path):
    save_network(chain(), tmp_path / "chain.h5")
    run(tmp_path, RUN.format(commands=COMMANDS))
    assert load_model(tmp_path / "or.pt").config.downsampling == "or"
    assert len(sdt_lava.load_network(tmp_path / "back.h5")) == len(chain())
