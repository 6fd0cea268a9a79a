"""From an official checkpoint to integer spikes: tracing, the command, and the back ends."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import sdt_lava
from sdt_lava import cli
from sdt_lava.compiler import lower
from sdt_lava.families import load_model
from sdt_lava.importers import trace
from sdt_lava.ir import Lif, MaxPool, OrPool, TokenDilate
from sdt_lava.ir.encoding import encode
from sdt_lava.ir.reference import run_reference
from sdt_lava.quantize.export import to_network
from sdt_lava.quantize.float_run import evaluate
from tests.families.sdt1.official_cases import (
    CASES,
    golden,
    official_config,
    official_content,
    official_state,
    save,
)


def time_first(x, timesteps):
    return x.swapaxes(0, 1) if x.ndim == 5 else x[None].expand(timesteps, *x.shape)


@pytest.fixture
def export(monkeypatch, capsys):
    """Run sdt-export in this process; returns exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sdt-export", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            cli.main_export()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return ending.value.code or 0, captured.out, captured.err

    return run


@pytest.mark.parametrize("name", CASES)
def test_the_traced_graph_spikes_as_recorded(name):
    """Folded, with dilations as nodes, and before anything is rounded."""
    case = golden(name)
    graph = trace(load_model(case.checkpoint))
    values = evaluate(graph, time_first(case.x, graph.timesteps))
    assert case.differing_spikes({lif: values[lif] for lif in graph.lif_names}) == 0
    assert np.abs(values["head"].numpy() - case.step_logits).max() < 1e-5
    assert bool(graph.of_type(TokenDilate)) == ("dvs" in name)


@pytest.mark.parametrize("name", CASES)
def test_export_and_engine(name, export, tmp_path):
    case, net = golden(name), tmp_path / "net.h5"
    code, out, _ = export(case.checkpoint, "--config", case.yml, "--out", net)
    assert code == 0 and "talking_heads" in out and "conf.yml" in out.replace("\n", "")
    graph = sdt_lava.load_network(net)
    x = case.x.numpy()
    engine, reference = (
        sdt_lava.simulate(graph, x, backend) for backend in ("engine", "reference")
    )
    assert set(engine.spikes) == set(case.spikes)
    for lif, spikes in engine.spikes.items():
        assert np.array_equal(spikes, reference.spikes[lif]), lif
        assert spikes.any(), lif
    assert np.array_equal(engine.logits, reference.logits)
    pools = graph.of_type(MaxPool) + graph.of_type(OrPool)
    # In dvs mode, two dilations of the image and two of the tokens in each block.
    assert len(pools) == name[-4:].count("1") + len(graph.of_type(TokenDilate))
    # One step is enough to see that the mapped network computes the same.
    lowered = run_reference(lower(graph), encode(graph, x)[:1])
    assert all(np.array_equal(lowered[lif], engine.spikes[lif][:1]) for lif in engine.spikes)


def test_moving_average_by_command(export, tmp_path):
    case = golden("pub_b_static_1111")
    nets = [tmp_path / "ordinary.h5", tmp_path / "average.h5"]
    for net, flags in zip(nets, ([], ["--ema"]), strict=True):
        code, out, _ = export(case.checkpoint, "--out", net, *flags)
        taken = "state_dict_ema" if flags else "state_dict"
        assert code == 0 and f"imported {taken} of" in out.replace("\n", " ")
        assert "state_dict_ema" in out  # the file has both
    first, second = (sdt_lava.load_network(net).nodes["head"].weight for net in nets)
    assert not np.array_equal(first, second)
    report = tmp_path / "report.json"
    export(case.checkpoint, "--out", nets[0], "--ema", "--json", report)
    origin = json.loads(report.read_text())["import"]
    assert origin["weights"] == "state_dict_ema" and origin["configuration"].endswith("args")
    assert {name.rpartition("attn.")[2] for name in origin["unused"]} >= {"talking_heads.weight"}
    case = golden("pub_a_static_0011")
    code, _, err = export(case.checkpoint, "--out", nets[0], "--ema")
    assert code == 2 and "no state_dict_ema" in err


def test_errors_by_command(export, tmp_path):
    case = golden("pub_a_static_0011")
    code, _, err = export(case.checkpoint, "--config", "cifar-2-256", "--out", tmp_path / "n.h5")
    assert code == 2 and "dim is 256 in cifar-2-256 and 64 in the weights" in err.replace("\n", " ")
    assert not (tmp_path / "n.h5").exists()


@pytest.mark.parametrize("changes", [{"mlp_ratio": 1.0}, {"dvs_mode": True}, {"depth": 3}])
def test_random_networks_in_integers(changes, tmp_path):
    config = official_config(**changes, input_scale=64.0)
    content = official_content(config, state_dict=official_state(config, seed=4))
    graph, _ = to_network(load_model(save(tmp_path / "model.pth.tar", content), config))
    frames = np.random.default_rng(0).integers(0, 192, (3, 2, *graph.input_shape))
    expected = run_reference(graph, frames)
    lowered = run_reference(lower(graph), frames)
    found = sdt_lava.simulate(graph, np.swapaxes(frames, 0, 1) / 64)
    for name in graph.lif_names:
        assert np.array_equal(expected[name], found.spikes[name]), name
        assert np.array_equal(expected[name], lowered[name]), name


def test_neurons_of_both_kinds_become_the_same_hardware_neuron(tmp_path):
    path = save(tmp_path / "model.pth.tar", official_content(official_config()))
    lifs = trace(load_model(path)).of_type(Lif)
    assert {(lif.voltage_decay, lif.current_decay) for lif in lifs} == {(2048, 4096)}
    assert {lif.threshold for lif in lifs} == {2.0, 1.0}
