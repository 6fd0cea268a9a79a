"""Bounds of traced and compiled graphs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava.compiler.compile import lower
from sdt_lava.engine import Engine
from sdt_lava.engine.options import EngineOptions
from sdt_lava.errors import NumericOverflowError
from sdt_lava.ir import Conv, Graph, Input, Lif, TokenSum
from sdt_lava.ir.bounds import bound, bound_extremes, bound_nodes
from sdt_lava.ir.intervals import Interval
from sdt_lava.ir.reference import run_reference
from sdt_lava.quantize.groups import lif_groups
from sdt_lava.quantize.report import fits
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.overflow_graphs import random_overflow_frames, random_overflow_graph


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("downsampling", ["or", "max", "subsample"])
def test_compiled_graph_has_the_bounds_of_its_source(seed, downsampling):
    graph = random_sdt_graph(np.random.default_rng(seed), downsampling=downsampling)
    assert bound_extremes(lower(graph)) == bound_extremes(graph)


@pytest.mark.parametrize("seed", range(4))
def test_no_value_leaves_its_interval(seed):
    rng = np.random.default_rng(seed)
    make = random_chain if seed % 2 else random_sdt_graph
    graph = lower(make(rng, low=-9, high=100))
    values = Engine(graph, strict=False).run(random_frames(rng, graph, 3))
    reached = 0
    for name, (low, high) in bound(graph).intervals.items():
        by_channel = np.moveaxis(values[name], 2, 0).reshape(values[name].shape[2], -1)
        assert (by_channel.min(axis=1) >= np.minimum(low, 0)).all(), name
        assert (by_channel.max(axis=1) <= high).all(), name
        reached += int((by_channel.max(axis=1) == high).sum())
    assert reached > 0


@pytest.mark.parametrize("seed", range(3))
def test_bounds_of_one_group_are_those_of_the_whole(seed):
    graph = random_sdt_graph(np.random.default_rng(seed), high=16)
    whole = bound_extremes(graph)
    found = {}
    for group in lif_groups(graph):
        found.update(bound_nodes(graph, {name: graph.nodes[name] for name in group.names}))
    assert found == whole


def _by_channel(values):
    """Lowest and highest value of each channel of ``(T, B, C, ...)``."""
    channels = np.moveaxis(values, 2, 0).reshape(values.shape[2], -1)
    return channels.min(axis=1), channels.max(axis=1)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 3, 100, 4000]))
@settings(max_examples=120, deadline=None)
def test_negative_everything_stays_in_its_interval(seed, largest):
    rng = np.random.default_rng(seed)
    graph = random_overflow_graph(rng, largest=largest)
    frames = random_overflow_frames(rng, graph, 2)
    found = bound(graph)
    for name, values in run_reference(graph, frames, strict=False).items():
        low, high = _by_channel(values)
        assert (low >= np.minimum(found.intervals[name].low, 0)).all(), name
        assert (high <= np.maximum(found.intervals[name].high, 0)).all(), name


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 100]))
@settings(max_examples=60, deadline=None)
def test_what_is_seen_is_within_the_extremes(seed, largest):
    rng = np.random.default_rng(seed)
    graph = random_overflow_graph(rng, largest=largest, exponents=False)
    engine = Engine(graph, options=EngineOptions(kernels="interpreter"))
    try:
        engine.run(random_overflow_frames(rng, graph, 2))
    except NumericOverflowError:
        # A proof does not let this happen.
        assert not all(map(fits, bound_extremes(graph).values()))
        return
    for name, seen in engine.extremes.items():
        proved = bound_extremes(graph)[name]
        assert seen.activation <= proved.activation, name
        assert seen.membrane <= proved.membrane, name


def test_an_interval_has_its_ends_in_order():
    with pytest.raises(ValueError, match="no interval"):
        Interval(np.array([1, 0]), np.array([0, 5]))
    with pytest.raises(ValueError, match="no interval"):
        Interval(np.zeros(2), np.zeros(3))
    assert [end.tolist() for end in Interval.between(np.array([3]), np.array([-1]))] == [[-1], [3]]


@pytest.mark.parametrize("weight", [-254, -3, 5])
def test_a_negative_token_sum_is_not_proved(weight):
    """20 spikes of a biased neuron once vanished behind a proof for positive weights only."""
    graph = Graph.build(
        [
            Input(name="input", shape=(1, 22, 22)),
            TokenSum(name="tokens", inputs=("input",), weight=weight),
            Lif(name="out", inputs=("tokens",), threshold=1, voltage_decay=0),
        ],
        timesteps=40,
    )
    (low,), (high,) = bound(graph).intervals["tokens"]
    assert (low, high) == ((484 * weight, 0) if weight < 0 else (0, 484 * weight))
    frames = np.ones((40, 1, 1, 22, 22), np.int64)
    if fits(bound_extremes(graph)["out"]):
        run_reference(graph, frames)
    else:
        with pytest.raises(NumericOverflowError, match="'out'"):
            run_reference(graph, frames)


def test_slow_leaks_are_bounded_for_the_steps_of_a_sample():
    layers, last = [Input(name="input", shape=(1, 1, 1))], "input"
    weight = np.full((1, 1, 1, 1), 2)
    for index in range(40):
        conv = Conv(name=f"conv{index}", inputs=(last,), weight=weight)
        last = f"lif{index}"
        slow = Lif(name=last, inputs=(conv.name,), threshold=1, voltage_decay=1, current_decay=1)
        layers += [conv, slow]
    for steps, (current, membrane) in ((1, (2, 128)), (3, (5, 445)), (10**6, (8128, 520_256))):
        graph = Graph.build(layers, steps)
        extremes = bound_extremes(graph)["lif39"]
        assert extremes.activation == current
        assert extremes.membrane == membrane
        assert bound(graph) is bound(graph)
