"""Evaluations that are divided, interrupted and resumed give the same results."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import sdt_lava
from sdt_lava.datasets import LazySource
from sdt_lava.errors import ConfigError, DataError
from sdt_lava.evaluate import EvaluationOptions, evaluate, run
from sdt_lava.evaluate.store import StoreError
from sdt_lava.io.files import OutputError

FILES = ("results.json", "predictions.csv")


def files(folder):
    return [(folder / name).read_bytes() for name in FILES]


def test_results_are_those_of_a_simulation(case, tmp_path):
    network, data = case
    evaluation = evaluate(network, str(data), tmp_path / "out")
    arrays = np.load(data)
    result = sdt_lava.simulate(sdt_lava.load_network(network), arrays["x"])
    assert [row.predicted for row in evaluation.results] == result.labels.tolist()
    order = np.argsort(-result.logits, axis=1, kind="stable")
    ranks = [int(np.flatnonzero(row == y)[0]) for row, y in zip(order, arrays["y"], strict=True)]
    assert [row.rank for row in evaluation.results] == ranks
    assert evaluation.accuracy() == np.mean(result.labels == arrays["y"])
    assert evaluation.accuracy(5) == np.mean(np.array(ranks) < 5)
    for name, row in evaluation.statistics().items():
        assert row["total"] == result.counts.total(name)
        assert (row["mean"], row["std"]) == pytest.approx(result.counts.statistics(name))
    energy = sdt_lava.report.energy(result.counts, "loihi1")
    assert evaluation.energy()["loihi1"]["per_sample_nj"] == pytest.approx(energy.per_sample_nj)
    assert np.trace(evaluation.confusion) == sum(rank == 0 for rank in ranks)


@pytest.mark.parametrize("shard_size", [1, 7, 100])
def test_shards_do_not_matter(case, tmp_path, shard_size):
    network, data = case
    evaluate(network, str(data), tmp_path / "whole")
    options = EvaluationOptions(shard_size=shard_size)
    evaluate(network, str(data), tmp_path / "parts", options)
    assert files(tmp_path / "whole") == files(tmp_path / "parts")


def test_memory_and_device_reach_the_engine(case, tmp_path):
    network, data = case
    evaluate(network, str(data), tmp_path / "whole")
    options = EvaluationOptions(memory="1GiB", device="cpu")
    evaluate(network, str(data), tmp_path / "small", options)
    assert files(tmp_path / "whole") == files(tmp_path / "small")
    with pytest.raises(ConfigError, match="memory: 1,000 bytes"):
        evaluate(network, str(data), tmp_path / "none", EvaluationOptions(memory="1kB"))
    with pytest.raises(ConfigError, match="device"):
        evaluate(network, str(data), tmp_path / "bad", EvaluationOptions(device="tpu"))


def test_interrupted_anywhere_and_resumed(case, tmp_path):
    network, data = case
    options = EvaluationOptions(shard_size=3)
    evaluate(network, str(data), tmp_path / "whole", options)
    folder = tmp_path / "broken"
    calls = []

    class Stop(Exception):
        pass

    def stop(done, total):
        calls.append(done)
        raise Stop

    while True:
        try:
            chosen = replace(options, resume=bool(calls))
            evaluate(network, str(data), folder, chosen, on_progress=stop)
            break
        except Stop:
            assert not (folder / "results.json").exists()
    assert calls == sorted(set(calls)) and len(calls) == 14
    assert files(tmp_path / "whole") == files(folder)


@pytest.mark.slow
def test_killed_and_resumed(case, tmp_path):
    network, data = case
    options = EvaluationOptions(shard_size=2)
    evaluate(network, str(data), tmp_path / "whole", options)
    folder = tmp_path / "killed"
    command = [
        sys.executable, "-c", "from sdt_lava.cli import main; main()", "evaluate", str(network),
        "--data", str(data), "--out", str(folder), "--shard-size", "2",
    ]  # fmt: skip
    deaths = 0
    for _ in range(2):
        resume = ["--resume"] if (folder / "results.sqlite").exists() else []
        process = subprocess.Popen([*command, *resume], stderr=subprocess.DEVNULL)
        before = stored(folder)
        give_up = time.monotonic() + 60
        while process.poll() is None and stored(folder) < before + 4:
            assert time.monotonic() < give_up
            time.sleep(0.01)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            deaths += 1
        process.wait(timeout=30)
    assert deaths >= 1
    evaluate(network, str(data), folder, replace(options, resume=True))
    assert files(tmp_path / "whole") == files(folder)


def stored(folder):
    path = folder / "results.sqlite"
    if not path.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as connection:
            return connection.execute("SELECT COUNT(*) FROM samples").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def test_another_evaluation_is_not_resumed(case, tmp_path):
    network, data = case
    folder = tmp_path / "out"
    options = EvaluationOptions(limit=4)
    evaluate(network, str(data), folder, options)
    before = files(folder)
    with pytest.raises(OutputError, match="--resume"):
        evaluate(network, str(data), folder, options)
    other = tmp_path / "other.npz"
    arrays = np.load(data)
    np.savez(other, x=arrays["x"] * 2, y=arrays["y"])
    with pytest.raises(ConfigError, match="data"):
        evaluate(network, str(other), folder, replace(options, resume=True))
    with pytest.raises(ConfigError, match="samples"):
        evaluate(network, str(data), folder, EvaluationOptions(limit=5, resume=True))
    with pytest.raises(ConfigError, match="options"):
        changed = replace(options, resume=True, backend="reference")
        evaluate(network, str(data), folder, changed)
    graph = sdt_lava.load_network(network)
    renamed = tmp_path / "net.h5"
    sdt_lava.save_network(graph.with_metadata(note="another"), renamed)
    with pytest.raises(ConfigError, match="network"):
        evaluate(renamed, str(data), folder, replace(options, resume=True))
    assert files(folder) == before
    evaluate(network, str(data), folder, replace(options, resume=True))
    assert files(folder) == before


def test_bad_samples(case, tmp_path, monkeypatch):
    network, data = case
    arrays = np.load(data)

    def read(index):
        if index in (3, 5):
            raise DataError(f"photo {index}", "truncated")
        return arrays["x"][index]

    source = LazySource("photos", arrays["x"].shape[1:], arrays["y"], 10, read)
    monkeypatch.setattr(run, "open_source", lambda *_: source)
    folder = tmp_path / "out"
    with pytest.raises(DataError, match="sample 3.*truncated"):
        evaluate(network, "photos", folder, EvaluationOptions(shard_size=2))
    skipping = EvaluationOptions(shard_size=4, on_bad="skip", resume=True)
    evaluation = evaluate(network, "photos", folder, skipping)
    assert [row.index for row in evaluation.bad] == [3, 5]
    assert "photo 5" in evaluation.bad[1].error
    assert len(evaluation.good) == 38
    content = json.loads((folder / "results.json").read_text())
    assert [row["sample"] for row in content["bad_samples"]] == [3, 5]
    good = [index for index in range(40) if index not in (3, 5)]
    result = sdt_lava.simulate(sdt_lava.load_network(network), arrays["x"][good])
    assert [row.predicted for row in evaluation.good] == result.labels.tolist()


def test_data_without_labels(case, tmp_path):
    network, data = case
    path = tmp_path / "unlabelled.npz"
    np.savez(path, x=np.load(data)["x"][:3])
    evaluation = evaluate(network, str(path), tmp_path / "out")
    assert evaluation.accuracy() is None and evaluation.confusion is None
    assert len(evaluation.good) == 3


def resumed_from(content, case, folder):
    """Evaluate two samples as a run that left these bytes as its results goes on."""
    network, data = case
    folder.mkdir()
    (folder / "results.sqlite").write_bytes(content)
    return evaluate(network, str(data), folder, EvaluationOptions(limit=2, resume=True))


@pytest.mark.parametrize("content", [b"SQLite format 3\x00" + b"x" * 200, b"hello " * 1000])
def test_damaged_results(case, tmp_path, content):
    with pytest.raises((StoreError, OutputError), match=r"results\.sqlite"):
        resumed_from(content, case, tmp_path / "out")


def test_empty_results_are_an_empty_database(case, tmp_path):
    """Such a run was killed before anything was written."""
    assert len(resumed_from(b"", case, tmp_path / "out").results) == 2


def test_folder_that_is_a_file(case, tmp_path):
    network, data = case
    taken = tmp_path / "out"
    taken.write_text("mine")
    with pytest.raises(OutputError):
        evaluate(network, str(data), taken)
    assert taken.read_text() == "mine"
