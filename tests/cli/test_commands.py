"""The commands as a user types them: output, files, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sdt_lava
from sdt_lava.ir.numerics import WEIGHT_LIMIT

ROOT = Path(__file__).resolve().parents[2]


def test_export_writes_network_and_report(run, checkpoint, tmp_path):
    net, report = tmp_path / "net.h5", tmp_path / "report.json"
    code, out, _ = run("main_export", checkpoint, "--out", net, "--json", report)
    assert code == 0
    for word in ("exponent", "headroom", "clipped", "block.0.attn.q_conv", "next:", str(net)):
        assert word in out
    rows = json.loads(report.read_text())
    assert rows["bits"] == 8
    assert max(row["largest_weight"] for row in rows["synapses"]) <= WEIGHT_LIMIT
    graph = sdt_lava.load_network(net)
    assert {row["name"] for row in rows["neurons"]} == set(graph.lif_names)


def test_export_chooses_scales_and_reports_changed_spikes(run, checkpoint, tmp_path):
    rng = np.random.default_rng(0)
    data, report, net = tmp_path / "x.npz", tmp_path / "report.json", tmp_path / "n.h5"
    x = rng.random((6, 1, 8, 8)).astype(np.float32)
    np.savez(data, x=x)
    options = ("--out", net, "--bits", 4, "--json", report, "--per-channel")
    code, out, _ = run("main_export", checkpoint, *options, "--calibration", data)
    assert code == 0
    for word in ("clip", "teacher-forced", "free-running", "scales chosen on 6 training samples"):
        assert word in out.replace("\n", " "), word
    result = json.loads(report.read_text())
    groups = result["choices"]["groups"]
    assert sum(g["differing"] for g in groups) <= sum(g["default_differing"] for g in groups)
    assert result["import"] is None and result["spikes"]["samples"] == 6
    graph, model = sdt_lava.load_network(net), sdt_lava.load_model(checkpoint)
    left, right = (sdt_lava.simulate(side, x).spikes for side in (model, graph))
    for row in result["spikes"]["layers"]:
        assert row["free"] == int((left[row["name"]] != right[row["name"]]).sum()), row["name"]
        assert row["forced"] <= row["decisions"]
    assert result["spikes"]["first_layer"] in left
    # The file keeps the record; a data set that the library has is only measured on.
    assert graph.metadata["quantization"]["spikes"] == result["spikes"]
    code, out, _ = run("main_export", checkpoint, "--out", net, "--json", report)
    assert code == 0 and "teacher-forced" in out and "scales chosen" not in out
    assert json.loads(report.read_text())["choices"] is None


@pytest.mark.parametrize("bits", [4, 6])
def test_export_with_fewer_bits(run, checkpoint, tmp_path, bits):
    code, out, _ = run("main_export", checkpoint, "--out", tmp_path / "n.h5", "--bits", bits)
    assert code == 0 and f"{bits} bit" in out
    weight = sdt_lava.load_network(tmp_path / "n.h5").nodes["block.0.attn.q_conv"].weight
    assert len(np.unique(weight)) <= 2**bits


@pytest.mark.parametrize("backend", ["engine", "reference"])
def test_sim_reports_accuracy_and_synops(run, network, tmp_path, backend):
    results, plot = tmp_path / "out.json", tmp_path / "spikes.png"
    code, out, _ = run(
        "main_sim", network, "--data", "digits", "--samples", 5, "--backend", backend,
        "--json", results, "--plot", plot,
    )  # fmt: skip
    assert code == 0
    summary = json.loads(results.read_text())
    assert summary["backend"] == backend and summary["samples"] == 5
    assert len(summary["labels"]) == 5 and 0 <= summary["accuracy"] <= 1
    assert summary["synops"]["total"] > 0
    assert f"{summary['synops']['total']:,}" in out
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_sim_of_a_stream_reports_latency_and_throughput(run, network, tmp_path):
    results = tmp_path / "out.json"
    code, out, _ = run(
        "main_sim", network, "--data", "digits", "--samples", 4, "--backend", "engine",
        "--no-reset", "--json", results,
    )  # fmt: skip
    assert code == 0 and "machine steps to the first output" in out and "samples/s" in out
    summary = json.loads(results.read_text())
    assert summary["reset"] is False
    timing, net = summary["timing"], sdt_lava.load_network(network)
    assert timing["latency"] == sdt_lava.compile(net).schedule.depth
    assert timing["steps"] == 4 * net.timesteps and timing["samples_per_second"] > 0
    stream = sdt_lava.simulate(net, sdt_lava.load_dataset("digits").x[:4], reset=False)
    assert summary["logits"] == stream.logits.tolist()


@pytest.mark.lava
@pytest.mark.slow
def test_sim_in_lava_from_a_file_gives_the_engines_results(run, network, tmp_path):
    x = sdt_lava.load_dataset("digits").x[:3]
    np.savez(tmp_path / "data.npz", x=x)
    results = {}
    for backend in ("lava", "engine"):
        path = tmp_path / f"{backend}.json"
        code, _, _ = run(
            "main_sim", network, "--data", tmp_path / "data.npz", "--backend", backend,
            "--json", path, "--timeout", 120,
        )  # fmt: skip
        assert code == 0
        results[backend] = json.loads(path.read_text())
        assert "accuracy" not in results[backend]
    for key in ("labels", "logits", "synops"):
        assert results["lava"][key] == results["engine"][key]


def test_info(run, network):
    code, out, _ = run("main", "info", network)
    assert code == 0 and "block.0.attn.talking_heads_lif" in out
    code, out, _ = run("main", "info", network, "--compiled")
    assert code == 0 and "samples enter every 4 steps" in out
    code, out, _ = run("main", "info", network, "--json")
    summary = json.loads(out)
    assert summary["timesteps"] == 4 and summary["input_shape"] == [1, 8, 8]


WRONG = {
    "missing model": ("main_export", "none.pt", "--out", "n.h5"),
    "model of another kind": ("main_export", "text.txt", "--out", "n.h5"),
    "bits": ("main_export", "{checkpoint}", "--out", "n.h5", "--bits", 12),
    "output folder": ("main_export", "{checkpoint}", "--out", "no/folder/n.h5"),
    "config": ("main_export", "{checkpoint}", "--out", "n.h5", "--config", "9-999"),
    "missing network": ("main_sim", "none.h5", "--data", "digits"),
    "network of another kind": ("main_sim", "text.txt", "--data", "digits"),
    "data": ("main_sim", "{network}", "--data", "unknown"),
    "missing data file": ("main_sim", "{network}", "--data", "none.npz"),
    "too many samples": ("main_sim", "{network}", "--data", "digits", "--samples", 9999),
    "backend": ("main_sim", "{network}", "--data", "digits", "--backend", "gpu"),
    "memory": (
        "main_sim",
        "{network}",
        "--data",
        "digits",
        "--backend",
        "engine",
        "--memory",
        "4 gigs",
    ),
    "too little memory": (
        "main_sim",
        "{network}",
        "--data",
        "digits",
        "--backend",
        "engine",
        "--memory",
        "1kB",
    ),
    "threads of Lava": (
        "main_sim",
        "{network}",
        "--data",
        "digits",
        "--backend",
        "lava",
        "--threads",
        2,
    ),
    "device": (
        "main_sim",
        "{network}",
        "--data",
        "digits",
        "--backend",
        "engine",
        "--device",
        "tpu",
    ),
    "timeout": ("main_sim", "{network}", "--data", "digits", "--timeout", -1),
    "json folder": ("main_sim", "{network}", "--data", "digits", "--json", "no/folder/o.json"),
    "plot is a folder": ("main_sim", "{network}", "--data", "digits", "--plot", "."),
    "no arguments": ("main_export",),
    "unknown option": ("main_sim", "{network}", "--dta", "digits"),
}


# Options of Lava, which is looked for first.
OF_LAVA = ("threads of Lava", "timeout")


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[pytest.mark.lava] * (case in OF_LAVA)) for case in WRONG],
)
def test_bad_input_ends_with_a_sentence_and_exit_code_2(
    run, checkpoint, network, tmp_path, monkeypatch, case
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("not a network")
    command, *arguments = WRONG[case]
    filled = [str(a).format(checkpoint=checkpoint, network=network) for a in arguments]
    code, _, err = run(command, *filled)
    assert code == 2
    assert err.strip()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.txt"]


def test_wrong_input_shape_names_what_was_found(run, network, tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 3, 9, 9), np.float32))
    code, _, err = run("main_sim", network, "--data", tmp_path / "d.npz", "--backend", "engine")
    assert code == 2
    assert "(2, 3, 9, 9)" in err and "(B, 1, 8, 8)" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["-m", "sdt_lava", "--help"],
        ["export/sdt_export.py", "--help"],
        ["simulate/run_loihi_sim.py", "--help"],
        ["examples/train_digits.py", "--help"],
        ["examples/demo.py", "--help"],
    ],
    ids=lambda command: command[-2],
)
def test_programs_start(command):
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and "Usage" in done.stdout
    assert done.stderr == ""


def test_importing_the_package_loads_neither_torch_nor_lava():
    code = (
        "import sys, sdt_lava; "
        "assert not {'torch', 'lava', 'matplotlib'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_lower_compares_what_lowerings_take(run, network, tmp_path):
    code, out, _ = run("main", "lower", network, "--data", "digits", "--samples", 3)
    assert code == 0
    for word in ("unrolled", "columnless", "counted on 3 samples", "no single-gate", "next:"):
        assert word in out
    code, out, _ = run("main", "lower", network, "--rate", 0.1, "--json")
    assert code == 0
    rows = json.loads(out)["rows"]
    assert [(row["shortcut"], row["sdsa"]) for row in rows[:2]] == [
        ("relay", "and"),
        ("unrolled", "and"),
    ]
    assert rows[0]["cost"] == 1 and rows[-1]["cost"] <= 1
    assert rows[1]["graded_spikes"] < rows[0]["graded_spikes"]
    code, _, err = run("main", "lower", network, "--rate", 0.1, "--data", "digits")
    assert code == 2 and "--rate" in err


def test_sim_with_a_lowering_gives_the_same_logits(run, network, tmp_path):
    summaries = []
    for index, options in enumerate(
        [
            (),
            ("--shortcut", "unrolled", "--sdsa", "columnless"),
            ("--shortcut", "patch_embed.shortcut=unrolled", "--shortcut", "head.x=relay"),
        ]
    ):
        path = tmp_path / f"{index}.json"
        code, out, err = run(
            "main_sim", network, "--data", "digits", "--samples", 3, "--backend", "engine",
            "--json", path, *options,
        )  # fmt: skip
        if index == 2:
            assert code == 2 and "'head.x'" in err and "patch_embed.shortcut" in err
            continue
        assert code == 0 and ("as compiled (columnless, unrolled)" in out) == bool(options)
        summaries.append(json.loads(path.read_text()))
    plain, unrolled = summaries
    assert plain["logits"] == unrolled["logits"] and plain["synops"] == unrolled["synops"]
    assert set(unrolled["compiled"]["shortcut"].values()) == {"unrolled"}
    assert unrolled["compiled"]["synops_per_inference"] != plain["synops"]["per_inference"]
    assert unrolled["timing"]["latency"] < plain["timing"]["latency"]


def test_info_explains_the_schedule(run, network):
    code, out, _ = run("main", "info", network, "--schedule")
    assert code == 0
    assert "waits 2 steps for the longer path" in out and "when step 0 of a sample" in out
    code, out, _ = run("main", "info", network, "--schedule", "--shortcut", "unrolled", "--json")
    plain = json.loads(out)
    assert set(plain["shortcut"].values()) == {"unrolled"} and plain["delays"]
    code, out, _ = run("main", "info", network, "--sdsa", "columnless")
    assert code == 0 and "has no neurons: its spikes follow" in out


@pytest.mark.parametrize("values", [("relay", "a=relay"), ("relay", "unrolled"), ("=relay",)])
def test_mixed_choices_are_refused(run, network, values):
    options = [part for value in values for part in ("--shortcut", value)]
    code, _, err = run("main", "info", network, *options)
    assert code == 2 and "--shortcut" in err
