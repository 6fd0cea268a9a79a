"""Counts made while the engine runs, against those of a replay of the recorded spikes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sdt_lava
from sdt_lava.counts.events import count_events
from sdt_lava.counts.fused_counts import counted, fused_counts
from sdt_lava.ir import CubaLif, Dense, Graph, Input, Lif, Readout
from sdt_lava.ir.numerics import THRESHOLD_LIMIT
from tests.graphs import random_chain, random_frames, random_sdt_graph


def assert_same(found, expected):
    assert [layer.name for layer in found.layers] == [layer.name for layer in expected.layers]
    for one, other in zip(found.layers, expected.layers, strict=True):
        assert np.array_equal(one.events, other.events), one.name
        for left, right in zip(one.connections, other.connections, strict=True):
            assert left.name == right.name
            assert np.array_equal(left.events, right.events), left.name
            assert np.array_equal(left.operations, right.operations), left.name
    assert found.samples == expected.samples and found.timesteps == expected.timesteps


def run(graph: Graph, frames: np.ndarray, **options):
    x = np.swapaxes(frames, 0, 1) / graph.input.scale
    return sdt_lava.simulate(graph, x, "engine", strict=False, **options)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    channels=st.sampled_from([1, 3, 64, 70]),
    timesteps=st.integers(1, 4),
    downsampling=st.sampled_from(["or", "max", "stride", "subsample", "none"]),
    heads=st.sampled_from([0, 2]),
    batch_size=st.sampled_from([None, 2]),
    fill=st.sampled_from(["random", "zero", "static"]),
)
def test_transformers(
    seed, sides, channels, timesteps, downsampling, heads, batch_size, fill
):  # fmt: skip
    rng = np.random.default_rng(seed)
    graph = random_sdt_graph(
        rng, image=(2, *sides), channels=channels * max(heads, 1), timesteps=timesteps,
        downsampling=downsampling, dilation_heads=heads,
    )  # fmt: skip
    frames = random_frames(rng, graph, batch=3)
    if fill != "random":
        frames[:] = frames[0] if fill == "static" else 0
    # Dilated tokens reach differently many channels: such networks are replayed.
    assert heads or counted(graph) is not None
    result = run(graph, frames, batch_size=batch_size, count=True)
    expected = count_events(graph, result.frames, result.spikes)
    assert (result.counted is None) == (counted(graph) is None)
    assert_same(result.counts, expected)
    later = run(graph, frames, batch_size=batch_size)
    assert later.counted is None
    assert_same(later.counts, expected)


@pytest.mark.parametrize("seed", range(3))
def test_chains(seed):
    rng = np.random.default_rng(seed)
    graph = random_chain(rng, timesteps=3)
    frames = random_frames(rng, graph, batch=2)
    result = run(graph, frames, count=True)
    assert_same(result.counts, count_events(graph, result.frames, result.spikes))


def test_recurrent_neurons():
    rng = np.random.default_rng(0)
    graph = Graph.build(
        [
            Input(name="input", shape=(5,), low=0, high=1),
            Dense(name="dense", inputs=("input",), weight=2 * rng.integers(-99, 99, (7, 5))),
            CubaLif(
                name="lif",
                inputs=("dense",),
                threshold=40,
                voltage_decay=1024,
                current_decay=4096,
                weight_rec=2 * rng.integers(-40, 40, (7, 7)),
            ),
        ],
        timesteps=6,
    )
    frames = random_frames(rng, graph, batch=3)
    result = run(graph, frames, count=True)
    assert result.counted is not None and result.spikes["lif"].any()
    assert_same(result.counts, count_events(graph, result.frames, result.spikes))


def test_other_spikes_than_the_engines_are_replayed():
    rng = np.random.default_rng(3)
    graph = random_sdt_graph(rng, channels=8)
    frames = random_frames(rng, graph, batch=2)
    result = run(graph, frames)
    spikes = {name: np.array(values) for name, values in result.spikes.items()}
    assert_same(
        fused_counts(graph, result.frames, spikes, is_engines=False),
        count_events(graph, result.frames, spikes),
    )
    name = graph.lif_names[-1]
    spikes[name][0, 1] ^= 1
    assert fused_counts(graph, result.frames, spikes, is_engines=False) is None


@pytest.mark.parametrize("options", [{"reset": False}, {"shortcut": "unrolled"}])
def test_what_cannot_be_counted_along_the_way_is_replayed(options):
    rng = np.random.default_rng(4)
    graph = random_sdt_graph(rng, channels=8)
    frames = random_frames(rng, graph, batch=2)
    result = run(graph, frames, count=True, **options)
    assert result.counted is None
    assert_same(result.counts, count_events(graph, result.frames, result.spikes))


def test_overflowing_batches_count_the_readout_without_its_bias():
    """They are computed by the interpreter, whose readout has the bias that the host adds."""
    rng = np.random.default_rng(5)
    weight = np.full((4, 6), 254)
    nodes = [
        Input(name="input", shape=(6,), low=0, high=2**20, scale=1.0),
        Dense(name="dense", inputs=("input",), weight=weight, exponent=6),
        Lif(name="lif", inputs=("dense",), threshold=THRESHOLD_LIMIT),
        Readout(name="out", inputs=("lif",), weight=weight[:3, :4], bias=np.array([5, 0, -7])),
    ]
    graph = Graph.build(nodes, timesteps=3)
    frames = rng.integers(0, 2**20, (3, 4, 6))
    frames[:, 1:3] = 0
    result = run(graph, frames, count=True, batch_size=2)
    assert result.counted is not None
    readout = result.counts.layers[-1]
    assert readout.name == "out.relay" and not readout.events[:, 1:3].any()
    assert_same(result.counts, count_events(graph, result.frames, result.spikes))
