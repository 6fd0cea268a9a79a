"""Remedies of quantization: more bits, other levels, other units."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import sdt_lava
from sdt_lava.families import save_checkpoint
from sdt_lava.io.netx import load_network
from sdt_lava.ir import Dense, Graph, Input, Lif
from sdt_lava.quantize.post_training import CalibrationData, quantize
from tests.families.sdt1.networks import lively_network, tiny_config
from tests.quantize.test_reachable import network
from tests.remedies.said import refusal


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


def test_calibration_is_tried_with_the_data():
    """Wider weights are proposed on the user's data, not on noise."""
    graph = network([[1.0, 0.49, 0.0, 0.0]], timesteps=1, threshold=1.2)
    data = CalibrationData(np.ones((2, 4)), "ones", choose=False)
    assert "--bits 8" in refusal(lambda: quantize(graph, 2, data), "take 8 bits")
