"""Commands where Lava is not installed: what runs instead, and what says that it cannot."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.default import MOST_MACHINE_NEURONS, default_backend
from sdt_lava.backends.lava import presence as lava_presence
from sdt_lava.backends.lava.presence import has_lava, require_lava
from sdt_lava.errors import LavaUnavailableError
from sdt_lava.ir import Dense, Graph, Input, Lif
from tests.without import run_command_without, run_without


@pytest.fixture
def no_lava(monkeypatch):
    monkeypatch.setattr(lava_presence, "find_spec", lambda name: None)


@pytest.fixture
def spikes(tmp_path, network):
    net = sdt_lava.load_network(network)
    rng = np.random.default_rng(0)
    x = rng.random((2, *net.input_shape)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.array([0, 1]))
    return tmp_path / "x.npz"


def test_asking_imports_nothing():
    program = """
import sys
from sdt_lava.backends.lava.presence import has_lava
print(has_lava(), sorted(name for name in sys.modules if name.partition(".")[0] == "lava"))
"""
    done = run_without((), program)
    assert done.stdout.split(maxsplit=1) == [str(has_lava()), "[]\n"], done.stderr
    done = run_without(("lava",), program)
    assert done.stdout == "False []\n", done.stderr


def test_another_package_of_that_name_is_not_lava(tmp_path, monkeypatch):
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(lava_presence, "find_spec", lambda name: found)
    assert not has_lava()
    found.submodule_search_locations = None
    assert not has_lava()
    (tmp_path / "magma").mkdir()
    found.submodule_search_locations = [str(tmp_path)]
    assert has_lava()


def of_size(neurons):
    entry = Input(name="x", shape=(1,), high=1)
    dense = Dense(name="d", inputs=("x",), weight=np.full((neurons, 1), 2))
    return Graph.build([entry, dense, Lif(name="lif", inputs=("d",), threshold=1)], 1)


def test_small_networks_run_on_the_machine_and_large_ones_in_the_engine(no_lava, monkeypatch):
    small, large = of_size(MOST_MACHINE_NEURONS), of_size(MOST_MACHINE_NEURONS + 1)
    assert default_backend(small)[0] == "machine" and default_backend(large)[0] == "engine"
    for net in (small, large):
        backend, reason = default_backend(net)
        assert reason.startswith("Lava is not installed") and f"back end {backend}" in reason
        assert "\n" not in reason
    monkeypatch.setattr("sdt_lava.backends.default.has_lava", lambda: True)
    assert default_backend(small) == default_backend(large) == ("lava", "")


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 13, 1)])
def test_the_error_names_the_command_and_the_python(no_lava, monkeypatch, version):
    monkeypatch.setattr(lava_presence, "sys", SimpleNamespace(version_info=version))
    with pytest.raises(LavaUnavailableError) as raised:
        require_lava("back end 'lava'")
    error = raised.value
    assert error.exit_code == 3 and error.where == "back end 'lava'"
    assert "pip install 'sdt-lava[lava]'" in error.remedy and "machine" in error.remedy
    assert "Python 3.10" in error.allowed
    assert ("cannot be on Python" in error.found) == (version[:2] != (3, 10))
    assert ("environment with Python 3.10" in error.remedy) == (version[:2] != (3, 10))


@pytest.mark.parametrize("backend", ["lava", "lava-inprocess", "loihi2"])
def test_lava_is_refused_in_the_library(no_lava, backend):
    net = of_size(2)
    with pytest.raises(LavaUnavailableError, match="Lava is not installed"):
        sdt_lava.simulate(net, np.ones((1, 1)), backend)
    with pytest.raises(LavaUnavailableError, match="a network of Lava processes"):
        sdt_lava.compile(net).build()


@pytest.mark.parametrize(
    "arguments",
    [
        ("main_sim", "{network}", "--backend", "lava"),
        ("main_sim", "none.h5", "--backend", "lava-inprocess"),
        ("main_sim", "{network}", "--backend", "loihi2"),
        ("main_sim", "{network}", "--target", "loihi2"),
        ("main", "compare", "{network}", "{network}", "--data", "digits", "--left-backend", "lava"),
        ("main", "evaluate", "{network}", "--data", "digits", "--out", "{out}", "--backend",
         "lava"),
        ("main", "report", "{network}", "--data", "digits", "--out", "{out}", "--compare-with",
         "lava-inprocess"),
    ],
)  # fmt: skip
def test_lava_is_refused_in_one_sentence_before_anything_is_done(
    run, network, tmp_path, no_lava, arguments
):
    command, *rest = arguments
    names = {"network": network, "out": tmp_path / "out"}
    code, out, err = run(command, *(each.format(**names) for each in rest))
    assert code == 3 and not out
    assert len(err.strip().splitlines()) == 1 and "pip install 'sdt-lava[lava]'" in err
    assert not (tmp_path / "out").exists()


def test_the_usual_back_end_says_what_it_is(run, network, spikes, tmp_path, no_lava):
    code, out, err = run("main_sim", network, "--data", spikes, "--json", tmp_path / "r.json")
    assert code == 0, err
    (said,) = [line for line in err.splitlines() if "Lava" in line]
    assert said == default_backend(sdt_lava.load_network(network))[1]
    assert json.loads((tmp_path / "r.json").read_text())["backend"] == "machine"
    assert "add --backend engine" in out


def test_the_machine_runs_a_file_where_there_is_no_lava(network, spikes, tmp_path):
    arguments = (network, "--data", spikes, "--json")
    usual = run_command_without(("lava", "torch"), "main_sim", *arguments, tmp_path / "usual.json")
    assert usual.returncode == 0, usual.stderr
    assert usual.stderr.count("Lava is not installed") == 1
    refused = run_command_without(("lava",), "main_sim", network, "--backend", "lava")
    assert refused.returncode == 3 and "Traceback" not in refused.stderr
    found = json.loads((tmp_path / "usual.json").read_text())
    x = np.load(spikes)["x"]
    expected = sdt_lava.simulate(sdt_lava.load_network(network), x, "reference")
    assert found["backend"] == "machine" and found["logits"] == expected.logits.tolist()
    assert found["synops"]["total"] == expected.synops.total


def test_the_machine_takes_targets(run, network, spikes, tmp_path):
    results = {}
    for target in ("lava-cpu", "loihi2", "loihi1"):
        path = tmp_path / f"{target}.json"
        code, _, err = run(
            "main_sim", network, "--data", spikes, "--backend", "machine", "--target", target,
            "--convolutions", "conv", "--json", path,
        )  # fmt: skip
        assert code == 0, err
        results[target] = json.loads(path.read_text())
    assert len({str(found["logits"]) for found in results.values()}) == 1
    notes = {target: found["compiled"]["notes"] for target, found in results.items()}
    assert any("host reads membranes" in note for note in notes["loihi1"])
    assert notes["lava-cpu"] != notes["loihi1"]
    code, _, err = run(
        "main_sim", network, "--data", spikes, "--backend", "machine", "--board", "oheogulch"
    )
    assert code == 2 and "oheogulch" in err


def test_other_commands_take_the_machine(run, network, spikes, tmp_path, no_lava):
    compared = ("compare", network, network, "--data", spikes, "--right-backend", "machine")
    code, out, err = run("main", *compared)
    assert code == 0 and "no spike differs" in out, err
    code, out, err = run(
        "main", "evaluate", network, "--data", spikes, "--out", tmp_path / "evaluation",
        "--backend", "machine", "--json",
    )  # fmt: skip
    assert code == 0, err
    evaluated = json.loads(out)
    code, out, err = run(
        "main", "evaluate", network, "--data", spikes, "--out", tmp_path / "other", "--json"
    )
    assert code == 0 and json.loads(out)["operations"] == evaluated["operations"], err
    code, out, err = run(
        "main", "report", network, "--data", spikes, "--out", tmp_path / "report",
        "--compare-with", "machine",
    )  # fmt: skip
    assert code == 0 and "machine: 0 of" in out, err
