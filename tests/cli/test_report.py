"""``sdt-lava report``."""

import json

import pytest


def test_report(run, network, tmp_path):
    out = tmp_path / "report"
    code, printed, _ = run(
        "main", "report", network, "--data", "digits", "--samples", 4, "--out", out
    )
    assert code == 0
    assert "0 of" in printed and "index.html" in printed
    content = json.loads((out / "report.json").read_text())
    assert content["run"]["sha256"] and content["run"]["samples"] == 4
    assert (out / "index.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--data", "digits", "--backend", "torch"),
        ("--data", "digits", "--compare-with", "abacus"),
        ("--data", "digits", "--model", "loihi2"),
        ("--data", "none.npz"),
    ],
)
def test_bad_arguments(run, network, tmp_path, arguments):
    code, _, _ = run("main", "report", network, "--out", tmp_path / "report", *arguments)
    assert code == 2
    assert not (tmp_path / "report").exists()
