"""The page on files of other programs, and the script that makes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nir
import numpy as np
import pytest

import sdt_lava
from benchmarks import public_files
from benchmarks.file_checks import NIR_STEPS, as_data, random_frames
from benchmarks.public_files import FORMATS, JSON, OUTCOMES, PAGE, fill_page, find_files, run_files
from sdt_lava.io.netx import load_network

CASE = Path(__file__).parent / "data" / "netx" / "sigma-delta" / "network.net"


def test_the_page_says_what_was_measured():
    page = PAGE.read_text(encoding="utf-8")
    content = json.loads(JSON.read_text(encoding="utf-8"))
    assert fill_page(page, content) == page
    rows = content["files"]
    assert {row["format"] for row in rows} == set(FORMATS)
    assert {row["outcome"] for row in rows} <= set(OUTCOMES)


def networks_in(folder):
    """Files that are equal, rounded, refused and absent, and a copy."""
    project = folder / "project"
    (project / "deep").mkdir(parents=True)
    shutil.copy(CASE, project / "equal.net")
    shutil.copy(CASE, project / "deep" / "copy.net")
    (project / "pointer.net").write_text("version https://git-lfs.github.com/spec/v1\n")
    (project / "text.net").write_text("no network")
    (project / "notes.txt").write_text("not looked at")
    rng = np.random.default_rng(0)
    tau = np.full(3, 3.3)
    layers = [nir.Input(np.array([6])), nir.Linear(rng.normal(size=(3, 6)))]
    neurons = nir.LIF(tau=tau, r=tau, v_leak=np.zeros(3), v_threshold=np.full(3, 0.7))
    nir.write(project / "steps.nir", nir.NIRGraph.from_list(*layers, neurons))
    far = nir.LIF(tau=tau, r=tau, v_leak=np.zeros(3), v_threshold=np.full(3, 1e4))
    nir.write(project / "far.nir", nir.NIRGraph.from_list(*layers, far))


@pytest.mark.lava
@pytest.mark.slow
def test_a_folder_of_files(tmp_path):
    networks_in(tmp_path)
    found = find_files(tmp_path)
    rows = {row["file"]: row for row in run_files(tmp_path, found, jobs=2, limit=200.0)}
    outcomes = {name: row["outcome"] for name, row in rows.items()}
    assert outcomes == {
        "deep/copy.net": "equal",
        "pointer.net": "absent",
        "text.net": "refused",
        "steps.nir": "rounded",
        "far.nir": "refused",
    }
    assert rows["deep/copy.net"]["copies"] == ["equal.net"]
    same = {name.partition(",")[0] for name, _ in rows["deep/copy.net"]["same"]}
    assert same == {"reference", "lava-inprocess", "stock netx in Lava", "SLAYER"}
    # The time constants are steps: the error says so, and what it proposes works.
    assert rows["steps.nir"]["said"] == ["with `--dt 1`"]
    shares = rows["steps.nir"]["shares"]
    assert 0.9 < shares["Euler"]["lif"] < 1
    assert shares["Euler, rounded numbers"]["lif"] > shares["Euler"]["lif"]
    assert "no input reaches it" in rows["far.nir"]["said"][0]
    assert all(str(tmp_path) not in json.dumps(row) for row in rows.values())
    assert rows["steps.nir"]["steps"] == NIR_STEPS


def test_a_process_that_hangs_or_dies_costs_its_own_file(tmp_path, monkeypatch):
    networks_in(tmp_path)

    def check(path, row, save):
        row |= {"outcome": "loads", "said": []}
        save()
        while path.name == "text.net":
            pass
        if path.name == "far.nir":
            raise SystemExit(7)

    monkeypatch.setattr(public_files, "check_file", check)
    found = run_files(tmp_path, find_files(tmp_path), jobs=3, limit=3.0)
    said = {row["file"]: row["said"] for row in found}
    assert said == {
        "deep/copy.net": [],
        "pointer.net": [],
        "steps.nir": [],
        "text.net": ["stopped at the time limit"],
        "far.nir": ["the process died"],
    }


@pytest.mark.lava
@pytest.mark.parametrize("name", ["dense", "windows"])
@pytest.mark.parametrize("norm", [False, True])
def test_messages_of_a_file_in_slayer(tmp_path, name, norm):
    """The blocks made of a file send what those that it was written by sent."""
    from benchmarks.slayer_messages import slayer_messages
    from tests.io.netx import sigma_delta_nets

    network = sigma_delta_nets.Messages(lambda: getattr(sigma_delta_nets, name)(norm))
    path = network.export(tmp_path / "slayer.net")
    found = slayer_messages(path, network.x)
    net = load_network(path, lead_in=False)
    ours = sdt_lava.simulate(net, network.x, "engine").messages
    assert len(found) == len(ours) and all(sent.any() for sent in found)
    for sent, messages in zip(found, ours.values(), strict=True):
        assert np.array_equal(sent, messages)
    first, *_ = network.messages.values()
    assert np.array_equal(found[0], first * sigma_delta_nets.MESSAGE)


def test_input_becomes_the_integers_that_were_drawn():
    net = load_network(CASE)
    frames = random_frames(net)
    result = sdt_lava.simulate(net, as_data(net, frames), "reference")
    assert np.array_equal(result.frames, frames)
    assert len(np.unique(frames)) > 4
