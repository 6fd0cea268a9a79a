"""``sdt-lava map`` as a user types it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from math import prod

import pytest

import sdt_lava
from sdt_lava import cli

SMALL_TARGET = """
title = "Small"
kinds = ["input", "conv", "dense", "sparse", "lif", "gate", "relay"]
default_board = "desk"
[boards.desk]
chips = 2
[limits.neurons_per_core]
value = 100
source = "test"
[limits.cores_per_chip]
value = 4
source = "test"
"""


@pytest.fixture
def run(monkeypatch, capsys):
    def run_map(*arguments):
        monkeypatch.setattr(sys, "argv", ["sdt-lava", "map", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return ending.value.code or 0, captured.out, captured.err

    return run_map


def test_map_of_a_network_file(run, network, tmp_path):
    plot = tmp_path / "map.png"
    code, out, _ = run(network, "--data", "digits", "--samples", 3, "--plot", plot)
    assert code == 0
    for word in ("block.0.attn.q_lif", "of 1 chip", "fits on oheogulch", "busiest core"):
        assert word in out
    assert "measured: 3 samples of 4 steps" in " ".join(out.split())
    assert f"wrote {plot}" in " ".join(out.split()) and "next:" in out
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_map_as_json(run, network):
    code, out, _ = run(network, "--json")
    assert code == 0
    summary = json.loads(out)
    assert summary["cores"] >= 1 and summary["chips"] == 1 and summary["fits"] is True
    assert "assumed" in summary["activity"]
    names = [layer["name"] for layer in summary["layers"]]
    assert "block.0.mlp.fc2_lif" in names and "head.relay" in names
    for layer in summary["layers"]:
        assert {"name", "kind", "neurons", "cores", "tile", "binding", "utilisation"} <= set(layer)
        assert layer["synapse_bytes"] <= layer["synapse_bytes_unrolled"]
    assert sum(layer["neurons"] for layer in summary["layers"]) == summary["neurons"]
    assert "per_core" not in summary


RUNTIME = """
title = "Desk"
source = "test"
[terms.synops]
base_ns = 2.0
per_unit_ns = 0.5
source = "test"
"""


def test_least_time_of_a_step(run, network, tmp_path):
    runtime = tmp_path / "desk-times.toml"
    runtime.write_text(RUNTIME)
    arguments = (network, "--data", "digits", "--samples", 3, "--runtime", runtime)
    code, out, _ = run(*arguments, "--json")
    summary = json.loads(out)
    assert code == 0 and summary["runtime"]["binding"] == "synops"
    expected = 2 + summary["busiest_core"]["synops_per_step"] / 2
    assert summary["runtime"]["step_ns"] == pytest.approx(expected)
    code, out, _ = run(*arguments)
    assert code == 0 and "a step takes at least" in " ".join(out.split())
    code, _, err = run(network, "--runtime", runtime)
    assert code == 2 and "--data" in err


def test_every_core_of_ones_own_target(run, network, tmp_path):
    target = tmp_path / "small.toml"
    target.write_text(SMALL_TARGET)
    code, out, _ = run(network, "--target", target, "--json", "--per-core")
    assert code == 0
    summary = json.loads(out)
    assert len(summary["per_core"]) == summary["cores"] > 8
    assert summary["chips"] == -(-summary["cores"] // 4)
    assert summary["fits"] is False and summary["boards"] == -(-summary["chips"] // 2)
    assert max(core["usage"]["neurons"] for core in summary["per_core"]) <= 100
    code, out, _ = run(network, "--target", target)
    assert code == 0 and f"does not fit on desk: {summary['boards']} boards" in out


@pytest.mark.slow
def test_map_of_a_preset(run):
    code, out, _ = run("--preset", "digits", "--shortcut", "unrolled", "--json")
    assert code == 0
    unrolled = json.loads(out)
    code, out, _ = run("--preset", "digits", "--json")
    relays = json.loads(out)
    assert relays["network"] == unrolled["network"] == "digits (random, seed 0)"
    assert {layer["kind"] for layer in relays["layers"]} == {"lif", "gate", "relay"}
    assert relays["neurons"] > unrolled["neurons"]


WRONG = {
    "nothing to map": (),
    "both": ("{network}", "--preset", "digits"),
    "preset": ("--preset", "9-999"),
    "target": ("{network}", "--target", "loihi7"),
    "simulator": ("{network}", "--target", "lava-cpu"),
    "board": ("{network}", "--board", "desk"),
    "shortcut": ("{network}", "--shortcut", "none"),
    "relays on Loihi 1": ("{network}", "--target", "loihi1"),
    "file": ("none.h5",),
    "data": ("{network}", "--data", "none.npz"),
    "plot": ("{network}", "--plot", "no/folder/map.png"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_ends_with_a_sentence_and_exit_code_2(run, network, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*(part.format(network=network) for part in WRONG[case]))
    assert code == 2
    assert err.strip()
    assert list(tmp_path.iterdir()) == []


def test_what_full_first_layers_cost_is_said(run, checkpoint, tmp_path, monkeypatch, capsys):
    """An image of 8 bits; the remedy that is named takes the relay away."""
    model = sdt_lava.load_model(checkpoint)
    model.config = replace(model.config, input_scale=255.0, input_range=(0, 255))
    for first_layer in ("full", "fitted"):
        network = tmp_path / f"{first_layer}.h5"
        sdt_lava.export(model, network, first_layer=first_layer)
        neurons = prod(sdt_lava.load_network(network).shapes["patch_embed.proj_conv"])
        note = f"patch_embed.proj_conv: a relay of {neurons:,} neurons sends its sum on"
        code, mapped, _ = run(network)
        monkeypatch.setattr(sys, "argv", ["sdt-lava", "check", str(network)])
        with pytest.raises(SystemExit):
            cli.main()
        for said in (mapped, capsys.readouterr().out):
            said = " ".join(said.split())
            assert (note in said) == ("--first-layer fitted" in said) == (first_layer == "full")
        assert code == 0 and ("hold a part of it" in mapped) == (first_layer == "full")
