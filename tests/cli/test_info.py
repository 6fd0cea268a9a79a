"""``sdt-lava info`` on every kind of file."""

from __future__ import annotations

import json
from pathlib import Path

from sdt_lava import load_network
from sdt_lava.nir import save_nir

DATA = Path(__file__).parents[1] / "data" / "netx"


def test_a_checkpoint(run, checkpoint, tmp_path):
    code, out, _ = run("main", "info", checkpoint)
    assert code == 0 and "parameters" in out and "sdt-export" in out
    code, out, _ = run("main", "info", checkpoint, "--json")
    found = json.loads(out)
    assert code == 0 and found["kind"] == "checkpoint" and found["config"]["depth"] >= 1
    broken = tmp_path / "broken.pt"
    broken.write_bytes(checkpoint.read_bytes()[:300])
    code, _, err = run("main", "info", broken)
    assert code == 2 and "error" in err


def test_a_nir_file(run, tmp_path):
    path = tmp_path / "net.nir"
    save_nir(load_network(DATA / "windows.net", timesteps=12), path)
    code, out, _ = run("main", "info", path)
    assert code == 0 and "T = 12" in out and "unchanged" in out and "sdt-lava nir" in out


def test_layers_of_a_network(run):
    path = DATA / "windows.net"
    code, out, _ = run("main", "info", path, "--num-layers", 2, "--json")
    assert code == 0 and json.loads(out)["kind"] == "network"
    assert [node["name"] for node in json.loads(out)["nodes"]][-1] == "layer.1"
    code, out, _ = run("main", "info", path, "--skip-layers", -1, "--json")
    assert code == 0 and len(json.loads(out)["nodes"]) > 3
    code, _, err = run("main", "info", path, "--num-layers", -1)
    assert code == 2 and "--num-layers" in err
    code, _, err = run("main", "check", "--preset", "digits", "--skip-layers", 1)
    assert code == 2 and "--skip-layers" in err
