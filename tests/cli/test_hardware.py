"""Commands that ask for hardware: exit codes, and what a run prints."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sdt_lava import simulate
from sdt_lava.backends.measured import Measured
from sdt_lava.cli import hardware
from tests import fake_loihi
from tests.graphs import random_chain
from tests.needs import HAS_LAVA


@pytest.mark.parametrize(
    "arguments",
    [
        ("main_sim", "{network}", "--target", "loihi2"),
        ("main_sim", "{network}", "--target", "loihi2", "--board", "kapohopoint"),
        ("main_sim", "{network}", "--data", "digits", "--backend", "loihi2"),
        ("main_sim", "none.h5", "--target", "loihi2"),
        ("main_sim", "{network}", "--target", "loihi1"),
        ("main", "compare", "{network}", "{network}", "--data", "digits",
         "--right-backend", "loihi2"),
    ],
)  # fmt: skip
def test_without_hardware_one_sentence_and_exit_code_3(run, network, arguments):
    command, *rest = arguments
    code, out, err = run(command, *(each.format(network=network) for each in rest))
    assert code == 3 and not out
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--target", "loihi9"),
        ("--target", "loihi2", "--board", "nahuku"),
        ("--target", "loihi2", "--backend", "engine"),
        ("--target", "lava-cpu", "--backend", "loihi2"),
        ("--target", "lava-cpu", "--board", "oheogulch"),
    ],
)
def test_contradictions_are_bad_input(run, network, arguments):
    code, _, err = run("main_sim", network, "--data", "digits", *arguments)
    assert code == 2 and err.strip()


@pytest.mark.lava
def test_options_are_checked_before_hardware_is_used(run, network, monkeypatch):
    fake_loihi.install(monkeypatch)
    code, _, err = run("main_sim", network, "--target", "loihi2", "--record", "some")
    assert code == 2 and "some" in err


def test_a_simulators_target_is_its_back_end(run, network, monkeypatch):
    monkeypatch.setattr(
        "sdt_lava.cli.sim.simulate", lambda net, x, backend, **kw: simulate(net, x, "engine")
    )
    code, out, _ = run("main_sim", network, "--samples", 2, "--target", "lava-cpu")
    assert code == 0 and "synaptic operations" in out


@pytest.mark.lava
@pytest.mark.parametrize("is_same", [True, False])
def test_what_a_hardware_run_prints(run, network, tmp_path, monkeypatch, is_same):
    """The board is replaced by the engine, with a spike more or not."""
    fake_loihi.install(monkeypatch)
    measured = Measured("loihi2", "oheogulch", "SLURM og", 40, 2, 4, 1e-5, 2.0, 0.5)

    def on_board(net, x, backend, *, hardware, **options):
        assert backend == "loihi2" and hardware.board is None
        result = simulate(net, x, "engine")
        if not is_same:
            result.spikes["head_lif"][0, 0, 0] ^= 1
        object.__setattr__(result, "measured", measured)
        return result

    monkeypatch.setattr("sdt_lava.cli.sim.simulate", on_board)
    path = tmp_path / "out.json"
    code, out, _ = run("main_sim", network, "--samples", 2, "--target", "loihi2", "--json", path)
    assert code == 0
    assert ("bit for bit" in out) == is_same
    assert ("the first difference is in head_lif" in out) == (not is_same)
    assert "0.08" in out and "not measured" in out  # [mJ] 2 W for 4 steps of 10 µs
    summary = json.loads(path.read_text())["measured"]
    assert summary["total_energy_per_sample"] == pytest.approx(8e-5)
    assert summary["dynamic_energy_per_sample"] == pytest.approx(6e-5)


def test_simulations_say_that_nothing_was_measured(run, network, tmp_path):
    path = tmp_path / "out.json"
    run("main_sim", network, "--samples", 1, "--backend", "engine", "--json", path)
    assert json.loads(path.read_text())["measured"] is None


def test_data_is_the_networks_own_if_not_named():
    net = random_chain(np.random.default_rng(0))
    assert hardware.data_of(net.with_metadata(config={"dataset": "digits"}), None) == "digits"
    assert hardware.data_of(net, "x.npz") == "x.npz"
    for config in ({"dataset": "nothing"}, {}, 3):
        with pytest.raises(hardware.ConfigError):
            hardware.data_of(net.with_metadata(config=config), None)


def test_versions(run):
    code, out, _ = run("main", "info", "--versions", "--json")
    found = json.loads(out)
    assert code == 0 and found["packages"]["lava-nc"] == ("0.10.0" if HAS_LAVA else None)
    assert found["packages"]["lava-loihi"] is None
    code, out, _ = run("main", "info", "--versions")
    assert code == 0 and "not installed" in out
    assert run("main", "info")[0] == 2
