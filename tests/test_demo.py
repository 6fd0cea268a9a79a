"""The demo, shortened: every step, every file, every key."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.lava import presence as lava_presence
from sdt_lava.backends.lava.presence import has_lava
from tests.graphs import random_sdt_graph

ROOT = Path(__file__).resolve().parents[1]


def load_demo():
    spec = importlib.util.spec_from_file_location("demo", ROOT / "examples" / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_lava_the_machine_takes_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(lava_presence, "find_spec", lambda name: None)
    demo = load_demo()
    graph = random_sdt_graph(np.random.default_rng(1), image=(1, 8, 8), channels=4)
    sdt_lava.save_network(graph, tmp_path / "net.h5")
    data = sdt_lava.load_dataset("digits", "test", 6)
    results = demo.run_backends(tmp_path / "net.h5", data)
    report = demo.build_report(results["reference"], results, data)
    assert report["backends"] == ["reference", "engine", "machine"]
    pairs = {"reference-engine", "reference-machine", "engine-machine"}
    for kind in ("spike_differences", "logit_differences"):
        assert set(report[kind]) == pairs and set(report[kind].values()) == {0}
    assert set(report["accuracy"]) == {"float", "quantized", "machine"}
    assert any(spikes.any() for spikes in results["machine"].spikes.values())


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
