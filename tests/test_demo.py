"""The demo, shortened: every step, every file, every key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sdt_lava.simulate.lava_presence import has_lava

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_demo(tmp_path):
    out = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "examples/demo.py", "--out", str(out), "--epochs", "2"],
        cwd=ROOT, capture_output=True, text=True, timeout=590, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {
        "model.pt", "net.h5", "report.json", "spikes.png",
    }  # fmt: skip
    report = json.loads((out / "report.json").read_text())
    assert set(report["spike_differences"].values()) == {0}
    assert set(report["logit_differences"].values()) == {0}
    backends = ["reference", "engine", "machine", *(["lava"] if has_lava() else [])]
    assert report["backends"] == backends
    assert len(report["spike_differences"]) == len(backends) * (len(backends) - 1) // 2
    assert report["accuracy"]["quantized"] == report["accuracy"][backends[-1]]
    # Two epochs are far from the full training, and far above the 10 % of chance.
    assert min(report["accuracy"].values()) > 0.3
    assert report["synops"]["total"] == sum(row["synops"] for row in report["synops"]["layers"])
    for word in ("sdt-export", "Accuracy", "spikes that differ", "report.json"):
        assert word in done.stdout
