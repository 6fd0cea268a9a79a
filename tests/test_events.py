"""Event data from training to Lava, and what a network does without events."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.backends.result import spike_differences
from sdt_lava.cli.train import Training, run_training
from sdt_lava.model import SpikeDrivenTransformer, preset
from sdt_lava.report.bias_driven import bias_driven_activity
from tests.families.sdt1.networks import lively_network
from tests.graphs import random_chain
from tests.needs import runnable

INTEGER_BACKENDS = ("reference", "engine", "lava")
SMALL = {"dim": 16, "num_heads": 2, "timesteps": 4}


def without_biases(model: SpikeDrivenTransformer) -> SpikeDrivenTransformer:
    """Set what becomes a bias to zero; the weights stay."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_mean") or (name.endswith("bias") and "head" not in name):
                value.zero_()
    return model


def recordings(samples, steps=8):
    return sdt_lava.load_dataset("synthetic-dvs", samples=samples).x[:, :steps]


def assert_equal_everywhere(net, x):
    """Run everywhere and return the engine's result."""
    results = {
        name: sdt_lava.simulate(net, x, name, timeout=200) for name in runnable(INTEGER_BACKENDS)
    }
    engine = results["engine"]
    for result in results.values():
        assert spike_differences(engine, result) == 0
        assert np.array_equal(engine.logits, result.logits)
        assert result.synops == engine.synops
    return engine


def test_an_untrained_event_network_is_the_same_everywhere(tmp_path):
    model = lively_network(preset("synthetic-dvs", **SMALL))
    sdt_lava.export(model, tmp_path / "net.h5")
    net = sdt_lava.load_network(tmp_path / "net.h5")
    result = assert_equal_everywhere(net, recordings(2, steps=5))
    assert all(spikes.shape[:2] == (5, 2) for spikes in result.spikes.values())
    assert sum(int(spikes.any()) for spikes in result.spikes.values()) >= len(result.spikes) - 1
    assert result.frames.max() > 1


def test_no_events_no_work(tmp_path):
    model = without_biases(lively_network(preset("synthetic-dvs", **SMALL)))
    sdt_lava.export(model, tmp_path / "net.h5")
    net = sdt_lava.load_network(tmp_path / "net.h5")
    busy = sdt_lava.simulate(net, recordings(1, steps=4))
    assert busy.synops.total > 0
    empty = assert_equal_everywhere(net, np.zeros((2, 4, *net.input_shape), np.float32))
    assert empty.synops.total == 0
    assert empty.synops.input_events == 0
    assert all(layer.events == 0 for layer in empty.synops.layers)
    assert not any(spikes.any() for spikes in empty.spikes.values())
    activity = bias_driven_activity(net)
    assert (activity.spikes, activity.steps, activity.synops) == (0, (), 0)
    assert "no spike" in str(activity)


@pytest.mark.parametrize("seed", range(5))
def test_no_events_no_work_in_any_network_without_biases(seed):
    net = random_chain(np.random.default_rng(seed), low=0, high=7, biases=False)
    assert bias_driven_activity(net, timesteps=9).synops == 0


def test_bias_driven_spikes_are_explained(tmp_path):
    model = lively_network(preset("synthetic-dvs", **SMALL))
    sdt_lava.export(model, tmp_path / "net.h5")
    net = sdt_lava.load_network(tmp_path / "net.h5")
    activity = bias_driven_activity(net, timesteps=6)
    empty = sdt_lava.simulate(net, np.zeros((1, 6, *net.input_shape)))
    assert activity.synops == empty.synops.total > 0
    assert activity.spikes == sum(int(spikes.sum()) for spikes in empty.spikes.values()) > 0
    assert {layer.name for layer in activity.layers} == set(empty.spikes)
    for layer in activity.layers:
        spikes = empty.spikes[layer.name]
        assert layer.steps == tuple(step for step in range(6) if spikes[step].any())
        assert layer.neurons == spikes[0].size
    assert f"{activity.spikes} bias-driven spikes in {len(activity.steps)} steps" in str(activity)


@pytest.mark.slow
def test_trained_on_events_exported_and_run(tmp_path):
    training = Training(preset="synthetic-dvs", out=tmp_path / "events.pt", epochs=6)
    assert run_training(training).test_accuracy >= 0.95
    sdt_lava.export(sdt_lava.load_model(training.out), tmp_path / "net.h5")
    net = sdt_lava.load_network(tmp_path / "net.h5")
    data = sdt_lava.load_dataset("synthetic-dvs")
    result = sdt_lava.simulate(net, data.x)
    assert np.mean(result.labels == data.y) >= 0.95
    assert_equal_everywhere(net, data.x[:3])
