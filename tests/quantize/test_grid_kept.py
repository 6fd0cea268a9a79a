"""Weights that were rounded once are exported as they are, whatever bounds their scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.datasets.base import Dataset
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.importers import trace
from sdt_lava.importers.grid import grid_of
from sdt_lava.ir import Dense, Graph, Input, Lif, Readout
from sdt_lava.quantize.post_training import CalibrationData, quantize
from sdt_lava.training.fine_tune import (
    ROUNDED_OPTIONS,
    RoundedWeights,
    _Rounding,
    fine_tune,
    fold_model,
)
from tests.families.sdt1.networks import lively_network

# Channels, levels of a unit and range of the input, as importing derives them from a data set.
LEVELS = {
    "mnist": (1, 79.0, (-34, 223)),
    "cifar10": (3, 63.0, (-123, 131)),
    "imagenet": (3, 57.0, (-121, 151)),
    "gesture": (2, 4.0, (0, 32)),
    "cifar10-dvs": (2, 4.0, (0, 9)),
    "digits": (1, 16.0, (0, 16)),
    "spikes": (2, 1.0, (0, 1)),
}


def network(levels: str, seed: int = 0):
    channels, scale, around = LEVELS[levels]
    config = SdtConfig(
        image_size=(8, 8), in_channels=channels, num_classes=10, dim=16, depth=1, timesteps=2,
        pooling_stat="0001", downsampling="max", neuron="lif", input_scale=scale,
        input_range=around,
    )  # fmt: skip
    return lively_network(config, seed=seed)


def samples(levels: str, count: int):
    channels, scale, (low, high) = LEVELS[levels]
    rng = np.random.default_rng(1)
    frames = rng.integers(low, high + 1, (count, channels, 8, 8)) / scale
    return Dataset("noise", frames.astype(np.float32), rng.integers(0, 10, count), 10)


def rounded(levels: str, bits: int, seed: int = 0):
    """A folded model with weights rounded as `fine_tune` leaves them."""
    folded = fold_model(network(levels, seed))
    _Rounding(folded, bits).apply()
    return folded


def lost(report):
    return {row.name: row.rounding_error for row in report.synapses if row.rounding_error > 1e-6}


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("levels", LEVELS)
def test_rounded_weights_are_exported_as_they_are(levels, bits):
    folded = rounded(levels, bits, seed=bits)
    for by_channel in (False, True):
        graph, report = quantize(trace(folded), bits, by_channel=by_channel)
        assert len(report.synapses) == 12 and not lost(report)
        again, _ = quantize(trace(folded), bits, by_channel=by_channel)
        for node in graph:
            if hasattr(node, "weight"):
                assert np.array_equal(node.weight, again.nodes[node.name].weight)
            if hasattr(node, "exponent"):
                assert np.array_equal(node.exponent, again.nodes[node.name].exponent)


@pytest.mark.parametrize("levels", ["mnist", "gesture"])
def test_scales_chosen_on_data_keep_the_grid(levels):
    folded = rounded(levels, 4)
    data = CalibrationData(samples(levels, 4).x, "noise")
    _, report = quantize(trace(folded), 4, data)
    assert not lost(report)
    assert report.choices is not None
    assert all(clip == 1 for group in report.choices.groups for clip in group.clips.values())


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_what_fine_tuning_announces_is_exported(bits):
    data = samples("mnist", 32)
    tuned, _ = fine_tune(network("mnist"), data, data, bits, replace(ROUNDED_OPTIONS, epochs=1))
    net, report = sdt_lava.to_network(tuned, bits)
    assert not lost(report)
    for row in report.synapses:
        node = net.nodes[row.name]
        layer = tuned.get_submodule(row.name).weight.detach().numpy().astype(np.float64)
        unit = net.input.scale if node.inputs == (net.input.name,) else 1.0
        real = node.weight * 2.0**node.exponent * unit / row.scale
        np.testing.assert_allclose(layer.reshape(real.shape), real, rtol=1e-5, atol=1e-9)


def test_what_rounding_leaves_lies_on_the_grid():
    weight = torch.tensor([0.1234567, -0.9, 0.55, 0.3333333])
    rounding = RoundedWeights(unit=0.0712345, steps=7)
    assert grid_of(rounding.round(weight).numpy(), 7) == pytest.approx(0.0712345, rel=1e-6)
    # What the gradient passes through has other last digits.
    np.testing.assert_allclose(rounding(weight).numpy(), rounding.round(weight).numpy(), rtol=1e-5)


@pytest.mark.parametrize("bits", range(2, 9))
def test_noise_of_single_precision_hides_no_grid(bits):
    rng = np.random.default_rng(bits)
    most = 2 ** (bits - 1) - 1
    exact = 0.0371 * rng.integers(-most, most + 1, 500)
    noisy = (exact * (1 + rng.uniform(-6e-8, 6e-8, exact.shape))).astype(np.float32)
    assert grid_of(noisy, most) == pytest.approx(grid_of(exact, most), rel=1e-6)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("largest", [1, 3, 5])
def test_a_head_that_does_not_fill_the_range_is_not_rounded(bits, largest):
    head = np.array([[1.0, -largest, 0.0], [2.0, 1.0, -1.0]]).clip(-largest, largest) / 64
    nodes = [
        Input(name="in", shape=(2,)),
        Dense(name="w", inputs=("in",), weight=np.ones((3, 2))),
        Lif(name="lif", inputs=("w",), threshold=1.0),
        Readout(name="head", inputs=("lif",), weight=head, bias=np.array([1 / 64, 0.0])),
    ]
    graph, report = quantize(Graph.build(nodes, 2), bits)
    assert not lost(report)
    readout = graph.readout
    assert np.abs(readout.weight).max() <= 254
    np.testing.assert_allclose(readout.weight / readout.scale, head, rtol=1e-12)
