"""The page on networks of one's own: its program runs, and exports are what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.errors import TraceError
from sdt_lava.quantize.samples import CalibrationData
from tests.importers.networks import ResNet, unsettle

PAGE = Path(__file__).parents[2] / "docs" / "your-model.md"


def test_the_program_of_the_page(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PAGE.parents[1]), "OMP_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert not run.returncode, run.stderr
    share = re.search(r"(\d+)% of the labels", run.stdout)
    assert share and int(share[1]) >= 80 and "readout" in run.stdout
    assert (tmp_path / "net.h5").exists()


def test_export_of_a_network_of_ones_own(tmp_path):
    torch.manual_seed(0)
    network = unsettle(ResNet(steps=3), 0)
    network.spare = torch.nn.Linear(2, 2)
    images = torch.randint(0, 256, (6, 3, 8, 8)) / 255
    path = tmp_path / "net.h5"
    report = sdt_lava.export(network, path, example=images)
    assert "modules never called: spare" in report.notes
    assert any(note.startswith("input levels 0..255, 255 a unit") for note in report.notes)
    net = sdt_lava.load_network(path)
    other, _ = sdt_lava.to_network(network, example=images)
    results = [
        sdt_lava.simulate(graph, images.numpy(), backend)
        for graph, backend in ((net, "reference"), (net, "engine"), (other, "engine"))
    ]
    for result in results[1:]:
        assert np.array_equal(result.logits, results[0].logits)
    assert results[0].spikes["layer1.lif1"].any()


def test_calibration_data_serve_as_example():
    torch.manual_seed(0)
    network = unsettle(ResNet(steps=2), 1)
    images = (torch.randint(0, 256, (6, 3, 8, 8)) / 255).numpy()
    graph, report = sdt_lava.to_network(network, calibration=CalibrationData(images, "six images"))
    assert graph.input.scale == 255 and report.spikes is not None
    with pytest.raises(TraceError, match="no example"):
        sdt_lava.to_network(network)
