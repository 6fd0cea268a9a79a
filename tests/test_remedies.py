"""Refusals whose remedy says what to do: each is provoked, its remedy applied, and it helps.

Commands and arguments are taken from the message and run as they stand there. Remedies of lava-dl's
files are run in `tests/io/netx/test_front_door.py`, raised limits in `tests/cli/test_allow.py`.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava import cli
from sdt_lava.errors import SdtLavaError
from sdt_lava.families import load_model, save_checkpoint
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.ir import Dense, Graph, Input, Lif
from sdt_lava.model import SpikeDrivenTransformer
from sdt_lava.nir import NirOptions, from_nir, save_nir, to_nir
from sdt_lava.quantize.post_training import CalibrationData, quantize
from tests.families.sdt1.networks import lively_network, tiny_config
from tests.families.sdt1.official_cases import (
    YML,
    official_config,
    official_content,
    official_state,
    save,
    training_arguments,
    write_yml,
)
from tests.graphs import random_chain, random_sdt_graph
from tests.importers.nir.test_foreign import DT, chain, conv, cuba, filled, integrate, lif
from tests.io.netx.test_front_door import write as write_stock
from tests.quantize.test_reachable import network

# What refuses, what its remedy says, and what a user does who follows it.
Case = tuple[Callable[[], Any], str, Callable[[str], Any]]


def refusal(refuses: Callable[[], Any], said: str) -> str:
    """Return the remedy of an error."""
    with pytest.raises(SdtLavaError) as caught:
        refuses()
    assert re.search(said, caught.value.remedy), caught.value.remedy or str(caught.value)
    return caught.value.remedy


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command line; returns its exit code and its words."""

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["sdt-lava", *map(str, words)])
        with pytest.raises(SystemExit) as ending:
            cli.main()
        return ending.value.code or 0, " ".join("".join(capsys.readouterr()).split())

    return run


# -- quantize ----------------------------------------------------------------------------------


def proposed(remedy: str) -> dict[str, Any]:
    """Return the options of a remedy as arguments of Python."""
    found: dict[str, Any] = {}
    for option, value in re.findall(r"\(--([a-z-]+) (\w+)\)", remedy):
        found.setdefault(option.replace("-", "_"), int(value) if value.isdigit() else value)
    return found


def counted(high: int, weight: float, inputs: int = 100) -> Graph:
    """A dense layer on counts."""
    weights = np.full((2, inputs), weight)
    weights[:, ::7] *= -0.1
    return Graph.build(
        [
            Input(name="in", shape=(inputs,), low=0, high=high),
            Dense(name="w", inputs=("in",), weight=weights),
            Lif(name="n", inputs=("w",), threshold=1.0),
        ],
        2,
    )


# Graph, arguments that are refused, and options that the remedy has to name.
QUANTIZE = {
    "a threshold that two bits put out of reach": (
        network([[1.0, 0.49, 0.0, 0.0]], timesteps=1, threshold=1.2), {"bits": 2}, {"bits"},
    ),
    "a threshold of less than a step": (
        network(np.eye(4) * 300, threshold=2.0, timesteps=2), {"bits": 2}, {"bits"},
    ),
    "fitted weights of a few bits": (
        counted(255, 0.001), {"bits": 4, "first_layer": "fitted"}, {"first_layer"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", QUANTIZE)
def test_weights_that_are_proposed_fit(name):
    graph, refused, options = QUANTIZE[name]
    remedy = refusal(lambda: quantize(graph, **refused), "take ")
    found = proposed(remedy)
    assert set(found) >= options
    for option, value in found.items():
        quantized, _ = quantize(graph, **{**refused, option: value})
        assert all(np.any(node.weight) for node in quantized.of_type(Dense))


def test_no_bits_are_proposed_that_do_not_help():
    """All bits are taken already, or biases are what is too large."""
    small = network(np.full((3, 4), 1.0), branch=np.full((3, 4), 1e-9))
    large = network(np.eye(4), bias=np.full(4, 1e6), threshold=1e-3)
    for graph in (small, large):
        for bits in (2, 8):
            remedy = refusal(lambda g=graph, b=bits: quantize(g, b), "unit")
            assert "--bits" not in remedy


def test_layers_in_the_right_unit():
    """What is said of an emptied layer and of one whose threshold is lost: look at the unit."""
    refusal(lambda: quantize(network(np.eye(4) * 1e-7, timesteps=10**7)), "check the unit")
    quantize(network(np.eye(4), timesteps=10))
    branch = np.full((3, 4), 1e-7)
    refusal(lambda: quantize(network(np.ones((3, 4)), branch=branch)), "remove the layer")
    quantize(network(np.ones((3, 4))))


def test_levels_that_are_assumed(tmp_path, command):
    """A note, not a refusal; the option that it names chooses levels."""
    model = lively_network(tiny_config(in_channels=2, input_scale=1.0, input_range=(0, 255)))
    model.assumes_levels = True
    save_checkpoint(tmp_path / "m.pt", model)
    x = (np.arange(3 * 2 * 8 * 8).reshape(3, 2, 8, 8) % 9 / 4).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.zeros(3, np.int64))
    words = ["export", tmp_path / "m.pt", "--out", tmp_path / "n.h5"]
    code, said = command(*words)
    assert code == 0 and "--calibration DATA chooses them" in said
    code, said = command(*words, "--calibration", tmp_path / "x.npz")
    assert code == 0 and "multiples of 1/4" in said
    assert load_network(tmp_path / "n.h5").input.scale == 4.0


def test_relays_that_are_declined(tmp_path, command):
    """A sentence of the export names the option, and whoever passes it has no relay."""
    levels = {"input_scale": 255.0, "input_range": (0, 255)}
    save_checkpoint(tmp_path / "m.pt", lively_network(tiny_config(in_channels=2, **levels)))
    words = ["export", tmp_path / "m.pt", "--out", tmp_path / "n.h5"]
    code, said = command(*words)
    option = re.search(r"relay with a neuron for each .* which (--first-layer fitted) saves", said)
    assert code == 0 and option
    assert sdt_lava.compile(load_network(tmp_path / "n.h5"), "loihi2").shifted
    code, said = command(*words, *option[1].split())
    assert code == 0 and "shifted to the right" not in said
    assert not sdt_lava.compile(load_network(tmp_path / "n.h5"), "loihi2").shifted


# -- checkpoints -------------------------------------------------------------------------------


CONFIG = official_config()


def compressed(path: Path) -> Path:
    """Pack a checkpoint as a zip program does."""
    save(path, official_content(CONFIG))
    repacked(path, zipfile.ZIP_DEFLATED)
    return path


def repacked(path: Path, method: int) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def old_format(path: Path) -> Path:
    torch.save(official_content(CONFIG), path, _use_new_zipfile_serialization=False)
    return path


def saved_again(path: Path) -> None:
    # Where it was made, its classes are known.
    content = torch.load(path, weights_only=False)
    torch.save({"state_dict": content["state_dict"]}, path)


def checkpoint_cases(folder: Path) -> Iterator[tuple[str, Case]]:
    """Yield the refusals of checkpoints."""
    path, yml = folder / "m.pth", folder / "conf.yml"
    state = official_state(CONFIG)
    content = official_content(CONFIG)
    averaged = {"state_dict_ema": state, "args": content["args"]}
    both_heads = state | {"head_dist.weight": torch.zeros(3, 16), "head_dist.bias": torch.ones(3)}
    more = state | {"head.total_ops": torch.zeros(3)}
    own = load_model(save(folder / "first.pth", content))
    wide = training_arguments(official_config(dim=32))

    def load(value: Any = None, config: Any = None, **options: Any) -> Callable[[], Any]:
        return lambda: load_model(path if value is None else save(path, value), config, **options)

    def as_own() -> Any:
        save_checkpoint(path, own)
        return load_model(path, ema=True)

    def without_second(_: str) -> Any:
        joined = dict(state)
        for part in ("weight", "bias"):
            joined[f"head.{part}"] = (state[f"head.{part}"] + both_heads[f"head_dist.{part}"]) / 2
        return load({**content, "state_dict": joined})()

    def taken_out(remedy: str) -> Any:
        expression = re.search(r"torch\.save\(.*'weights\.pt'\)", remedy)
        assert expression
        exec(expression[0].replace("'weights.pt'", "WEIGHTS"), {
            "torch": torch, "FILE": path, "WEIGHTS": folder / "weights.pt",
        })  # fmt: skip
        return load_model(folder / "weights.pt", CONFIG)

    write_yml(yml, YML)
    yield "no moving average", (
        load(content, ema=True), "without --ema", lambda _: load_model(path)
    )  # fmt: skip
    yield "only a moving average", (
        load(averaged), "pass --ema", lambda _: load_model(path, ema=True)
    )  # fmt: skip
    yield "a moving average of our own", (as_own, "leave out --ema", lambda _: load_model(path))
    yield "no configuration", (
        load({"state_dict": state}), "--config .*conf.yml", lambda _: load_model(path, CONFIG)
    )  # fmt: skip
    yield "a bare state dict of ours", (
        load(own.state_dict()), "--config .*JSON", lambda _: load_model(path, own.config)
    )  # fmt: skip
    yield "unknown arguments", (
        load({**content, "args": training_arguments(CONFIG, gate=3)}), "--config FILE",
        lambda _: load_model(path, CONFIG),
    )  # fmt: skip
    yield "contradicting weights", (
        load({**content, "args": wide}), "conf.yml or the preset",
        lambda _: load_model(path, CONFIG),
    )  # fmt: skip
    yield "another structure", (
        load(content, official_config(pooling_stat="1100")), "or none: its own arguments",
        lambda _: load_model(path),
    )  # fmt: skip
    yield "weights that nobody finds", (
        load({"generator": {"best": state}, "a": 1}), "torch.save", taken_out,
    )  # fmt: skip
    yield "a second head", (
        load({**content, "state_dict": both_heads}), "average their weights", without_second,
    )  # fmt: skip
    yield "a tensor too many", (
        load({**content, "state_dict": more}), "without them",
        lambda _: load({**content, "state_dict": state})(),
    )  # fmt: skip
    yield "a compressed archive", (
        lambda: load_model(compressed(path)), "zip -0",
        lambda _: (repacked(path, zipfile.ZIP_STORED), load_model(path)),
    )  # fmt: skip
    yield "the format of old torch", (
        lambda: load_model(old_format(path)), "save it again with torch.save",
        lambda _: (saved_again(path), load_model(path, CONFIG)),
    )  # fmt: skip
    two = {"time_steps": 4, "T": 6}
    yield "two values of one argument", (
        load({**content, "args": {**vars(content["args"]), **two}}), "leave out the one",
        lambda _: load({**content, "args": {**vars(content["args"]), "time_steps": 4}})(),
    )  # fmt: skip


CHECKPOINTS = [
    "no moving average", "only a moving average", "a moving average of our own",
    "no configuration", "a bare state dict of ours", "unknown arguments", "contradicting weights",
    "another structure", "weights that nobody finds", "a second head", "a tensor too many",
    "a compressed archive", "the format of old torch", "two values of one argument",
]  # fmt: skip


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints(name, tmp_path):
    cases = dict(checkpoint_cases(tmp_path))
    assert list(cases) == CHECKPOINTS
    refuses, said, mend = cases[name]
    found = mend(refusal(refuses, said))
    model = found[-1] if isinstance(found, tuple) else found
    assert isinstance(model, SpikeDrivenTransformer)


def test_configurations_on_the_command_line(tmp_path, command):
    """What --config is said to take, it takes: a preset, a JSON file, a conf.yml."""
    save(tmp_path / "w.pth", {"state_dict": official_state(CONFIG)})
    words = ["export", tmp_path / "w.pth", "--out", tmp_path / "n.h5"]
    code, said = command(*words)
    assert code == 2 and "pass --config" in said
    config = tmp_path / "conf.json"
    config.write_text(json.dumps(CONFIG.to_dict()))
    assert command(*words, "--config", config)[0] == 0


# -- files in another's place ------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    model = lively_network(tiny_config(image_size=(8, 8)))
    save_checkpoint(tmp_path / "m.pt", model)
    sdt_lava.export(model, tmp_path / "n.h5")
    net = load_network(tmp_path / "n.h5")
    stock = load_network(write_stock(tmp_path / "s.net"))
    save_nir(stock, tmp_path / "s.nir")
    x = np.zeros((2, *net.input_shape), np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=np.zeros(2, np.int64))
    (tmp_path / "c.json").write_text(json.dumps(model.config.to_dict()))
    return tmp_path


EXPORT = ["export", "m.pt", "--out", "o.h5"]


@pytest.mark.parametrize(
    ("words", "follow"),
    [
        (["map", "m.pt"], []),
        (["map", "s.nir"], []),
        (["export", "n.h5", "--out", "o.h5"], []),
        (["export", "s.nir", "--out", "o.h5"], []),
        (["evaluate", "n.h5", "--data", "m.pt", "--out", "e"], []),
        ([*EXPORT, "--config", "n.h5"], []),
        (["export", "d.npz", "--out", "o.h5"], [*EXPORT, "--calibration"]),
        (["map", "d.npz"], ["map", "n.h5"]),
        (["map", "c.json"], EXPORT),
    ],
    ids=lambda words: " ".join(words),
)  # fmt: skip
def test_commands_for_files_in_anothers_place(words, follow, files, command, monkeypatch):
    monkeypatch.chdir(files)
    code, said = command(*words)
    assert code == 2
    found = re.search(r"(sdt-lava [a-z]+ .*?|--(?:data|config) \S+)\s*$", said)
    assert found, said
    proposal = shlex.split(found[1])
    if proposal[0] == "sdt-lava":
        code, said = command(*proposal[1:])
    elif follow[-1:] == ["--calibration"]:
        code, said = command(*follow, proposal[1])
    else:
        code, said = command(*follow, *proposal)
    assert code == 0, said


# -- NIR ---------------------------------------------------------------------------------------

VECTOR = nir.Input(np.array([4]))
MATRIX = nir.Linear(np.ones((3, 4)))


def unsaid() -> nir.NIRGraph:
    """A graph that does not say the shape of its input."""
    rng = np.random.default_rng(0)
    layer = conv(rng, (2, 6, 6), 3)
    layer.input_shape = None
    graph = chain(nir.Input(np.array([2, 6, 6])), layer, integrate(3, 6, 6, threshold=0.2))
    graph.nodes["input"].input_type = {"input": np.array([])}
    return graph


def options_of(remedy: str) -> dict[str, Any]:
    """Return the options of the command line in a remedy as those of Python."""
    found: dict[str, Any] = {}
    for option, value in re.findall(r"--(dt|timesteps) ([\d.e-]*\d)", remedy):
        found.setdefault(option, float(value) if option == "dt" else int(value))
    return found


def nir_from(graph: nir.NIRGraph, **options: Any) -> Callable[[], Any]:
    return lambda: from_nir(graph, NirOptions(**{"timesteps": 4, "dt": DT, **options}))


def changed_file() -> nir.NIRGraph:
    graph = to_nir(random_chain(np.random.default_rng(0), convs=(4,), denses=(4,)))
    node = next(n for n in graph.nodes.values() if hasattr(n, "weight"))
    node.weight = node.weight + 0.25
    return graph


NIR_CASES: dict[str, tuple[nir.NIRGraph, str, Callable[[nir.NIRGraph, str], Any]]] = {
    "too short a time constant": (
        chain(VECTOR, MATRIX, lif(3, tau=DT / 2)), "at most --dt 5e-05",
        lambda graph, remedy: nir_from(graph, **options_of(remedy))(),
    ),
    "steps for seconds": (
        chain(VECTOR, MATRIX, lif(3, tau=20.0)), r"pass dt \(--dt 1\)",
        lambda graph, remedy: nir_from(graph, **options_of(remedy))(),
    ),
    "a delay of currents": (
        chain(VECTOR, MATRIX, nir.Delay(filled(DT, 3)), integrate(3)), "Delay before the weights",
        lambda *_: nir_from(chain(VECTOR, nir.Delay(filled(DT, 4)), MATRIX, integrate(3)))(),
    ),
    "an image as the result": (
        chain(nir.Input(np.array([1, 4, 4])), conv(np.random.default_rng(0), (1, 4, 4), 2),
              nir.Output(np.array([2, 4, 4]))),
        "put a Flatten or neurons",
        lambda *_: [
            nir_from(chain(
                nir.Input(np.array([1, 4, 4])), conv(np.random.default_rng(0), (1, 4, 4), 2),
                between, nir.Output(np.array(shape)),
            ))()
            for between, shape in (
                (nir.Flatten(np.array([2, 4, 4]), 0, -1), [32]),
                (integrate(2, 4, 4, threshold=0.2), [2, 4, 4]),
            )
        ][-1],
    ),
    "a shape that nobody says": (
        unsaid(), "--input-shape C,H,W", lambda graph, _: nir_from(graph, input_shape=(2, 6, 6))(),
    ),
    "integers that somebody changed": (
        changed_file(), "requantize", lambda graph, _: nir_from(graph, requantize=True)(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NIR_CASES)
def test_nir(name):
    graph, said, mend = NIR_CASES[name]
    found, _ = mend(graph, refusal(nir_from(graph), said))
    assert found.lif_names or found.readout


def test_thresholds_that_more_steps_reach():
    graph = chain(VECTOR, nir.Linear(np.full((3, 4), 0.01)), integrate(3, threshold=1.0))
    remedy = refusal(nir_from(graph), "--timesteps")
    found, _ = nir_from(graph, **options_of(remedy))()
    assert sdt_lava.simulate(found, np.ones((1, 4)), "reference").spikes["if"].any()


def test_delays_of_graded_input():
    """The data are delayed in the graph's place: their first step comes later."""
    delayed = chain(VECTOR, nir.Delay(filled(DT, 4)), MATRIX, cuba(3))
    refusal(nir_from(delayed, input_range=(0, 9)), "delay the data instead")
    nir_from(chain(VECTOR, MATRIX, cuba(3)), input_range=(0, 9))()


def test_options_of_nir_on_the_command_line(tmp_path, command):
    nir.write(tmp_path / "g.nir", chain(VECTOR, MATRIX, integrate(3)))
    words = ["nir", tmp_path / "g.nir", "--out", tmp_path / "n.h5"]
    code, said = command(*words)
    assert code == 2 and "(--timesteps N)" in said
    assert command(*words, "--timesteps", 4)[0] == 0
    code, said = command("nir", tmp_path / "g.nir", "--out", tmp_path / "n.nir")
    assert code == 2 and "name the NIR file NAME.nir" in said


# -- network files -----------------------------------------------------------------------------


def test_graphs_that_are_not_integers(tmp_path):
    graph = network(np.eye(4), bias=np.zeros(4))
    refusal(lambda: save_network(graph, tmp_path / "n.h5"), "quantize the network first")
    save_network(quantize(graph)[0], tmp_path / "n.h5")


def test_odd_weights_of_nine_bits(tmp_path):
    weight = np.array([[251, -30], [3, 4]])
    nodes = [
        Input(name="in", shape=(2,)),
        Dense(name="w", inputs=("in",), weight=weight),
        Lif(name="n", inputs=("w",), threshold=9),
    ]
    refusal(lambda: save_network(Graph.build(nodes, 2), tmp_path / "n.h5"), "round to even numbers")
    nodes[1] = replace(nodes[1], weight=2 * np.rint(weight / 2).astype(np.int64))
    save_network(Graph.build(nodes, 2), tmp_path / "n.h5")


def test_compiled_graphs(tmp_path):
    net = random_sdt_graph(np.random.default_rng(0), channels=4, image=(1, 4, 4))
    compiled = sdt_lava.compile(net)
    refusal(lambda: save_network(compiled.graph, tmp_path / "n.h5"), "before the compiler")
    save_network(compiled.source, tmp_path / "n.h5")


def test_metadata_that_json_cannot_hold(tmp_path):
    net = random_sdt_graph(np.random.default_rng(0), channels=4, image=(1, 4, 4))
    refusal(
        lambda: save_network(net.with_metadata(note=np.ones(3)), tmp_path / "n.h5"),
        "convert the values, or leave them out",
    )
    save_network(net.with_metadata(note=np.ones(3).tolist()), tmp_path / "n.h5")
    save_network(net, tmp_path / "n.h5")


def test_layers_of_files_of_ours(tmp_path, command):
    net = random_sdt_graph(np.random.default_rng(0), channels=4, image=(1, 4, 4))
    save_network(net, tmp_path / "n.h5")
    refusal(lambda: load_network(tmp_path / "n.h5", num_layers=2), "--num-layers, --skip-layers")
    load_network(tmp_path / "n.h5")
    stock = write_stock(tmp_path / "s.net")
    refusal(lambda: load_network(stock, skip_layers=9), "leave num_layers and skip_layers")
    refusal(lambda: load_network(stock, input_shape=(2, 9, 9)), "leave input_shape")
    load_network(stock)
    assert command("info", stock)[0] == 0


def test_calibration_is_tried_with_the_data():
    """Wider weights are proposed on the user's data, not on noise."""
    graph = network([[1.0, 0.49, 0.0, 0.0]], timesteps=1, threshold=1.2)
    data = CalibrationData(np.ones((2, 4)), "ones", choose=False)
    assert "--bits 8" in refusal(lambda: quantize(graph, 2, data), "take 8 bits")
