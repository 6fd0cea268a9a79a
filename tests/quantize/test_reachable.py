"""Layers that rounding empties, thresholds out of reach, and scales at which nothing is rounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava import simulate
from sdt_lava.errors import QuantizationError
from sdt_lava.importers.grid import grid_of
from sdt_lava.ir import CubaLif, Dense, Graph, Input, Lif
from sdt_lava.quantize.post_training import quantize
from sdt_lava.quantize.reachable import reaches


def network(*weights, timesteps=8, inputs=4, branch=None, **lif):
    """Dense layers of LIF neurons; the first population may read a second branch."""
    fields = {"threshold": 1.0, "voltage_decay": 0} | lif
    nodes, last = [Input(name="in", shape=(inputs,))], "in"
    for index, weight in enumerate(weights):
        nodes.append(Dense(name=f"w{index}", inputs=(last,), weight=np.asarray(weight, float)))
        currents = [f"w{index}"]
        if branch is not None and not index:
            nodes.append(Dense(name="branch", inputs=("in",), weight=np.asarray(branch, float)))
            currents.append("branch")
        last = f"n{index}"
        nodes.append(Lif(name=last, inputs=tuple(currents), **fields))
    return Graph.build(nodes, timesteps)


def test_a_branch_that_becomes_zero_is_named_with_the_unit():
    """The large branch has all steps; the small one would not be there any more."""
    small = np.full((3, 4), 1e-6)
    with pytest.raises(QuantizationError) as caught:
        quantize(network(np.full((3, 4), 1.0), branch=small))
    assert caught.value.where == "node 'branch' (dense)"
    assert "all 12 weights, up to 1e-06, are rounded to 0" in caught.value.found
    assert "the threshold of 'n0', 1 in the same unit" in caught.value.found


def test_a_layer_whose_threshold_takes_all_steps():
    weight = np.full((3, 4), 1e-7)
    with pytest.raises(QuantizationError, match="1 in the same unit, is 16384 steps"):
        quantize(network(weight, timesteps=10**7))


def test_what_was_empty_or_silent_before_is_a_note():
    """Pruned layers and neurons without a positive weight are the network's own."""
    _, report = quantize(network(np.ones((3, 4)), np.zeros((2, 3)), np.ones((1, 2))))
    assert report.notes == (
        "w1: all weights are 0",
        "n1: no input reaches the threshold in 8 steps (0 of 1): these neurons are silent",
    )
    graph, report = quantize(network(-np.ones((3, 4))))
    assert "n0: no input reaches" in report.notes[0] and report.to_dict()["notes"] == report.notes
    assert not simulate(graph, np.ones((1, 4)), "reference").spikes["n0"].any()
    assert quantize(network(np.ones((3, 4))))[1].notes == ()


def test_a_threshold_that_rounding_puts_out_of_reach():
    """With 2 bits the smaller weight is gone, and the larger one alone is not enough."""
    weight = [[1.0, 0.49, 0.0, 0.0]]
    graph = network(weight, timesteps=1, threshold=1.2)
    assert reaches(graph)["n0"].fires
    with pytest.raises(QuantizationError, match="no input reaches in 1 steps after rounding") as e:
        quantize(graph, 2)
    assert e.value.where == "node 'n0' (lif)" and "before it 1.49 of 1.2" in e.value.found
    assert quantize(graph, 8)[1].notes == ()


@given(
    seed=st.integers(0, 10**6), steps=st.integers(1, 40), dv=st.sampled_from([0, 1, 700, 4096]),
    du=st.sampled_from([0, 512, 4096]), bias=st.floats(-2, 2), share=st.floats(0.3, 1.3),
)  # fmt: skip
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_reach_is_that_of_the_strongest_input(seed, steps, dv, du, bias, share):
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 1, (3, 5))
    u = v = top = np.zeros(3)
    for _ in range(steps):
        u = u * (1 - du / 4096) + np.maximum(weight, 0).sum(axis=1)
        v = v * (1 - dv / 4096) + u + bias
        top = np.maximum(top, v)
    threshold = max(share * top.max(), 1e-3)
    graph = network(
        weight, timesteps=steps, inputs=5, threshold=threshold, voltage_decay=dv, current_decay=du,
        bias=np.full(3, bias),
    )  # fmt: skip
    if abs(top.max() - threshold) > 1e-6 * threshold:
        assert reaches(graph)["n0"].fires == bool((top > threshold).any())


def test_recurrence_counts():
    loop = CubaLif(
        name="loop", inputs=("w",), threshold=3.0, voltage_decay=4096,  # type: ignore[arg-type]
        weight_rec=np.array([[0.0, 2.5], [0.0, 0.0]]),
    )  # fmt: skip
    nodes = [
        Input(name="in", shape=(1,)),
        Dense(name="w", inputs=("in",), weight=np.ones((2, 1))),
        loop,
    ]
    assert reaches(Graph.build(nodes, 4))["loop"].fires


# -- grids ---------------------------------------------------------------------------------------


@given(
    step=st.floats(1e-6, 1e3), counts=st.lists(st.integers(-127, 127), min_size=1, max_size=30),
    single=st.booleans(),
)  # fmt: skip
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_grid_is_found(step, counts, single):
    values = step * np.array(counts, np.float64)
    found = grid_of(values.astype(np.float32) if single else values, 127)
    expected = step * np.gcd.reduce(counts)  # 0 of zeros alone
    assert found == pytest.approx(expected, rel=1e-5)


def test_trained_weights_have_none():
    rng = np.random.default_rng(0)
    assert grid_of(rng.normal(0, 1, (64, 64)), 127) is None
    assert grid_of(np.array([1.0, np.pi, np.e]), 127) is None
    assert grid_of(np.arange(129), 127) is None


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("unit", [1.0, 1 / 64, 0.037])
def test_weights_on_a_grid_are_not_rounded(bits, unit):
    """Rounded weights come back as they are: what was quantized once is not quantized again."""
    rng = np.random.default_rng(bits)
    most = 2 ** (bits - 1) - 1
    weights = [unit * rng.integers(-most, most + 1, shape) for shape in ((5, 4), (3, 5))]
    float_graph = network(*weights, threshold=4 * unit)
    graph, report = quantize(float_graph, bits)
    for index, weight in enumerate(weights):
        rounded = graph.nodes[f"w{index}"]
        scale = graph.nodes[f"n{index}"].threshold / (4 * unit)
        assert np.allclose(rounded.weight * 2.0**rounded.exponent, weight * scale, rtol=1e-9)
    assert all(row.rounding_error < 1e-9 for row in report.synapses)
