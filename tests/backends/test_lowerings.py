"""The lowerings on every back end: what simulate() returns does not depend on them."""

from __future__ import annotations

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.result import spike_differences
from sdt_lava.errors import ConfigError, DataError
from tests.graphs import random_frames, random_sdt_graph
from tests.needs import runnable

CHOICES = {
    "unrolled": {"shortcut": "unrolled"},
    "auto": {"shortcut": "auto", "sdsa": "auto"},
    "columnless": {"sdsa": "columnless"},
    "unrolled, column gates": {"shortcut": "unrolled", "sdsa": "column-gate"},
    "mixed": {
        "shortcut": {"patch.shortcut": "unrolled", "block.0.attn.shortcut": "relay"},
        "sdsa": {"block.0.attn.attn_lif": "columnless"},
    },
}
NETWORKS = {
    "odd sides": {"image": (2, 5, 3), "channels": 3, "blocks": 2},
    "subsampled": {"image": (2, 6, 5), "channels": 3, "downsampling": "subsample"},
    "max-pool": {"image": (2, 5, 4), "channels": 2, "downsampling": "max", "timesteps": 2},
    "dilations": {"image": (2, 4, 3), "channels": 4, "dilation_heads": 2},
    "one step, one channel": {"image": (1, 3, 2), "channels": 1, "timesteps": 1},
}


def network_and_input(name, batch=3, **changes):
    rng = np.random.default_rng(len(name))
    graph = random_sdt_graph(rng, **{**NETWORKS[name], **changes})
    frames = random_frames(rng, graph, batch=batch)
    return graph, np.swapaxes(frames, 0, 1) / graph.input.scale


def assert_same(left, right):
    assert set(left.spikes) == set(right.spikes)
    assert spike_differences(left, right) == 0
    assert np.array_equal(left.logits, right.logits)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_choice_on_every_back_end(network, choice):
    graph, x = network_and_input(network)
    expected = sdt_lava.simulate(graph, x, "reference")
    assert expected.compiled is None
    for backend in runnable(["engine", "reference", "machine", "lava-inprocess"]):
        found = sdt_lava.simulate(graph, x, backend, **CHOICES[choice])
        assert_same(expected, found)
        assert found.compiled is not None


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "choice"), [("subsampled", "unrolled"), ("dilations", "columnless")]
)
def test_lava_with_a_process_for_each_lava_process(network, choice):
    graph, x = network_and_input(network)
    engine = sdt_lava.simulate(graph, x, "engine")
    found = sdt_lava.simulate(graph, x, "lava", timeout=120, **CHOICES[choice])
    assert_same(engine, found)


@pytest.mark.lava
def test_one_gate_for_one_token_in_lava():
    graph, x = network_and_input("odd sides", image=(2, 1, 1), downsampling="none", blocks=1)
    engine = sdt_lava.simulate(graph, x, "engine")
    assert_same(engine, sdt_lava.simulate(graph, x, "lava-inprocess", sdsa="single-gate"))


@pytest.mark.lava
@pytest.mark.slow
def test_a_deep_unrolled_stack_in_lava():
    """Eleven blocks: spikes wait longer than 62 steps, on the way through gates."""
    rng = np.random.default_rng(4)
    graph = random_sdt_graph(
        rng, image=(1, 2, 2), channels=2, blocks=11, timesteps=2, downsampling="none", mlp_ratio=1
    )
    x = np.swapaxes(random_frames(rng, graph, batch=2), 0, 1) / graph.input.scale
    engine = sdt_lava.simulate(graph, x, "engine")
    found = sdt_lava.simulate(graph, x, "lava-inprocess", shortcut="unrolled")
    assert found.compiled.splits
    assert_same(engine, found)


def test_a_stream_through_a_lowered_network():
    graph, x = network_and_input("odd sides", batch=5)
    expected = sdt_lava.simulate(graph, x, reset=False)
    for options in ({}, {"batch_size": 2}):
        found = sdt_lava.simulate(
            graph, x, reset=False, shortcut="unrolled", sdsa="columnless", **options
        )
        assert_same(expected, found)


def test_counts_of_what_ran():
    graph, x = network_and_input("odd sides")
    plain = sdt_lava.simulate(graph, x)
    with pytest.raises(DataError, match="compiled_counts"):
        _ = plain.compiled_counts
    relay = sdt_lava.simulate(graph, x, shortcut="relay")
    unrolled = sdt_lava.simulate(graph, x, shortcut="unrolled")
    assert relay.compiled_counts.synops == plain.counts.synops == unrolled.counts.synops
    assert unrolled.compiled_counts.synops != plain.counts.synops
    assert unrolled.compiled_counts.graded_messages < plain.counts.graded_messages
    assert unrolled.timing.latency < relay.timing.latency == plain.timing.latency


@pytest.mark.parametrize("option", ["shortcut", "sdsa"])
def test_the_float_model_is_not_lowered(option):
    model = object()  # whatever is not a graph
    with pytest.raises(ConfigError, match=f"{option}.*torch"):
        sdt_lava.simulate(model, np.zeros((1, 1, 8, 8)), **{option: "auto"})
