"""Scales chosen from data: never worse than the default, better where a weight is an outlier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sdt_lava
from sdt_lava.engine import Engine, RunRequest
from sdt_lava.families import load_model
from sdt_lava.importers import trace
from sdt_lava.ir import Conv, Dense, Graph, Input, Lif, Shortcut, Synapse
from sdt_lava.ir.biases import gather_biases
from sdt_lava.ir.encoding import encode
from sdt_lava.ir.numerics import WEIGHT_LIMIT
from sdt_lava.ir.reference import run_reference
from sdt_lava.quantize.clip_search import ClipSearch
from sdt_lava.quantize.float_run import evaluate, teacher_of
from sdt_lava.quantize.post_training import CalibrationData, quantize
from sdt_lava.quantize.samples import spread
from sdt_lava.quantize.search import ScaleSearch
from sdt_lava.quantize.weight_format import WeightFormat
from tests.families.sdt1.networks import lively_network, random_input, tiny_config
from tests.families.sdt1.official_cases import golden
from tests.quantize.test_quantize import float_graph, wide_graph


def forced_reference(graph, x, recorded):
    """Count differing spikes of each LIF in a run of its own, all others as recorded."""
    frames = encode(graph, x)
    differing = {}
    for lif in graph.lif_names:
        others = {name: spikes for name, spikes in recorded.items() if name != lif}
        values = Engine(graph, strict=False).run(frames, RunRequest([lif], recorded=others))
        differing[lif] = int((values[lif] != recorded[lif]).sum())
    return differing


def calibrated(source, x, bits, **options):
    return quantize(source, bits, CalibrationData(x, "random frames"), **options)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    bits=st.sampled_from([8, 6, 4]),
    by_channel=st.booleans(),
    image=st.sampled_from([(1, 5, 5), (2, 3, 4), (3, 1, 1)]),
)
def test_calibration_never_increases_the_differing_spikes(seed, bits, by_channel, image):
    rng = np.random.default_rng(seed)
    source = float_graph(rng, blocks=1, image=image)
    x = rng.random((3, *image))
    graph, report = calibrated(source, x, bits, by_channel=by_channel)
    default, _ = quantize(source, bits, by_channel=by_channel)
    recorded = teacher_of(source)(x)
    before, after = (forced_reference(net, x, recorded) for net in (default, graph))
    assert report.choices.samples == 3
    for group in report.choices.groups:
        assert group.differing <= group.default_differing
        assert group.differing == sum(after[name] for name in group.neurons)
        assert group.default_differing == sum(before[name] for name in group.neurons)
    assert {row.name: row.forced for row in report.spikes.layers} == after
    for row in report.neurons:
        assert row.headroom >= (1 if row.evidence == "proved" else 1.5)


def outlier_graph(outlier=20.0):
    """One weight that is never used is many times larger than the others."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.3, (8, 33))
    weight[:, 32] = 0
    weight[0, 32] = outlier
    entry = Input(name="x", shape=(33,), low=0, high=1)
    dense = Dense(name="d", inputs=("x",), weight=weight, bias=rng.normal(0, 0.1, 8))
    return Graph.build([entry, dense, Lif(name="a", inputs=("d",), threshold=2.0)], 6)


@pytest.mark.parametrize("bits", [8, 6, 4])
def test_an_outlier_is_clipped(bits):
    x = (np.random.default_rng(1).random((40, 33)) < 0.5) * 1.0
    x[:, 32] = 0
    graph, report = calibrated(outlier_graph(), x, bits)
    (group,) = report.choices.groups
    assert group.differing < group.default_differing
    assert report.synapses[0].clip < 1 and report.synapses[0].clipped_share > 0
    assert np.abs(graph.nodes["d"].weight).max() <= WEIGHT_LIMIT
    if bits == 4:
        # Nearly every weight but the outlier rounds to 0 without a clip.
        default, _ = quantize(outlier_graph(), 4)
        assert np.count_nonzero(default.nodes["d"].weight) < 10
        assert group.differing * 2 < group.default_differing


def test_an_outlier_that_matters_is_kept():
    x = (np.random.default_rng(1).random((40, 33)) < 0.5) * 1.0
    _, report = calibrated(outlier_graph(outlier=0.9), x, 8)
    (group,) = report.choices.groups
    assert report.synapses[0].clip >= 0.9 and group.differing <= group.default_differing


def test_a_layer_of_a_stream_has_its_own_clip():
    rng = np.random.default_rng(5)
    source = float_graph(rng, blocks=1, image=(1, 6, 6))
    name = "block.0.mlp.fc2_conv"
    weight = source.nodes[name].weight.copy()
    weight.flat[0] = 30 * np.abs(weight).max()
    spoiled = source.rebuild(replace(n, weight=weight) if n.name == name else n for n in source)
    graph, report = calibrated(spoiled, rng.random((6, 1, 6, 6)), 4)
    stream = max(report.choices.groups, key=lambda group: len(group.clips))
    assert stream.differing <= stream.default_differing
    assert name in stream.clips and len(stream.clips) > 2
    scales = {row.scale for row in report.synapses if row.name in stream.clips}
    assert len(scales) == 1  # currents that add up keep one unit


@pytest.mark.parametrize("timesteps", [1, 3])
@pytest.mark.parametrize("channels", [1, 2])
def test_one_step_one_channel_and_no_input(timesteps, channels):
    entry = Input(name="x", shape=(channels, 3, 3), low=0, high=4, scale=4.0)
    weight = np.full((channels, channels, 1, 1), 1.5)
    conv = Conv(name="c", inputs=("x",), weight=weight, bias=np.full(channels, 0.25))
    source = Graph.build([entry, conv, Lif(name="a", inputs=("c",), threshold=1.0)], timesteps)
    for x in (np.zeros((2, channels, 3, 3)), np.ones((1, channels, 3, 3))):
        graph, report = calibrated(source, x, 4)
        (group,) = report.choices.groups
        assert group.differing == 0 and group.clips == {"c": 1.0}
        assert [row.forced for row in report.spikes.layers] == [0]
        assert report.spikes.first_layer is None


def test_silent_layers_stay_silent():
    source = outlier_graph()
    dead = source.rebuild(
        replace(n, weight=np.zeros((8, 33))) if isinstance(n, Synapse) else n for n in source
    )
    graph, report = calibrated(dead, np.ones((2, 33)), 8)
    assert not graph.nodes["d"].weight.any() and report.choices.groups[0].differing == 0


def test_results_are_deterministic_and_good_in_any_batches(monkeypatch):
    rng = np.random.default_rng(3)
    source, x = float_graph(rng, blocks=1, image=(1, 5, 5)), rng.random((5, 1, 5, 5))
    runs = []
    for size in (5, 5, 2, 1):
        monkeypatch.setattr("sdt_lava.quantize.forced.samples_at_once", lambda *_, size=size: size)
        runs.append(calibrated(source, x, 4))
    assert runs[0][0].metadata == runs[1][0].metadata
    for node in runs[0][0].of_type(Synapse):
        assert np.array_equal(node.weight, runs[1][0].nodes[node.name].weight)
    for graph, report in runs:
        after = forced_reference(graph, x, teacher_of(source)(x))
        for group, first in zip(report.choices.groups, runs[0][1].choices.groups, strict=True):
            assert group.default_differing == first.default_differing
            assert group.differing <= group.default_differing
            assert group.differing == sum(after[name] for name in group.neurons)
        assert [row.forced for row in report.spikes.layers] == list(after.values())


def test_ranges_that_are_only_measured_keep_their_margin():
    loud = CalibrationData((wide_graph().nodes["d"].weight[:1] > 0) * 1.0, "the worst input")
    graph, report = quantize(wide_graph(), 8, loud)
    assert report.neurons[0].evidence == "measured" and report.neurons[0].headroom >= 1.5
    run_reference(graph, np.tile(loud.x.astype(np.int64), (4, 1, 1)))


def test_a_group_that_overflows_in_the_whole_keeps_the_default(monkeypatch):
    x = (np.random.default_rng(1).random((40, 33)) < 0.5) * 1.0
    x[:, 32] = 0
    refusals = []

    def refuse_clipped(ranged):
        clipped = any(clip != 1 for clip in ranged.search.clips.values())
        refusals.append(clipped)
        return ["a"] if clipped else []

    monkeypatch.setattr("sdt_lava.quantize.post_training._tight", refuse_clipped)
    graph, report = calibrated(outlier_graph(), x, 4)
    assert any(refusals)
    default, _ = quantize(outlier_graph(), 4)
    assert np.array_equal(graph.nodes["d"].weight, default.nodes["d"].weight)
    (group,) = report.choices.groups
    assert group.clips == {"d": 1.0} and group.differing == group.default_differing


def test_measuring_does_not_choose():
    x = (np.random.default_rng(1).random((40, 33)) < 0.5) * 1.0
    data = CalibrationData(x, "only to measure", choose=False)
    graph, report = quantize(outlier_graph(), 4, data)
    default, _ = quantize(outlier_graph(), 4)
    assert np.array_equal(graph.nodes["d"].weight, default.nodes["d"].weight)
    assert report.choices is None and report.spikes.samples == 40


def test_samples_are_spread_over_the_data():
    assert spread(10, 1, 10**9).tolist() == list(range(10))
    assert spread(9, 10, 50).tolist() == [0, 2, 4, 6, 8]
    assert spread(100, 10**9, 1).tolist() == [0, 33, 66, 99]
    assert spread(2, 10**9, 1).tolist() == [0, 1]
    assert spread(1, 0, 1).tolist() == [0]


@pytest.mark.parametrize("bits", [8, 4])
def test_recorded_network(bits):
    """On a published layout, all spikes as recorded: better, and as the report says."""
    case = golden("pub_c_dvs_0011")
    model, x = load_model(case.checkpoint), case.x.numpy()
    graph, report = sdt_lava.to_network(model, bits, CalibrationData(x, "recorded input"))
    groups = report.choices.groups
    assert sum(g.differing for g in groups) < sum(g.default_differing for g in groups)
    shapes = {lif: spikes.shape for lif, spikes in sdt_lava.simulate(model, x).spikes.items()}
    recorded = {lif: case.spikes[lif].reshape(shape) for lif, shape in shapes.items()}
    free = sdt_lava.simulate(graph, x, strict=False).spikes
    for row in report.spikes.layers:
        different = free[row.name] != recorded[row.name]
        assert (row.free, row.decisions) == (different.sum(), different.size)
        if row.first is not None:
            place = tuple(np.argwhere(different)[0])
            assert row.first.place == place
            assert (row.first.left, row.first.right) == (
                recorded[row.name][place],
                free[row.name][place],
            )


def test_exponents_by_channel():
    torch.manual_seed(0)
    model = lively_network(tiny_config(image_size=(4, 4), depth=1))
    x = random_input((2, 2, 4, 4)).numpy()
    graph, report = sdt_lava.to_network(model, 4, by_channel=True)
    _, by_layer = sdt_lava.to_network(model, 4)
    assert max(row.exponents for row in report.synapses) > 1
    errors = [sum(row.rounding_error for row in rows.synapses) for rows in (report, by_layer)]
    assert errors[0] < errors[1]
    reference, engine, compiled = (
        sdt_lava.simulate(graph, x, "reference"),
        sdt_lava.simulate(graph, x, "engine"),
        sdt_lava.simulate(graph, x, "reference", shortcut="relay"),
    )
    for name, spikes in reference.spikes.items():
        assert np.array_equal(spikes, engine.spikes[name]), name
        assert np.array_equal(spikes, compiled.spikes[name]), name


def test_the_search_refuses_nothing_that_fits():
    """The chosen scales come out of the search as they went in."""
    rng = np.random.default_rng(0)
    source, x = float_graph(rng, blocks=1, image=(1, 4, 4)), rng.random((2, 1, 4, 4))
    gathered = gather_biases(source)
    search = ScaleSearch(gathered, WeightFormat(4))
    parts = ClipSearch(search, x, teacher_of(gathered), 1.5).run()
    joined = search.with_parts(parts)
    for part in parts:
        (group,) = part.groups
        assert joined.scales[group.name] == part.scales[group.name]
        for name, node in part.nodes().items():
            if isinstance(node, Synapse):
                assert np.array_equal(node.weight, joined.graph().nodes[name].weight)


def test_the_float_graph_is_the_teacher_of_the_model():
    model = lively_network(tiny_config(neuron="lif"))
    x = random_input((2, 2, 8, 8)).numpy()
    graph = trace(model)
    spikes = sdt_lava.simulate(model, x).spikes
    found = teacher_of(gather_biases(graph))(x)
    frames = torch.from_numpy(np.broadcast_to(x, (3, *x.shape)).copy())
    assert all(np.array_equal(found[name], evaluate(graph, frames)[name].numpy()) for name in found)
    assert set(found) == set(spikes)
    assert sum(int((found[name] != spikes[name]).sum()) for name in spikes) == 0


def test_sums_of_the_float_model_keep_their_fractions():
    nodes = [
        Input(name="in", shape=(1, 2, 2), low=-9, high=9),
        Conv(name="a", inputs=("in",), weight=np.full((1, 1, 1, 1), 0.3)),
        Conv(name="b", inputs=("in",), weight=np.full((1, 1, 1, 1), 0.25)),
        Shortcut(name="sum", inputs=("a", "b")),
        Lif(name="lif", inputs=("sum",), threshold=1.0),
    ]
    frames = torch.tensor([[[[1.0, -2.0], [3.0, 0.5]]]]).expand(2, 1, 1, 2, 2)
    values = evaluate(Graph.build(nodes, 2), frames)
    assert torch.allclose(values["sum"], 0.55 * frames.double(), rtol=1e-12)
    assert values["lif"][0].flatten().tolist() == [0, 0, 1, 0]
