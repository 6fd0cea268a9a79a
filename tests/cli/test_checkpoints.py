"""Commands that read checkpoints: which weights, which input levels; and tables of rates."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sdt_lava import load_model, load_network
from tests.families.sdt1.official_cases import (
    official_config,
    official_content,
    official_state,
    save,
)


@pytest.fixture
def files(tmp_path):
    config = official_config(depth=1, timesteps=2)
    both = official_content(config, state_dict_ema=official_state(config, seed=1))
    save(tmp_path / "both.pth.tar", both)
    save(tmp_path / "one.pth.tar", official_content(config, seed=1))
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (6, 2, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(6) % 3)
    return tmp_path


def test_the_average_wherever_a_checkpoint_is_read(run, files):
    both, one, data = files / "both.pth.tar", files / "one.pth.tar", files / "d.npz"
    code, out, _ = run("main", "export", both, "--ema", "--out", files / "ema.h5", "--json",
                       files / "r.json")  # fmt: skip
    assert code == 0 and "moving average" in out
    origin = json.loads((files / "r.json").read_text())["import"]
    assert origin["weights"] == "state_dict_ema"
    assert any(note.startswith("input levels 0..255, 1 a unit") for note in origin["notes"])
    # The same network, as the file that has nothing else makes it.
    run("main", "export", one, "--out", files / "one.h5")
    assert network_is_the_same(files / "ema.h5", files / "one.h5")
    run("main", "export", both, "--out", files / "both.h5")
    assert not network_is_the_same(files / "both.h5", files / "one.h5")

    code, out, errors = run("main", "compare", both, one, "--ema", "--data", data)
    assert code == 2 and "no state_dict_ema" in errors and "one.pth.tar" in errors
    code, out, errors = run("main", "compare", both, files / "ema.h5", "--data", data, "--json",
                            files / "c.json")  # fmt: skip
    assert code == 0 and "--ema" in errors
    other = json.loads((files / "c.json").read_text())
    run("main", "compare", both, files / "ema.h5", "--ema", "--data", data, "--json",
        files / "c.json")  # fmt: skip
    same = json.loads((files / "c.json").read_text())
    assert decisions(same) < decisions(other)

    train = ("--data", data, "--test-data", data, "--epochs", 1)
    assert run("main", "finetune", both, "--ema", *train, "--out", files / "t.pt")[0] == 0
    assert run("main", "convert", both, "--ema", "--pooling", "or", "--out", files / "o.pt")[0] == 0
    converted, expected = load_model(files / "o.pt").state_dict(), load_model(one).state_dict()
    assert all((converted[name] == value).all() for name, value in expected.items())
    sweep = ("--bits", "8", "--shortcut", "relay", "--data", data)
    assert run("main", "sweep", both, "--ema", *sweep, "--out", files / "s")[0] == 0
    assert network_is_the_same(files / "s" / "8-bit" / "net.h5", files / "one.h5")


def decisions(comparison):
    return sum(layer["differing"] for layer in comparison["layers"])


def network_is_the_same(left, right):
    nodes = [load_network(path).nodes for path in (left, right)]
    return all(
        np.array_equal(node.weight, nodes[1][name].weight)
        for name, node in nodes[0].items()
        if isinstance(getattr(node, "weight", None), np.ndarray)
    )


def test_calibration_chooses_levels_of_unknown_data(run, files):
    x = np.random.default_rng(1).integers(0, 256, (6, 2, 16, 16)) / 255
    np.savez(files / "pixels.npz", x=x.astype(np.float32), y=np.zeros(6, int))
    out = files / "net.h5"
    code, text, _ = run("main", "export", files / "one.pth.tar", "--out", out, "--calibration",
                        files / "pixels.npz")  # fmt: skip
    assert code == 0 and "steps of 1/255" in " ".join(text.split())
    assert load_network(out).input.scale == 255


def test_rates_of_a_run_are_written_and_read(run, network, tmp_path):
    rates = tmp_path / "rates.csv"
    data = ("--data", "digits", "--samples", 4)
    assert run("main", "energy", network, *data, "--write-rates", rates, "--json")[0] == 0
    names = [line.split(",")[0] for line in rates.read_text().splitlines()]
    assert names[0] == "name" and {"block.0.attn.mask", "block.0.attn.q_lif"} <= set(names)
    arguments = ("--preset", "digits", "--downsampling", "stride", "--rates", rates)
    code, out, _ = run("main", "energy", *arguments)
    assert code == 0 and "energy of a sample" in out and "ignored" in out and "lack" not in out
    _, out, _ = run("main", "energy", *arguments, "--json")
    content = json.loads(out)
    assert content["energy"]["missing_rates"] == [] and content["ignored_rates"]
    # The other way round.
    code, _, errors = run("main", "energy", *arguments, "--write-rates", rates)
    assert code == 2 and "--write-rates" in errors
    code, _, errors = run("main", "energy", network, *data, "--rates", rates)
    assert code == 2 and "--write-rates" in errors
    code, _, errors = run("main", "energy", network, *data, "--write-rates", network)
    assert code == 2


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        ("sim", ["{checkpoint}", "--data", "digits"], "sdt-lava export"),
        ("evaluate", ["{checkpoint}", "--data", "digits", "--out", "{tmp}/e"], "sdt-lava export"),
        ("energy", ["{checkpoint}", "--data", "digits"], "sdt-lava export"),
        ("report", ["{checkpoint}", "--data", "digits", "--out", "{tmp}/r"], "sdt-lava export"),
        ("export", ["{network}", "--out", "{tmp}/n.h5"], "sdt-lava info"),
        ("finetune", ["{network}", "--data", "digits", "--out", "{tmp}/n.pt"], "sdt-lava info"),
        ("sweep", ["{network}", "--data", "digits", "--out", "{tmp}/s"], "sdt-lava info"),
        ("convert", ["{network}", "--pooling", "or", "--out", "{tmp}/n.pt"], "sdt-lava info"),
        ("export", ["{checkpoint}", "--config", "{network}", "--out", "{tmp}/n.h5"], "info"),
        ("sim", ["{network}", "--data", "{checkpoint}"], "sdt-lava export"),
        ("check", ["{nir}"], "sdt-lava nir"),
    ],
)
def test_files_in_anothers_place(command, arguments, said, run, checkpoint, network, tmp_path):
    nir = tmp_path / "g.nir"
    if "{nir}" in arguments:
        nir.write_bytes(nir_file(tmp_path / "g.h5"))
    paths = {"checkpoint": checkpoint, "network": network, "tmp": tmp_path, "nir": nir}
    code, _, errors = run("main", command, *(text.format(**paths) for text in arguments))
    assert code == 2
    assert said in " ".join(errors.split())


def nir_file(path):
    import h5py

    with h5py.File(path, "w") as file:
        file.create_group("node/nodes/input")
        file["version"] = "1.0"
    return path.read_bytes()
