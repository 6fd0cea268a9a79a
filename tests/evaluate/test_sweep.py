"""Sweeps: rows that can be had otherwise, resumption, the Pareto front, the command."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

import sdt_lava
from sdt_lava import cli
from sdt_lava.errors import ConfigError
from sdt_lava.evaluate import EvaluationOptions
from sdt_lava.evaluate.sweep import Sweep, SweepOptions, SweepRow, sweep
from sdt_lava.io.files import OutputError
from sdt_lava.report.energy_model import load_energy_model
from tests.cli.writers import save_untrained

SAMPLES = 12
COUNTED = 5


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Return a model and a data file."""
    folder = tmp_path_factory.mktemp("sweep")
    digits = sdt_lava.datasets.load_dataset("digits", "test", SAMPLES)
    np.savez(folder / "x.npz", x=digits.x, y=digits.y)
    return save_untrained(folder / "model.pt"), folder / "x.npz"


OPTIONS = SweepOptions(
    bits=(8, 3),
    counted_samples=COUNTED,
    evaluation=EvaluationOptions(
        shard_size=4, models=tuple(map(load_energy_model, ("horowitz45-int8", "loihi1")))
    ),
)


@pytest.fixture(scope="module")
def whole(case, tmp_path_factory):
    model, data = case
    folder = tmp_path_factory.mktemp("whole")
    return sweep(sdt_lava.load_model(model), str(data), folder, OPTIONS), folder


def results(folder):
    return [(folder / name).read_bytes() for name in ("sweep.json", "sweep.csv")]


def test_rows_are_those_of_single_runs(case, whole, tmp_path):
    model, data = case
    result, _ = whole
    arrays = np.load(data)
    names = [(row.bits, row.shortcut, row.sdsa) for row in result.rows]
    ways = [("relay", "and"), ("unrolled", "and")]
    assert names == [(bits, *way) for bits in (8, 3) for way in ways]
    for row in result.rows:
        path = tmp_path / f"{row.bits}.h5"
        sdt_lava.export(sdt_lava.load_model(model), path, row.bits)
        net = sdt_lava.load_network(path)
        assert row.accuracy == np.mean(sdt_lava.simulate(net, arrays["x"]).labels == arrays["y"])
        run = sdt_lava.simulate(
            net, arrays["x"][:COUNTED], "reference", shortcut=row.shortcut, sdsa=row.sdsa
        )
        counts = run.compiled_counts
        assert row.synops == counts.synops / COUNTED
        for name, energy in row.energy_nj.items():
            assert energy == pytest.approx(sdt_lava.report.energy(counts, name).per_sample_nj)
        graph = run.compiled.graph
        sizes = {node.name: int(np.prod(graph.shapes[node.name])) for node in graph}
        populations = {name for name in run.compiled.schedule.latency if name != "input"}
        assert row.neurons == sum(sizes[name] for name in populations)
        assert row.file_bytes == path.stat().st_size
        # A convolution stores its kernel, also where a simulator makes a matrix of it.
        assert row.weights < row.synapses / 4
        assert row.shortcut == "unrolled" or row.weights == weights_by_hand()
    relay, unrolled = result.rows[:2]
    assert relay.accuracy == unrolled.accuracy and relay.synops != unrolled.synops


def weights_by_hand():
    """Add up the kernels of the small digits network, each once, and the ones that relays add.

    16 channels, 16 tokens, a hidden layer of 32: k, v, q and the column enter gates, tokens add up
    in columns and in the head's mean, and six connections carry the shortcut from relay to relay
    and neuron, all of them a synapse a neuron.
    """
    stages = 9 * (1 * 2 + 2 * 4 + 4 * 8 + 8 * 16 + 16 * 16)
    block = 4 * 16 * 16 + 2 * 16 * 32
    neurons = 16 * 16
    return stages + block + 16 * 10 + (4 + 1 + 1 + 6) * neurons


def test_files(whole):
    result, folder = whole
    content = json.loads((folder / "sweep.json").read_text())
    assert content["samples"] == SAMPLES and content["counted_samples"] == COUNTED
    assert set(content["pareto"]) == {"horowitz45-int8", "loihi1"}
    with (folder / "sweep.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["synops"]) for row in table] == [row.synops for row in result.rows]
    front = {row.name for row in result.pareto("loihi1")}
    on_front = [row["loihi1: on the front"] == "True" for row in table]
    assert on_front == [row.name in front for row in result.rows]
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (folder / "pareto.svg").read_bytes()


def test_interrupted_anywhere_and_resumed(case, whole, tmp_path):
    model, data = case
    loaded = sdt_lava.load_model(model)
    stops = []

    class Stop(Exception):
        pass

    def stop(done, total):
        stops.append((done, total))
        raise Stop

    resumed = replace(OPTIONS, evaluation=replace(OPTIONS.evaluation, resume=True))
    while True:
        try:
            options = resumed if stops else OPTIONS
            sweep(loaded, str(data), tmp_path / "broken", options, on_progress=stop)
            break
        except Stop:
            assert not (tmp_path / "broken" / "sweep.json").exists()
    # Shards of 4 of 12 samples, for two networks: each was evaluated once.
    assert stops == [(done, 24) for done in (4, 8, 12, 16, 20, 24)]
    assert results(tmp_path / "broken") == results(whole[1])


def test_what_may_be_resumed(case, whole, tmp_path, monkeypatch):
    model, data = case
    loaded = sdt_lava.load_model(model)
    small = replace(OPTIONS, bits=(8,), shortcuts=("relay",))
    sweep(loaded, str(data), tmp_path / "s", small)
    with pytest.raises(OutputError, match="--resume"):
        sweep(loaded, str(data), tmp_path / "s", OPTIONS)
    again = replace(OPTIONS, evaluation=replace(OPTIONS.evaluation, resume=True))
    other = sdt_lava.load_model(model)
    next(other.parameters()).data.add_(0.5)
    with pytest.raises(ConfigError, match="model"):
        sweep(other, str(data), tmp_path / "s", again)
    with pytest.raises(ConfigError, match="samples"):
        limited = replace(again.evaluation, limit=3)
        sweep(loaded, str(data), tmp_path / "s", replace(again, evaluation=limited))
    sweep(loaded, str(data), tmp_path / "s", again)  # more widths and lowerings
    assert results(tmp_path / "s") == results(whole[1])
    (tmp_path / "s" / "8-bit" / "relay_and.json").write_text("{")
    with pytest.raises(OutputError, match="relay_and.json"):
        sweep(loaded, str(data), tmp_path / "s", again)


def row(bits, accuracy, energy):
    return SweepRow(
        bits=bits, shortcut="relay", sdsa="and", accuracy=accuracy, top5=1.0, synops=1.0,
        energy_nj={"m": energy}, not_charged={"m": []}, neurons=1, synapses=1, weights=1,
        processes=1, latency=1, file_bytes=1,
    )  # fmt: skip


def test_the_front():
    rows = (row(8, 0.9, 3.0), row(7, 0.9, 2.0), row(6, 0.8, 2.0), row(5, 0.7, 1.0),
            row(4, 0.7, 1.0), row(3, 0.6, 1.5))  # fmt: skip
    front = Sweep(rows, 1, 1, {}).pareto("m")
    assert [entry.bits for entry in front] == [5, 4, 7]  # equals do not beat one another
    assert Sweep((row(8, None, 1.0),), 1, 1, {}).pareto("m") == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bits": (9,)}, "bits: 9"),
        ({"bits": ()}, "bits: nothing"),
        ({"bits": (4, 4)}, "bits: a value that is there twice"),
        ({"shortcuts": ("none",)}, "shortcut: 'none'"),
        ({"sdsa": ("or",)}, "sdsa: 'or'"),
        ({"counted_samples": 0}, "counted_samples: 0"),
    ],
)
def test_impossible_options(changes, said):
    with pytest.raises(ConfigError, match=said):
        SweepOptions(**changes)


def test_the_command(case, tmp_path, monkeypatch, capsys):
    model, _ = case
    data = tmp_path / "unlabelled.npz"
    np.savez(data, x=np.load(case[1])["x"][:3])
    out = tmp_path / "out"
    arguments = [
        "sdt-lava", "sweep", model, "--data", data, "--bits", "4", "--sdsa", "and,single-gate",
        "--shortcut", "relay", "--model", "loihi1", "--out", out,
    ]  # fmt: skip

    def run(*more):
        monkeypatch.setattr("sys.argv", [str(part) for part in (*arguments, *more)])
        with pytest.raises(SystemExit) as ending:
            cli.main()
        return ending.value.code or 0, capsys.readouterr()

    code, captured = run()
    assert code == 0
    for words in ("not possible: 4 bit, relay, single-gate", "next: sdt-lava report", "synops"):
        assert words in captured.out
    assert not (out / "pareto.png").exists()
    code, captured = run()
    assert code == 2 and "--resume" in captured.err
    code, captured = run("--resume", "--json")
    content = json.loads(captured.out)
    assert code == 0 and content["rows"][0]["accuracy"] is None and content["refused"]
    code, captured = run("--resume", "--bits", "4,x")
    assert code == 2


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_on_workers(case, whole, tmp_path):
    pytest.importorskip("distributed", reason="needs the extra 'cluster'")
    from sdt_lava.evaluate.cluster import ClusterOptions, cluster_executor

    model, data = case
    with cluster_executor(ClusterOptions(workers=2)) as executor:
        sweep(sdt_lava.load_model(model), str(data), tmp_path, OPTIONS, executor=executor)
    assert results(tmp_path) == results(whole[1])
