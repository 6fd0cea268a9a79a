"""``sdt-lava energy`` and the paper's table."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from sdt_lava.report.energy_model import ENERGY_MODELS

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_json(run):
    code, out, _ = run("main", "energy", "--preset", "8-768", "--json")
    content = json.loads(out)
    assert code == 0
    assert content["parameters"] == 66_338_632
    assert content["layers"][0]["name"] == "patch_embed.proj_conv"
    assert content["energy"]["total_mj"] is None
    assert content["energy"]["missing_rates"]
    assert content["energy"]["constants"]["mac"]["source"]


def test_rates_complete_the_energy(run, tmp_path):
    _, out, _ = run("main", "energy", "--preset", "cifar-2-256", "--json")
    layers = json.loads(out)["layers"]
    rates = tmp_path / "rates.csv"
    rows = [f"{layer['name']},0.1" for layer in layers if layer["operation"] == "ac"]
    rates.write_text("\n".join(["name,rate", *rows]))
    arguments = ("--preset", "cifar-2-256", "--rates", rates)
    _, out, _ = run("main", "energy", *arguments, "--json")
    energy = json.loads(out)["energy"]
    assert energy["missing_rates"] == []
    assert energy["total_mj"] > energy["mac_mj"] > 0
    _, out, _ = run("main", "energy", *arguments)
    assert f"{energy['total_mj']:.3f} mJ" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--preset", "9-999"),
        ("--preset", "8-384", "--model", "loihi2"),
        ("--preset", "8-384", "--rates", "none.csv"),
        ("--preset", "8-384", "--downsampling", "up"),
        ("--preset", "8-384", "--image-size", "225"),
    ],
)
def test_bad_arguments(run, arguments):
    code, _, _ = run("main", "energy", *arguments)
    assert code == 2


def test_energy_of_a_run(run, network):
    _, out, _ = run("main", "energy", network, "--data", "digits", "--samples", 3, "--json")
    content = json.loads(out)
    assert [table["model"] for table in content["energy"]] == list(ENERGY_MODELS)
    assert content["counts"]["samples"] == 3
    exact = content["accounting"]["exact"]
    assert exact == pytest.approx(content["counts"]["synops"] / 3)
    arguments = ("--data", "digits", "--samples", 3, "--model", "loihi1")
    code, out, _ = run("main", "energy", network, *arguments)
    assert code == 0
    assert "taps outside the image" in out
    assert "loihi1:" in out and "horowitz" not in out


@pytest.mark.parametrize("arguments", [(), ("net.h5", "--preset", "8-384"), ("net.h5",)])
def test_one_network_is_needed(run, arguments):
    assert run("main", "energy", *arguments)[0] == 2


def test_paper_table(monkeypatch, capsys, tmp_path):
    plot = tmp_path / "attention.svg"
    monkeypatch.setattr(sys, "argv", ["paper_table.py", "--plot", str(plot)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(EXAMPLES / "paper_table.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert not end.value.code
    assert "66.34 / 66.34" in printed
    assert "needs rates" in printed
    assert plot.read_text().lstrip().startswith("<?xml")


def test_messages_and_least_time_on_cores(run, network, tmp_path):
    runtime = tmp_path / "times.toml"
    term = 'base_ns = 1\nper_unit_ns = 1\nsource = "test"\n'
    runtime.write_text(f'title = "a"\nsource = "test"\n[terms.messages_out]\n{term}')
    arguments = ("main", "energy", network, "--data", "digits", "--samples", 2)
    code, out, _ = run(*arguments, "--target", "loihi2", "--runtime", runtime, "--json")
    content = json.loads(out)
    assert code == 0
    cores = content["core_map"]
    assert cores["runtime"]["step_ns"] == 1 + cores["most_in_a_step"]["messages_out"]
    assert len(cores["by_core"]["synops"]) == cores["cores"]
    # A convolution whose weights need an exponent is several on Loihi 2.
    usual = sum(row["synops"] for row in content["counts"]["layers"])
    assert sum(cores["by_core"]["synops"]) >= usual > 0
    code, _, err = run(*arguments, "--runtime", runtime)
    assert code == 2 and "--target" in err
