"""Folding, bias gathering, scales, rounding and proofs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sdt_lava.engine import Engine
from sdt_lava.errors import QuantizationError
from sdt_lava.importers.fold import BatchNorm
from sdt_lava.ir import (
    Conv,
    Dense,
    Graph,
    Input,
    Lif,
    MaxPool,
    Readout,
    Shortcut,
    Synapse,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.biases import gather_biases
from sdt_lava.ir.bounds import bound_extremes
from sdt_lava.ir.numerics import BIAS_MANTISSA_HIGH, THRESHOLD_LIMIT, WEIGHT_LIMIT
from sdt_lava.ir.reference import run_reference
from sdt_lava.quantize.groups import lif_groups, token_mean_before
from sdt_lava.quantize.integer import encode_bias
from sdt_lava.quantize.post_training import CalibrationData, quantize, synthetic_calibration
from sdt_lava.quantize.weight_format import WeightFormat
from tests.graphs import random_chain, random_frames, random_sdt_graph


def float_graph(rng, **options):
    """Return a float graph with biases on its synapses, shaped like a random integer one."""
    options = {"low": 0, "high": 16, **options}
    nodes = []
    for node in random_sdt_graph(rng, **options):
        if isinstance(node, Synapse):
            fan_in = np.prod(node.weight.shape[1:])
            weight = rng.normal(0, 2 / np.sqrt(fan_in), node.weight.shape)
            node = replace(node, weight=weight, bias=rng.normal(0, 0.3, len(weight)), exponent=0)
        elif isinstance(node, Lif):
            node = replace(node, threshold=1.0 if "attn" in node.name else 2.0, bias=None)
        nodes.append(node)
    return Graph.build(nodes, 4)


def stem(*tail, bias=0.5):
    entry = Input(name="x", shape=(2, 4, 4), scale=16.0, low=0, high=16)
    weight = np.random.default_rng(0).normal(0, 0.3, (3, 2, 3, 3))
    conv = Conv(name="c", inputs=("x",), weight=weight, bias=np.full(3, bias), padding=(1, 1))
    return Graph.build([entry, conv, *tail], 4)


@pytest.mark.parametrize("bias", [True, False])
def test_folding_equals_batch_norm(bias):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 5, 3, bias=bias).double()
    norm = torch.nn.BatchNorm2d(5).double().eval()
    norm.weight.data = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]).double()
    norm.bias.data.normal_()
    norm.running_mean.normal_()
    norm.running_var = torch.tensor([1.0, 1e-6, 0.0, 4.0, 1e-3]).double()
    arrays = [
        t.detach().numpy() for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    ]
    fold = BatchNorm(*arrays, epsilon=norm.eps)
    weight = conv.weight.detach().numpy() * fold.gain[:, None, None, None]
    shift = fold.offset + (fold.gain * conv.bias.detach().numpy() if bias else 0)
    x = torch.randn(2, 3, 6, 6).double()
    folded = torch.nn.functional.conv2d(x, torch.tensor(weight), torch.tensor(shift))
    assert torch.allclose(folded, norm(conv(x)), rtol=1e-12, atol=1e-9)


def test_biases_run_along_the_stream():
    graph = gather_biases(float_graph(np.random.default_rng(1), blocks=2))
    before = float_graph(np.random.default_rng(1), blocks=2)
    for node in graph.of_type(Synapse):
        assert isinstance(node, Readout) or node.bias is None
    stream = [name for name in before.order if isinstance(before.nodes[name], Shortcut)]
    carried = dict.fromkeys(before.nodes, 0.0)
    for node in before:
        if isinstance(node, Synapse):
            carried[node.name] = node.bias
        elif isinstance(node, Shortcut | TokenMean | MaxPool):
            carried[node.name] = sum(carried[name] for name in node.inputs)
        elif isinstance(node, Lif) and not isinstance(before.nodes[node.inputs[0]], TokenSum):
            assert np.allclose(graph.nodes[node.name].bias, carried[node.inputs[0]])
    assert len(stream) >= 5


def test_a_stream_is_one_group():
    graph = gather_biases(float_graph(np.random.default_rng(0), blocks=2))
    groups = lif_groups(graph)
    stream = max(groups, key=lambda group: len(group.synapses))
    assert "head.lif" in stream.lifs
    assert {"block.0.attn.proj_conv", "block.1.mlp.fc2_conv"} <= set(stream.synapses)
    assert sum(bool(group.counts) for group in groups) == 2
    named = [name for group in groups for name in group.lifs]
    assert sorted(named) == sorted(graph.lif_names)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), bits=st.integers(2, 8), blocks=st.integers(1, 2))
@example(seed=389338, bits=2, blocks=1)
def test_integer_graph_is_within_every_range(seed, bits, blocks):
    source = float_graph(np.random.default_rng(seed), blocks=blocks)
    try:
        graph, report = quantize(source, bits)
    except QuantizationError as error:
        # One of three steps is 0, and one large weight then takes all others of its layer there.
        assert bits == 2 and ("no input reaches" in str(error) or "rounded to 0" in str(error))
        return
    weights = WeightFormat(bits)
    gathered = gather_biases(source)
    for row in report.synapses:
        node, before = graph.nodes[row.name], gathered.nodes[row.name]
        assert np.abs(node.weight).max() <= weights.largest
        assert not (node.weight % weights.step).any()
        unit = 16.0 if before.inputs[0] == "input" else 1.0
        step = 2.0**node.exponent
        wanted = before.weight / unit * row.scale / step
        error = np.abs(wanted - node.weight)
        assert error.max() <= weights.step / 2 + 1e-9 or row.clipped_share > 0
    for row in report.neurons:
        node, before = graph.nodes[row.name], gathered.nodes[row.name]
        assert 1 <= node.threshold <= THRESHOLD_LIMIT and isinstance(node.threshold, int)
        assert row.headroom >= 1
        if node.bias is not None:
            assert np.abs(node.bias).max() <= BIAS_MANTISSA_HIGH
            unit = 2.0 ** (node.bias_exponent - 6)
            assert np.abs(node.bias * unit - before.bias * row.scale).max() <= unit


def test_thresholds_of_a_group_are_not_rounded():
    graph, report = quantize(float_graph(np.random.default_rng(3)), 8)
    for row in report.neurons:
        if "head" not in row.name and "attn.mask" not in row.name:
            assert row.threshold == round(row.threshold)
    streams = {row.scale for row in report.neurons if row.name.endswith(("attn.lif", "fc1_lif"))}
    assert len(streams) == 1


def test_every_branch_of_a_stream_fills_its_mantissa_within_a_factor_of_two():
    source = float_graph(np.random.default_rng(4))
    nodes = [
        replace(node, weight=node.weight * 9) if node.name == "block.0.attn.proj_conv" else node
        for node in source
    ]
    graph, report = quantize(Graph.build(nodes, 4), 8)
    rows = {row.name: row for row in report.synapses}
    assert rows["block.0.attn.proj_conv"].exponent > 0
    for name in ("block.0.attn.proj_conv", "block.0.mlp.fc2_conv"):
        assert rows[name].largest_weight >= 120, rows[name]
        assert rows[name].rounding_error < 0.03


@pytest.mark.parametrize(
    ("bits", "largest", "expected"),
    [(8, 254.0, 0), (8, 255.1, 1), (8, 1016.0, 2), (8, 0.0, 0), (4, 224.0, 0), (4, 254.0, 1)],
)
def test_weight_exponent(bits, largest, expected):
    assert WeightFormat(bits).exponent(largest) == expected


@pytest.mark.lava
@pytest.mark.parametrize("bits", range(2, 9))
def test_lava_keeps_the_levels_of_a_weight_format(bits):
    from lava.utils.weightutils import SignMode, truncate_weights

    weights = WeightFormat(bits)
    levels = np.arange(-weights.mantissa, weights.mantissa + 1) * weights.step
    assert np.array_equal(truncate_weights(levels, SignMode.MIXED, bits), levels)


@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_are_rounded_to_the_levels_of_a_format(bits):
    weights = WeightFormat(bits)
    levels = np.arange(-weights.mantissa, weights.mantissa + 1) * weights.step
    assert weights.largest <= WEIGHT_LIMIT
    wild = np.linspace(-400, 400, 1001)
    rounded = weights.round(wild)
    assert set(rounded) <= set(levels)
    inside = np.abs(wild) <= weights.largest
    assert np.abs(rounded - wild)[inside].max() <= weights.step / 2


def test_bias_uses_exponent_seven_only_when_needed():
    assert encode_bias(np.array([40.0]), 100.0, "n")[0] == 6
    exponent, mantissas = encode_bias(np.array([50.0, -3.0]), 100.0, "n")
    assert (exponent, mantissas.tolist()) == (7, [2500, -150])
    with pytest.raises(QuantizationError, match="'n'"):
        encode_bias(np.array([100.0]), 100.0, "n")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), high=st.sampled_from([1, 255]))
def test_bounds_hold(seed, high):
    rng = np.random.default_rng(seed)
    for graph in (random_sdt_graph(rng, high=high), random_chain(rng, high=high, timesteps=7)):
        frames = random_frames(rng, graph, batch=4)
        frames[:, 0] = graph.input.high
        engine = Engine(graph, strict=False)
        engine.run(frames)
        bounds = bound_extremes(graph)
        for name, seen in engine.extremes.items():
            assert seen.activation <= bounds[name].activation
            assert seen.membrane <= bounds[name].membrane


def test_bound_is_reached_by_the_worst_input():
    entry = Input(name="x", shape=(6,), low=0, high=1)
    weight = np.array([[10, 20, -30, 4, -6, 8]])
    lif = Lif(name="a", inputs=("d",), threshold=1000, bias=np.array([-5]))
    dense = Dense(name="d", inputs=("x",), weight=weight)
    graph = Graph.build([entry, dense, lif], 40)
    engine = Engine(graph)
    for pattern in (weight[0] > 0, weight[0] < 0):
        engine.run(np.tile(pattern.astype(np.int64), (40, 1, 1)))
    assert engine.extremes["a"] == bound_extremes(graph)["a"]


def wide_graph():
    """A network whose worst case overflows although real input does not."""
    rng = np.random.default_rng(0)
    entry = Input(name="x", shape=(4000,), low=0, high=1)
    weight = rng.normal(0, 1, (8, 4000))
    dense = Dense(name="d", inputs=("x",), weight=weight, bias=np.zeros(8))
    return Graph.build([entry, dense, Lif(name="a", inputs=("d",), threshold=200.0)], 4)


def test_unprovable_ranges_are_measured_and_said_to_be():
    data = CalibrationData(np.random.default_rng(1).random((4, 4000)), "four test samples")
    graph, report = quantize(wide_graph(), 8, data)
    assert [row.evidence for row in report.neurons] == ["measured"]
    assert report.calibration == "four test samples"
    assert report.neurons[0].headroom >= 1.5
    assert graph.metadata["quantization"]["calibration"] == "four test samples"


def test_scale_is_lowered_until_calibration_fits():
    quiet = CalibrationData(np.zeros((1, 4000)), "silence")
    loud = CalibrationData((wide_graph().nodes["d"].weight[:1] > 0) * 1.0, "the worst input")
    scales = [quantize(wide_graph(), 8, data)[1].neurons[0].scale for data in (quiet, loud)]
    assert scales[1] < scales[0]
    graph, _ = quantize(wide_graph(), 8, loud)
    frames = np.tile(loud.x.astype(np.int64), (4, 1, 1))
    run_reference(graph, frames)  # strict: raises on overflow


def test_proved_networks_never_overflow_on_any_input():
    source = float_graph(np.random.default_rng(7))
    graph, report = quantize(source, 8)
    assert report.calibration == "" and {row.evidence for row in report.neurons} == {"proved"}
    for seed in range(3):
        frames = random_frames(np.random.default_rng(seed), graph, batch=4)
        frames[:, :2] = frames[:, :2].round(-1) * 0 + graph.input.high
        Engine(graph, strict=True).run(frames)


def test_attention_fires_exactly_on_any_coincidence():
    graph, _ = quantize(float_graph(np.random.default_rng(8)), 8)
    values = run_reference(graph, random_frames(np.random.default_rng(9), graph, batch=8))
    for node in graph.of_type(TokenSum):
        lif = graph.consumers[node.name][0]
        any_token = values[node.inputs[0]].any(axis=(-2, -1))
        assert np.array_equal(values[lif], any_token)


def test_token_mean_is_scaled_into_range():
    graph, _ = quantize(float_graph(np.random.default_rng(2), image=(1, 16, 16)), 8)
    mean = token_mean_before(graph, "head.lif")
    assert mean is not None and mean.shift > 0


@pytest.mark.parametrize("bits", [0, 1, 9, -3])
def test_unsupported_bits(bits):
    with pytest.raises(QuantizationError, match="bits"):
        quantize(float_graph(np.random.default_rng(0)), bits)


@pytest.mark.parametrize("field", ["weight", "bias"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(field, value):
    graph = stem(Lif(name="a", inputs=("c",), threshold=2.0))
    values = getattr(graph.nodes["c"], field).copy()
    values.flat[0] = value
    broken = graph.rebuild([replace(n, **{field: values}) if n.name == "c" else n for n in graph])
    with pytest.raises(QuantizationError, match="'c'.*NaN or infinity"):
        quantize(broken)


def test_bias_far_beyond_the_threshold_is_refused():
    graph = stem(Lif(name="a", inputs=("c",), threshold=2.0), bias=1e6)
    with pytest.raises(QuantizationError, match="threshold"):
        quantize(graph)


def test_all_zero_weights():
    graph = stem(Lif(name="a", inputs=("c",), threshold=2.0), bias=0.0)
    silent = graph.rebuild(
        [replace(n, weight=np.zeros((3, 2, 3, 3))) if n.name == "c" else n for n in graph]
    )
    quantized, _ = quantize(silent)
    assert not quantized.nodes["c"].weight.any()


def test_synthetic_calibration_covers_the_input_range():
    data = synthetic_calibration(stem(Lif(name="a", inputs=("c",), threshold=2.0)))
    assert data.x.min() == 0.0 and data.x.max() == 1.0
    assert "synthetic" in data.name


@pytest.mark.parametrize("v_th", [0.25, 0.5, 1.0, 1.5, 2.25])
@pytest.mark.parametrize("tokens", [3, 7])
def test_attention_neurons_fire_at_their_threshold_and_not_above_it(v_th, tokens):
    """Against exact rational arithmetic, for ten steps of random counts."""
    rng = np.random.default_rng(tokens)
    entry = Input(name="x", shape=(64, 1, tokens), low=0, high=1)
    count = TokenSum(name="t", inputs=("x",))
    lif = Lif(name="a", inputs=("t",), threshold=2 * v_th)
    graph, _ = quantize(Graph.build([entry, count, lif], 10))
    frames = (rng.random((10, 4, 64, 1, tokens)) < 0.4).astype(np.int64)
    voltage = np.zeros((4, 64))
    expected = []
    for arriving in frames.sum(axis=(-2, -1)):
        voltage = voltage / 2 + arriving
        expected.append(voltage >= 2 * v_th)
        voltage = np.where(expected[-1], 0, voltage)
    assert np.array_equal(run_reference(graph, frames)["a"], expected)
    assert np.any(expected) and not np.all(expected)


def test_bounds_hold_for_any_number_of_steps():
    graph, _ = quantize(float_graph(np.random.default_rng(11)), 8)
    bounds = bound_extremes(graph)
    frames = np.full((200, 1, *graph.input_shape), graph.input.high)
    engine = Engine(graph)
    engine.run(frames)
    for name, seen in engine.extremes.items():
        assert seen.membrane <= bounds[name].membrane
    assert bound_extremes(Graph(graph.nodes, 200)) == bounds
