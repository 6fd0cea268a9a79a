"""``sdt-lava check`` as a user types it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import sdt_lava
from sdt_lava.hardware.rules import RULES
from sdt_lava.ir import Dense, Graph, Input, Lif


@pytest.fixture
def broken(network, tmp_path):
    """The network file with one odd weight and one threshold too large."""
    net = sdt_lava.load_network(network)
    conv = net.nodes["block.0.attn.q_conv"]
    weight = np.array(conv.weight)
    weight.flat[0] += 1
    changed = {
        conv.name: replace(conv, weight=weight),
        "head_lif": replace(net.nodes["head_lif"], threshold=131072),
    }
    nodes = [changed.get(node.name, node) for node in net]
    return net.rebuild(nodes)


@pytest.fixture
def saved(broken, tmp_path, monkeypatch):
    """A stand-in for a file, as the reader of files refuses what is out of range."""
    monkeypatch.setattr("sdt_lava.io.netx.load_network", lambda *_, **__: broken)
    return tmp_path / "net.h5"


def test_a_clean_network(run, network):
    code, out, _ = run("main", "check", network, "--target", "loihi2")
    assert code == 0
    assert "no errors" in out and "next:" in out


def test_a_broken_network(run, saved):
    code, out, _ = run("main", "check", saved, "--target", "loihi2", "--board", "kapohopoint")
    assert code == 1
    for word in ("mixed_weight_step", "block.0.attn.q_conv", "threshold", "131,072", "kapohopoint"):
        assert word in out


def test_json_has_every_finding(run, saved):
    code, out, _ = run("main", "check", saved, "--json")
    summary = json.loads(out)
    assert code == 1 and summary["target"] == "loihi2" and summary["board"] == "oheogulch"
    assert summary["errors"] == sum(v["severity"] == "error" for v in summary["violations"]) == 2
    assert set(summary["violations"][0]) == {
        "rule", "node", "found", "allowed", "remedy", "severity"
    }  # fmt: skip


def test_a_preset(run):
    code, out, _ = run("main", "check", "--preset", "digits", "--json")
    assert code == 0
    assert json.loads(out)["network"] == "digits (random, seed 0)"


def test_rules_with_limits_and_sources(run):
    code, out, _ = run("main", "check", "--rules", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and list(rows) == list(RULES)
    assert rows["threshold"]["limits"] == {"threshold_max": 131071}
    assert all(row["source"] for row in rows.values() if row["limits"])
    code, out, _ = run("main", "check", "--rules", "--target", "loihi1")
    assert code == 0 and "payload_max = 1" in out


def test_many_findings_of_one_rule_are_cut_short(run, tmp_path, monkeypatch):
    nodes = [Input(name="input", shape=(2,))]
    for index in range(9):
        before = nodes[-1].name
        nodes.append(Dense(name=f"fc{index}", inputs=(before,), weight=np.full((2, 2), 2)))
        nodes.append(Lif(name=f"[{index}]", inputs=(f"fc{index}",), threshold=10**6))
    net = Graph.build(nodes, 2)
    monkeypatch.setattr("sdt_lava.io.netx.load_network", lambda *_, **__: net)
    code, out, _ = run("main", "check", tmp_path / "n.h5")
    assert code == 1 and "and 4 more" in out and "[3]" in out and "[8]" not in out
    code, out, _ = run("main", "check", tmp_path / "n.h5", "--all")
    assert code == 1 and "[8]" in out


@pytest.mark.parametrize(("highest", "code"), [(1, 0), (0, 1)])
def test_data_may_show_that_sums_fit(run, tmp_path, monkeypatch, highest, code):
    """Without data nothing is known of a sum that could overflow; with data it is."""
    nodes = [
        Input(name="input", shape=(600,)),
        Dense(name="fc", inputs=("input",), weight=np.full((2, 600), 254)),
        Lif(name="lif", inputs=("fc",), threshold=100),
    ]
    net = Graph.build(nodes, 2)
    monkeypatch.setattr("sdt_lava.io.netx.load_network", lambda *_, **__: net)
    x = np.zeros((3, 600), np.float32)
    x[:, :4] = 1
    np.savez(tmp_path / "data.npz", x=x)
    data = ["--data", tmp_path / "data.npz"] if highest else []
    ended, out, err = run("main", "check", tmp_path / "n.h5", "--json", *data)
    assert ended == code, err
    found = {row["rule"]: row for row in json.loads(out)["violations"]}
    assert "152,400" in found["activation"]["found"]
    assert ("data reached 1,016" in found["activation"]["found"]) == bool(highest)


WRONG = {
    "nothing": (),
    "both": ("{network}", "--preset", "digits"),
    "preset": ("--preset", "9-999"),
    "target": ("{network}", "--target", "loihi9"),
    "target file": ("{network}", "--target", "none.toml"),
    "board": ("{network}", "--board", "nahuku"),
    "board of a simulator": ("{network}", "--target", "lava-cpu", "--board", "oheogulch"),
    "file": ("none.h5",),
    "data": ("{network}", "--data", "none.npz"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input(run, network, case):
    code, _, err = run("main", "check", *(str(a).format(network=network) for a in WRONG[case]))
    assert code == 2 and err.strip()
