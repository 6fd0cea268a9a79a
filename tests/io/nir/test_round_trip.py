"""Networks of ours to NIR and back: the same graph, the same spikes, and NIR's own meaning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdt_lava import simulate
from sdt_lava.errors import GraphError, NirError, QuantizationError
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.io.nir import exporter
from sdt_lava.io.nir.exporter import _FIELDS, _WRITERS
from sdt_lava.ir import Conv, CubaLif, Dense, Graph, Input, Lif, Readout
from sdt_lava.ir.reference import run_reference
from sdt_lava.nir import NirOptions, from_nir, load_nir, save_nir, to_nir
from sdt_lava.quantize.untrained import untrained_network
from tests.cuba_graphs import random_cuba_chain
from tests.graphs import (
    GraphMaker,
    assert_same_graph,
    random_chain,
    random_frames,
    random_sdt_graph,
)
from tests.importers.nir.euler import run_nir

QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def with_readout(graph, rng, bias=True):
    """End a chain in a linear head instead of neurons."""
    last = graph.output_name
    features = int(np.prod(graph.shapes[last]))
    weight = 2 * rng.integers(-127, 128, (3, features))
    head = Readout(
        name="head",
        inputs=(last,),
        block="head",
        weight=weight,
        bias=rng.integers(-5000, 5001, 3) if bias else None,
        exponent=rng.integers(0, 3, 3),
        scale=63.5,
    )
    return Graph.build([*graph, head], graph.timesteps, graph.metadata)


def two_branches(rng):
    """Neurons that read two synapses, and spikes that two synapses read."""
    maker = GraphMaker(rng)
    first = maker.conv("a", maker.input((2, 5, 4), -3, 9), 3, padding=(1, 1))
    spikes = maker.lif("s", first)
    left = maker.conv("b", spikes, 4, padding=(1, 1), exponent=2)
    right = maker.conv("c", spikes, 4, (1, 1))
    maker.lif("both", left, right, voltage_decay=1024, bias_exponent=7)
    return maker.graph(5, note=["anything", {"that": 1.5}])


def dense_on_an_image(rng):
    maker = GraphMaker(rng)
    frame = maker.input((2, 3, 4))
    weight = maker.weights(5, 24)
    maker.add(Dense(name="fc", inputs=(frame,), weight=weight))
    maker.lif("out", "fc", current_decay=0, voltage_decay=0)
    return maker.graph(3)


@QUICK
@given(
    seed=st.integers(0, 10_000),
    convs=st.lists(st.integers(1, 4), max_size=2),
    denses=st.lists(st.integers(1, 6), max_size=2),
    graded=st.booleans(),
    biases=st.booleans(),
    timesteps=st.integers(1, 5),
    head=st.sampled_from(["none", "bias", "plain"]),
    dt=st.sampled_from([1e-4, 1e-3, 1.0, 0.3, 7e-5]),
)
def test_random_chains_come_back_bit_for_bit(
    tmp_path, seed, convs, denses, graded, biases, timesteps, head, dt
):
    rng = np.random.default_rng(seed)
    if not convs and not denses:
        denses = [2]
    graph = random_chain(
        rng, image=(2, 5, 4) if convs else (7,), convs=tuple(convs), denses=tuple(denses),
        timesteps=timesteps, biases=biases, low=-20 if graded else 0, high=90 if graded else 1,
    )  # fmt: skip
    if head != "none" and len(graph.shapes[graph.output_name]) == 1:
        graph = with_readout(graph, rng, head == "bias")
    assert_comes_back(graph, tmp_path / "net.nir", rng, dt)


def assert_comes_back(graph, path, rng, dt=1e-4):
    save_nir(graph, path, dt)
    again, report = load_nir(path)
    assert_same_graph(graph, again)
    assert report.exact and report.dt == dt and report.notes == ()
    frames = random_frames(rng, graph)
    expected, found = run_reference(graph, frames), run_reference(again, frames)
    x = frames.swapaxes(0, 1) / graph.input.scale
    engine = simulate(again, x, "engine")
    assert set(engine.spikes) == set(graph.lif_names)
    for name in graph.lif_names:
        assert np.array_equal(found[name], expected[name]), name
        assert np.array_equal(engine.spikes[name], expected[name]), name
    assert np.array_equal(found[graph.output_name], expected[graph.output_name])


@pytest.mark.parametrize("make", [two_branches, dense_on_an_image])
@pytest.mark.parametrize("seed", [0, 1])
def test_other_shapes_of_networks(make, seed, tmp_path):
    rng = np.random.default_rng(seed)
    assert_comes_back(make(rng), tmp_path / "net.nir", rng)


@pytest.mark.parametrize("decays", [(0, 0), (4096, 4096), (0, 4095), (1, 1), (4095, 0), (3, 4096)])
def test_decays_at_their_limits(decays, tmp_path):
    rng = np.random.default_rng(0)
    nodes = list(random_chain(rng, image=(6,), convs=(), denses=(8,)))
    nodes[-1] = replace(
        nodes[-1], voltage_decay=decays[0], current_decay=decays[1], threshold=200, bias_exponent=3
    )
    assert_comes_back(Graph.build(nodes, 4), tmp_path / "net.nir", rng)


def test_a_bias_of_zeros_and_none_are_kept_apart(tmp_path):
    rng = np.random.default_rng(0)
    for decay in (4096, 1000):
        for bias in (None, np.zeros(8, np.int64)):
            nodes = list(random_chain(rng, image=(6,), convs=(), denses=(8,)))
            nodes[-1] = replace(nodes[-1], bias=bias, current_decay=decay)
            assert_comes_back(Graph.build(nodes, 2), tmp_path / "net.nir", rng)


def test_from_our_file_and_back(tmp_path):
    rng = np.random.default_rng(3)
    graph = random_chain(rng)
    save_network(graph, tmp_path / "net.h5")
    save_nir(load_network(tmp_path / "net.h5"), tmp_path / "net.nir")
    again, _ = load_nir(tmp_path / "net.nir")
    save_network(again, tmp_path / "again.h5")
    assert_same_graph(load_network(tmp_path / "again.h5"), load_network(tmp_path / "net.h5"))


# -- what the graph means to others --------------------------------------------------------------


def slow_chain(rng, seed):
    """A chain whose states stay multiples of 1/64 for six steps, so that nothing is rounded."""
    graph = random_chain(rng, low=-5, high=9, timesteps=6)
    decays = {"voltage_decay": (2048, 4096, 0), "current_decay": (4096, 4096, 0)}
    nodes = [
        replace(node, **{key: int(rng.choice(values)) for key, values in decays.items()})
        if isinstance(node, Lif)
        else node
        for node in graph
    ]
    return Graph.build(nodes, 6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dt", [1e-4, 1e-3])
def test_the_equations_of_nir_give_the_same_spikes(seed, dt):
    rng = np.random.default_rng(seed)
    graph = slow_chain(rng, seed)
    frames = random_frames(rng, graph, 3)
    expected = run_reference(graph, frames)
    found = run_nir(to_nir(graph, dt), frames, dt)
    assert any(expected[name].any() for name in graph.lif_names)
    for name in graph.lif_names:
        close = np.isclose(found[name], expected[name])
        assert close.all(), (name, np.argwhere(~close)[:3])


def test_the_readout_is_a_linear_layer():
    rng = np.random.default_rng(2)
    graph = with_readout(random_chain(rng, varied=False), rng)
    frames = random_frames(rng, graph, 3)
    found = run_nir(to_nir(graph), frames, 1e-4)["head"]
    assert np.array_equal(found, run_reference(graph, frames)["head"])


def test_nirs_own_reader_reads_and_checks_the_file(tmp_path):
    rng = np.random.default_rng(0)
    graph = with_readout(random_chain(rng, varied=False), rng)
    save_nir(graph, tmp_path / "net.nir")
    read = nir.read(tmp_path / "net.nir")
    assert read.check_types()
    again, report = from_nir(read)
    assert_same_graph(graph, again)
    assert report.exact
    assert isinstance(read.nodes["features.0.lif"], nir.LIF)


def test_all_values_are_in_units_that_the_documentation_says():
    lif = Lif(name="n", inputs=("w",), threshold=300, voltage_decay=1024, bias=np.array([-7]))
    weight = np.array([[6, -254]])
    synapse = Dense(name="w", inputs=("x",), weight=weight, exponent=3)
    graph = Graph.build([Input(name="x", shape=(2,)), synapse, lif], 4)
    converted = to_nir(graph, 1e-3)
    assert converted.edges == [("x", "w"), ("w", "n"), ("n", "output")]
    affine, neuron = converted.nodes["w"], converted.nodes["n"]
    assert isinstance(affine, nir.Affine) and isinstance(neuron, nir.LIF)
    assert affine.weight.tolist() == [[48.0, -2032.0]] and affine.bias.tolist() == [-7.0]
    assert neuron.tau.tolist() == [4e-3] and neuron.r.tolist() == [4.0]
    assert neuron.v_threshold.tolist() == [300.0] and neuron.v_leak.tolist() == [0.0]
    nodes = [graph.nodes["x"], graph.nodes["w"], replace(lif, current_decay=2048)]
    neuron = to_nir(Graph.build(nodes, 4), 1e-3).nodes["n"]
    assert isinstance(neuron, nir.CubaLIF)
    assert (neuron.tau_syn[0], neuron.w_in[0], neuron.v_leak[0]) == (2e-3, 2.0, -28.0)
    nodes = [graph.nodes["x"], graph.nodes["w"], replace(lif, voltage_decay=0)]
    neuron = to_nir(Graph.build(nodes, 4), 1e-3).nodes["n"]
    assert isinstance(neuron, nir.IF) and neuron.r[0] == 1.0 and neuron.v_threshold[0] == 300.0


# -- what NIR cannot hold ------------------------------------------------------------------------


def test_a_network_with_sdsa_names_what_nir_lacks(tmp_path):
    graph = random_sdt_graph(np.random.default_rng(0), dilation_heads=2)
    with pytest.raises(NirError) as caught:
        save_nir(graph, tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())
    for node in graph:
        held = type(node) in _WRITERS
        assert (f"'{node.name}'" in caught.value.found) != held, node.name
        assert held or node.kind in caught.value.found
    assert caught.value.exit_code == 2 and "lif" in caught.value.allowed


def test_a_preset_names_every_kind():
    with pytest.raises(NirError) as caught:
        to_nir(untrained_network("digits"))
    for kind in ("and", "token_sum", "token_mean", "shortcut"):
        assert f"{kind} (" in caught.value.found
    assert "'block.0.attn.mask'" in caught.value.found


@pytest.mark.parametrize("seed", range(8))
def test_neurons_of_lava_dl_come_back_bit_for_bit(seed, tmp_path):
    """Image neurons, recurrence, delays, divided drives, parameters by channel."""
    rng = np.random.default_rng(seed)
    image = (2, 5, 4) if seed % 2 else (7,)
    graph = random_cuba_chain(
        rng, image=image, delay=seed % 4, shift=seed % 3 - 1, recurrent=seed % 5 > 0
    )
    assert_comes_back(graph, tmp_path / "net.nir", rng)


def test_recurrence_and_delays_mean_the_same_to_others():
    rng = np.random.default_rng(1)
    maker = GraphMaker(rng)
    current = maker.dense("w", maker.input((5,)), 6)
    recurrent = CubaLif(
        name="loop", inputs=(current,), threshold=np.arange(100, 160, 10), voltage_decay=2048,
        weight_rec=2 * rng.integers(-60, 61, (6, 6)), delay=np.array([0, 1, 2, 0, 3, 1]),
        drive_shift=1, bias=np.arange(-6, 30, 6),
    )  # fmt: skip
    maker.add(recurrent)
    maker.lif("end", maker.dense("v", "loop", 4), voltage_decay=2048, current_decay=4096)
    graph = maker.graph(6)
    converted = to_nir(graph, 1e-3)
    assert {type(node) for node in converted.nodes.values()} >= {nir.LIF, nir.Delay, nir.Linear}
    assert ("loop", "loop.w_rec") in converted.edges and ("loop.w_rec", "loop") in converted.edges
    assert ("loop.delay", "v") in converted.edges
    frames = random_frames(rng, graph, 4)
    expected, found = run_reference(graph, frames), run_nir(converted, frames, 1e-3)
    assert expected["loop"].any() and expected["end"].any()
    assert np.array_equal(found["loop.delay"], expected["loop"])
    assert np.array_equal(found["end"], expected["end"])


def test_sixty_fourths_of_a_unit_are_what_only_we_round():
    """A file of ours without its metadata is a file like any other: the same spikes again."""
    rng = np.random.default_rng(5)
    graph = random_cuba_chain(rng, image=(6,), delay=0, timesteps=8)
    converted = to_nir(graph)
    converted.metadata.clear()
    for node in converted.nodes.values():
        node.metadata = {}
    with pytest.raises(NirError, match="timesteps"):
        from_nir(converted)
    again, report = from_nir(converted, NirOptions(timesteps=8, input_range=(-20, 100)))
    assert not report.exact and again.nodes["hidden_lif"].weight_rec is not None


def test_a_new_field_is_refused_while_it_is_set(monkeypatch):
    graph = random_chain(np.random.default_rng(0), varied=False)
    known = dict(_FIELDS)
    known[Lif] = tuple(name for name in known[Lif] if name != "bias_exponent")
    monkeypatch.setattr(exporter, "_FIELDS", known)
    to_nir(graph)
    nodes = [replace(n, bias_exponent=5) if isinstance(n, Lif) else n for n in graph]
    with pytest.raises(NirError, match=r"lif with bias_exponent: 'features\.0\.lif'"):
        to_nir(Graph.build(nodes, 2))


def test_other_networks_that_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    maker = GraphMaker(rng)
    current = maker.dense("fc", maker.input((4,)), 3)
    maker.lif("a", current)
    maker.lif("b", current)
    with pytest.raises(NirError, match=r"current with 2 readers \['a', 'b'\]"):
        to_nir(maker.graph(2))
    graph = random_chain(rng, varied=False)
    renamed = [
        replace(
            node,
            name=node.name.replace("flatten", "a/b"),
            inputs=tuple(name.replace("flatten", "a/b") for name in node.inputs),
        )
        for node in graph
    ]
    with pytest.raises(NirError, match="a path in HDF5"):
        to_nir(Graph.build(renamed, 2))
    odd = [replace(n, weight=n.weight + 1) if isinstance(n, Conv) else n for n in graph]
    with pytest.raises(QuantizationError):
        to_nir(Graph.build(odd, 2))
    with pytest.raises(NirError, match="metadata"):
        to_nir(graph.with_metadata(x=np.ones(2)))
    for dt in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(NirError, match="dt"):
            to_nir(graph, dt)
    with pytest.raises(NirError, match="cannot be written|does not exist"):
        save_nir(graph, tmp_path / "no" / "net.nir")


# -- graphs of ours that someone changed ---------------------------------------------------------


def changed(change, seed=0):
    converted = to_nir(random_chain(np.random.default_rng(seed), varied=False))
    change(converted)
    return converted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda g: g.nodes["head.0.fc"].weight.__setitem__((0, 0), 0.5), "head.0.fc: weight"),
        (lambda g: g.nodes["head.0.lif"].v_threshold.fill(20.25), "head.0.lif: threshold"),
        (lambda g: g.nodes["head.0.fc"].bias.fill(0.3), "head.0.lif: bias"),
        (lambda g: g.nodes["head.0.fc"].metadata.pop("exponent"), "exponent"),
        (lambda g: g.nodes["head.0.fc"].metadata.update(exponent="2"), "exponent"),
        (lambda g: g.nodes["head.0.fc"].metadata.update(exponent=99), "exponent"),
        (lambda g: g.nodes["head.0.fc"].metadata.update(exponent=[1, 2]), "exponent"),
        (lambda g: g.nodes["head.0.lif"].metadata.update(bias_exponent=9), "bias_exponent"),
        (lambda g: g.nodes["head.0.lif"].metadata.update(has_bias=0), "deny"),
        (lambda g: g.metadata.update(sdt_lava=2), "version 2"),
        (lambda g: g.metadata.update(timesteps=1.5), "timesteps"),
        (lambda g: g.metadata.update(timesteps=np.ones(2)), "timesteps"),
        (lambda g: g.metadata.update(dt=-1.0), "dt"),
        (lambda g: g.metadata.update(network="{"), "not JSON"),
        (lambda g: g.metadata.update(network="[1]"), "JSON list"),
        (lambda g: g.nodes["input"].metadata.pop("low"), "'low'"),
        (lambda g: g.nodes["input"].metadata.update(high=-3), "input range"),
        (lambda g: g.nodes["head.0.fc"].weight.fill(300.0), "weight"),
        (lambda g: g.nodes["head.0.lif"].v_threshold.fill(2.0**18), "threshold"),
        (lambda g: g.nodes["head.0.fc"].weight.fill(np.nan), "NaN"),
    ],
)
def test_changes_that_leave_the_integers_are_refused(change, said):
    with pytest.raises((NirError, GraphError), match=said):
        from_nir(changed(change))


def test_changed_weights_can_be_quantized_instead():
    converted = changed(lambda g: g.nodes["head.0.fc"].weight.__imul__(0.37))
    graph, report = from_nir(converted, NirOptions(requantize=True))
    assert not report.exact and report.quantization is not None
    assert graph.timesteps == 4 and graph.input.scale == converted.nodes["input"].metadata["scale"]


def test_metadata_of_others_mean_nothing():
    def foreign(graph):
        del graph.metadata["sdt_lava"]
        for node in graph.nodes.values():
            node.metadata = {"framework": "another", "bias_exponent": "seven", "position": "first"}

    converted = changed(foreign)
    with pytest.raises(NirError, match="--timesteps"):
        from_nir(converted)
    graph, report = from_nir(converted, NirOptions(timesteps=3))
    assert graph.timesteps == 3 and not report.exact
    assert (graph.input.low, graph.input.high) == (0, 1)


def test_a_network_of_lava_dl():
    path = Path(__file__).parents[2] / "data" / "netx" / "windows.net"
    graph = load_network(path, timesteps=12)
    entry = replace(graph.input, offset=-0.5)
    assert entry.widens
    graph = graph.rebuild([entry, *list(graph)[1:]])
    again, report = from_nir(to_nir(graph))
    assert report.exact
    assert_same_graph(graph, again)
