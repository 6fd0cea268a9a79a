"""Reference, engine and Lava: the same spikes for every LIF and every step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sdt_lava
from sdt_lava.backends.result import spike_differences
from sdt_lava.engine import Engine
from sdt_lava.errors import ConfigError, DataError, NumericOverflowError
from sdt_lava.ir import Conv, Dense, Graph, Input, Lif, Synapse
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_chain, random_frames, random_sdt_graph

LAVA_TIMEOUT = 120.0


def assert_same_nodes(graph, frames, strict=True):
    expected = run_reference(graph, frames, strict=strict)
    found = Engine(graph, strict=strict).run(frames)
    for name in graph.order:
        assert np.array_equal(expected[name], found[name]), name


def as_input(graph, frames):
    """Real input that encodes to the given frames."""
    return np.swapaxes(frames, 0, 1) / graph.input.scale


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    channels=st.integers(1, 6),
    timesteps=st.integers(1, 5),
    downsampling=st.sampled_from(["or", "max", "stride", "subsample", "none"]),
    mlp_ratio=st.integers(1, 3),
    heads=st.integers(0, 3),
)
def test_engine_equals_reference_on_transformers(
    seed, sides, channels, timesteps, downsampling, mlp_ratio, heads
):
    rng = np.random.default_rng(seed)
    graph = random_sdt_graph(
        rng, image=(2, *sides), channels=channels * max(heads, 1), timesteps=timesteps,
        downsampling=downsampling, mlp_ratio=mlp_ratio, dilation_heads=heads,
    )  # fmt: skip
    assert_same_nodes(graph, random_frames(rng, graph), strict=False)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), timesteps=st.integers(1, 6), high=st.sampled_from([1, 255]))
def test_engine_equals_reference_on_chains(seed, timesteps, high):
    rng = np.random.default_rng(seed)
    graph = random_chain(rng, timesteps=timesteps, high=high)
    assert_same_nodes(graph, random_frames(rng, graph), strict=False)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), high=st.sampled_from([1, 255]))
def test_any_exponents_alike(seed, high):
    rng = np.random.default_rng(seed)
    graph = random_chain(rng, high=high)
    nodes = [
        replace(node, exponent=rng.integers(-8, 8, len(node.weight)))
        if isinstance(node, Synapse)
        else node
        for node in graph
    ]
    shifted = graph.rebuild(nodes)
    assert_same_nodes(shifted, random_frames(rng, graph), strict=False)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), high=st.sampled_from([1, 255]))
def test_an_exponent_for_each_channel_is_a_multiple_of_its_weights(seed, high):
    rng = np.random.default_rng(seed)
    graph = random_chain(rng, high=high)
    exponents = {node.name: rng.integers(0, 8, len(node.weight)) for node in graph.of_type(Synapse)}
    raised, multiplied = (
        graph.rebuild(
            [
                replace(node, **change(node, exponents[node.name]))
                if isinstance(node, Synapse)
                else node
                for node in graph
            ]
        )
        for change in (lambda node, e: {"exponent": e}, multiplied_weights)
    )
    frames = random_frames(rng, graph)
    assert_same_nodes(raised, frames, strict=False)
    expected = run_reference(multiplied, frames, strict=False)
    found = run_reference(raised, frames, strict=False)
    for name in graph.order:
        assert np.array_equal(expected[name], found[name]), name


def multiplied_weights(node, exponents):
    return {"weight": node.weight << exponents.reshape(-1, *(1,) * (node.weight.ndim - 1))}


def test_the_random_networks_are_alive():
    """Equality of silent networks would show nothing."""
    rng = np.random.default_rng(3)
    graph = random_sdt_graph(rng)
    values = run_reference(graph, random_frames(rng, graph, batch=8))
    for name in graph.lif_names:
        assert 0.01 < values[name].mean() < 0.9, name


def saturating_graph(weight=254, exponent=7):
    entry = Input(name="x", shape=(3000,), low=0, high=1)
    dense = Dense(
        name="d", inputs=("x",), weight=np.full((2, 3000), weight), exponent=exponent
    )  # fmt: skip
    return Graph.build([entry, dense, Lif(name="a", inputs=("d",), threshold=9)], 3)


@pytest.mark.parametrize("weight", [254, -254])
def test_overflow_is_refused_or_wraps_alike(weight):
    graph = saturating_graph(weight)
    frames = np.ones((3, 1, 3000), np.int64)
    with pytest.raises(NumericOverflowError, match="'a', step 0"):
        run_reference(graph, frames)
    with pytest.raises(NumericOverflowError, match="'a', step 0"):
        Engine(graph).run(frames)
    assert_same_nodes(graph, frames, strict=False)


CASES = {
    "digits-like": {"image": (1, 8, 8), "channels": 8},
    "one token": {"image": (2, 1, 1), "channels": 5, "downsampling": "none"},
    "odd sides, one step": {"image": (3, 7, 5), "channels": 4, "timesteps": 1},
    "one channel": {"image": (1, 5, 3), "channels": 1, "mlp_ratio": 1, "downsampling": "stride"},
    "two blocks, subsampled": {
        "image": (2, 6, 6),
        "channels": 4,
        "blocks": 2,
        "downsampling": "subsample",
    },
    "max-pool of currents": {"image": (2, 7, 6), "channels": 4, "downsampling": "max"},
    "dilations": {"image": (2, 5, 3), "channels": 6, "dilation_heads": 2},
    "no biases": {"image": (2, 6, 4), "channels": 4, "biases": False},
}


def assert_lava_agrees(graph, frames):
    x = as_input(graph, frames)
    engine = sdt_lava.simulate(graph, x, "engine")
    reference = sdt_lava.simulate(graph, x, "reference")
    lava = sdt_lava.simulate(graph, x, "lava", timeout=LAVA_TIMEOUT)
    for other in (reference, lava):
        assert spike_differences(engine, other) == 0
        assert np.array_equal(engine.logits, other.logits)
        for name in graph.lif_names:
            assert np.array_equal(engine.spikes[name], other.spikes[name]), name
    return engine


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_lava_equals_engine_and_reference(case):
    rng = np.random.default_rng(len(case))
    graph = random_sdt_graph(rng, **CASES[case])
    result = assert_lava_agrees(graph, random_frames(rng, graph, batch=3))
    assert sum(int(spikes.sum()) for spikes in result.spikes.values()) > 0


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("fill", ["zero", "saturated"])
def test_lava_on_extreme_input(fill):
    rng = np.random.default_rng(5)
    graph = random_sdt_graph(rng, image=(2, 6, 6), channels=4)
    frames = random_frames(rng, graph, batch=3)
    frames[:] = graph.input.low if fill == "zero" else graph.input.high
    # A random sample between equal ones shows that nothing is carried from one to the next.
    frames[:, 1] = random_frames(rng, graph, batch=1)[:, 0]
    assert_lava_agrees(graph, frames)


@pytest.mark.lava
@pytest.mark.slow
def test_lava_on_a_chain_with_long_memory():
    rng = np.random.default_rng(8)
    graph = random_chain(rng, image=(2, 6, 5), timesteps=6)
    assert_lava_agrees(graph, random_frames(rng, graph, batch=3))


@pytest.mark.lava
@pytest.mark.slow
def test_lava_takes_the_steps_of_the_data():
    rng = np.random.default_rng(9)
    graph = random_sdt_graph(rng, image=(2, 4, 4), channels=4, timesteps=4)
    frames = rng.integers(0, 256, (7, 2, *graph.input_shape))
    result = assert_lava_agrees(graph, frames)
    assert next(iter(result.spikes.values())).shape[0] == 7


def test_batches_do_not_matter():
    rng = np.random.default_rng(2)
    graph = random_sdt_graph(rng)
    x = as_input(graph, random_frames(rng, graph, batch=5))
    whole = sdt_lava.simulate(graph, x)
    for size in (1, 2, 5, 9):
        parts = sdt_lava.simulate(graph, x, batch_size=size)
        assert spike_differences(whole, parts) == 0
        assert np.array_equal(whole.logits, parts.logits)


def test_static_input_is_repeated():
    rng = np.random.default_rng(4)
    graph = random_sdt_graph(rng)
    image = random_frames(rng, graph, batch=2)[0] / graph.input.scale
    repeated = np.repeat(image[:, None], graph.timesteps, axis=1)
    first, second = sdt_lava.simulate(graph, image), sdt_lava.simulate(graph, repeated)
    assert spike_differences(first, second) == 0


def test_logits_without_readout_are_spike_counts():
    rng = np.random.default_rng(6)
    graph = random_chain(rng)
    result = sdt_lava.simulate(graph, as_input(graph, random_frames(rng, graph)))
    assert np.array_equal(result.logits, result.spikes[graph.output_name].sum(axis=0))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros((2, 3, 3, 3)), "shape"),
        (np.zeros((0, 2, 8, 8)), "at least one"),
        (np.full((1, 2, 8, 8), np.nan), "NaN"),
        (np.array([["a"]]), "type"),
        (np.zeros((2, 0, 2, 8, 8)), "at least one"),
        (None, "type"),
    ],
)
def test_bad_input_is_refused(x, said):
    graph = random_sdt_graph(np.random.default_rng(0))
    with pytest.raises(DataError, match=said):
        sdt_lava.simulate(graph, x)


def test_values_outside_the_range_are_clipped_with_a_warning(caplog):
    graph = random_sdt_graph(np.random.default_rng(0))
    x = np.full((1, *graph.input_shape), 5.0)
    high = np.ones((1, *graph.input_shape))
    with caplog.at_level("WARNING"):
        clipped = sdt_lava.simulate(graph, x)
    assert "clipped" in caplog.text
    assert spike_differences(clipped, sdt_lava.simulate(graph, high)) == 0


def test_unknown_back_end():
    graph = random_sdt_graph(np.random.default_rng(0))
    with pytest.raises(ConfigError, match="one of"):
        sdt_lava.simulate(graph, np.zeros((1, *graph.input_shape)), "loihi3")


def test_float64_is_used_where_float32_is_not_exact():
    weight = np.full((1, 300, 3, 3), 254)
    weight[0, 0, 0, 0] = 252
    entry = Input(name="x", shape=(300, 3, 3), low=0, high=255)
    nodes = [entry, Conv(name="c", inputs=("x",), weight=weight)]
    graph = Graph.build([*nodes, Lif(name="a", inputs=("c",), threshold=1)], 1)
    frames = np.full((1, 1, 300, 3, 3), 255, np.int64)
    assert_same_nodes(graph, frames, strict=False)
