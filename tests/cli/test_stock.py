"""Networks of lava-dl on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.needs import runnable

DATA = Path(__file__).parents[1] / "data" / "netx"


@pytest.fixture
def events(tmp_path):
    """The recorded input as a data set."""

    def make(name):
        path = tmp_path / f"{name}.npz"
        recorded = np.load(DATA / f"{name}.npz")
        np.savez(path, x=recorded["x"], y=np.zeros(len(recorded["x"]), int))
        return path

    return make


@pytest.fixture
def headless(tmp_path):
    """A file without an input layer."""
    path = tmp_path / "headless.net"
    path.write_bytes((DATA / "windows.net").read_bytes())
    with h5py.File(path, "r+") as file:
        del file["layer/0"]
        for index in range(1, len(file["layer"]) + 1):
            file.move(f"layer/{index}", f"layer/{index - 1}")
    return path


def test_info(run):
    code, out, _ = run("main", "info", DATA / "recurrent.net", "--timesteps", 12)
    assert code == 0 and "cuba_lif" in out and "T = 12" in out
    code, out, _ = run("main", "info", DATA / "tinynet" / "network.net", "--compiled")
    assert code == 0 and "LIFReset" in out and "layer.2" in out
    code, out, _ = run("main", "info", DATA / "dense-delays.net", "--compiled")
    assert code == 0 and "CubaLif" in out


def test_a_file_without_input_layer(run, headless):
    code, _, err = run("main", "info", headless)
    assert code == 2 and "--input-shape" in err
    code, out, _ = run("main", "info", headless, "--input-shape", "4,7,6", "--json")
    assert code == 0 and json.loads(out)["input_shape"] == [4, 7, 6]
    for wrong in ("4,7", "4,7,x", "", "-1,7,6", "0,7,6", "4,9,9"):
        code, _, err = run("main", "info", headless, "--input-shape", wrong)
        assert code == 2 and "error" in err, wrong


@pytest.mark.parametrize("name", ["recurrent", "dense-delays", "image-neurons", "graded"])
def test_sim_and_compare(run, events, tmp_path, name):
    path, data = DATA / f"{name}.net", events(name)
    sim = ("main_sim", path, "--data", data, "--timesteps", 12, "--backend", "engine")
    code, out, _ = run(*sim, "--json", tmp_path / "run.json")
    assert code == 0 and ("layer.2" in out or "layer.3" in out)
    rows = json.loads((tmp_path / "run.json").read_text())["synops"]["layers"]
    recorded = dict(np.load(DATA / f"{name}.npz"))
    events = {row["name"]: row["events"] for row in rows}
    assert all(events[key] == recorded[key].sum() for key in recorded if key.startswith("layer"))
    compare = ("compare", path, path, "--data", data, "--timesteps", 12)
    code, out, _ = run("main", *compare, "--right-backend", "reference")
    assert code == 0 and "no spike differs" in out


def test_check(run):
    code, out, _ = run("main", "check", DATA / "tinynet" / "network.net")
    assert code == 0 and "no errors" in out
    code, out, _ = run("main", "check", DATA / "windows.net", "--timesteps", 12, "--json")
    errors = [row for row in json.loads(out)["violations"] if row["severity"] == "error"]
    assert code == 1
    assert [(row["rule"], row["node"]) for row in errors] == [("voltage_decay", "layer.4")]


@pytest.mark.parametrize("name", ["recurrent", "dense-delays"])
def test_check_names_what_hardware_lacks(run, name):
    code, out, _ = run("main", "check", DATA / f"{name}.net", "--json")
    assert code == 1
    assert "node_kind" in {row["rule"] for row in json.loads(out)["violations"]}
    code, out, _ = run("main", "check", DATA / f"{name}.net", "--target", "lava-cpu")
    assert code == 0


def test_our_own_files_say_these_things_themselves(run, network):
    code, _, err = run("main", "info", network, "--timesteps", 99)
    assert code == 2 and "of its own" in err


@pytest.mark.parametrize(
    "command",
    [
        ("energy", "--json"),
        ("evaluate", "--json", "--out", "eval"),
        ("report", "--out", "page"),
    ],
)
def test_commands_take_what_a_file_does_not_say(
    run, events, headless, tmp_path, monkeypatch, command
):
    monkeypatch.chdir(tmp_path)
    name, *options = command
    arguments = (name, headless, "--data", events("windows"), *options)
    code, _, err = run("main", *arguments)
    assert code == 2 and "--input-shape" in err
    code, _, _ = run("main", *arguments, "--input-shape", "4,7,6", "--timesteps", 12)
    assert code == 0


def test_lower_takes_what_the_file_does_not_say(run, headless):
    code, _, err = run("main", "lower", headless)
    assert code == 2 and "--input-shape" in err.replace("\n", " ")
    with h5py.File(DATA / "windows.net") as file:
        shape = ",".join(str(side) for side in file["layer/0/shape"][()])
    code, out, _ = run("main", "lower", headless, "--input-shape", shape, "--timesteps", 3)
    assert code == 0 and "lowerings" in out


@pytest.fixture
def values(tmp_path):
    """Real input of a sigma-delta network, whole numbers of it, and outputs that SLAYER made."""
    recorded = np.load(DATA / "sigma-delta" / "slayer.npz")
    np.savez(tmp_path / "real.npz", x=recorded["x"])
    np.savez(tmp_path / "whole.npz", x=np.rint(2 * recorded["x"]).astype(int), y=np.zeros(1, int))
    return tmp_path / "real.npz", tmp_path / "whole.npz", recorded["outputs"]


def test_sigma_delta_sim(run, values, tmp_path):
    real, whole, outputs = values
    path, sim = tmp_path / "run.json", ("main_sim", DATA / "sigma-delta" / "network.net")
    plot = ("--plot", tmp_path / "run.png")
    code, out, _ = run(*sim, "--data", real, "--backend", "engine", "--json", path, *plot)
    assert code == 0 and "accuracy" not in out
    assert "sample 0: output " + " ".join(f"{value:.6g}" for value in outputs[-1, 0]) in out
    summary = json.loads(path.read_text())
    assert np.array_equal(np.swapaxes(summary["outputs"], 0, 1), outputs)
    rows = {row["name"]: row for row in summary["synops"]["layers"]}
    assert rows["layer.1"]["synapse"] == rows["layer.1"]["mac"] == 5 * rows["layer.0"]["events"]
    assert (tmp_path / "run.png").stat().st_size > 1000
    for backend in runnable(["machine", "lava-inprocess"]):
        code, out, _ = run(*sim, "--data", whole, "--backend", backend, "--no-reset")
        assert code == 0 and "accuracy" in out


def test_sigma_delta_elsewhere(run, values, tmp_path):
    path, data = DATA / "sigma-delta" / "network.net", values[0]
    code, out, _ = run("main", "info", path, "--compiled")
    assert code == 0 and "SigmaDeltaReset" in out
    code, out, _ = run("main", "compare", path, path, "--data", data, "--left-backend", "reference")
    assert code == 0 and "no spike differs" in out and "layer.2" in out
    code, out, _ = run("main", "check", path, "--data", data)
    assert code == 0 and "sigma_delta_reset" in out and "no errors" in out
    code, out, _ = run("main", "map", path, "--data", data, "--json")
    assert code == 0 and json.loads(out)["neurons"] == 6 + 5 + 3
    code, out, _ = run("main", "lower", path, "--data", data)
    assert code == 0 and "relay" in out
    code, out, _ = run("main", "energy", path, "--data", data)
    assert code == 0 and "mac" in out
    code, _, _ = run("main", "evaluate", path, "--data", values[1], "--out", tmp_path / "run")
    assert code == 0
    code, _, _ = run("main", "report", path, "--data", values[1], "--out", tmp_path / "page")
    assert code == 0
    code, _, err = run("main", "nir", path, "--out", tmp_path / "net.nir")
    assert code == 2 and "sigma_delta" in err and not (tmp_path / "net.nir").exists()
