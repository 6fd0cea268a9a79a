import os
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdt_lava.errors import GraphError, NetworkFileError, QuantizationError, SdtLavaError
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.ir import (
    NODE_KINDS,
    Conv,
    Dense,
    Flatten,
    Gate,
    Graph,
    GroupSum,
    Input,
    Lif,
    Readout,
    Synapse,
)
from sdt_lava.ir.reference import run_reference
from tests.cuba_graphs import random_cuba_chain
from tests.graphs import (
    GraphMaker,
    assert_same_graph,
    random_chain,
    random_frames,
    random_sdt_graph,
)
from tests.sigma_delta_graphs import random_sigma_delta_chain

DOWNSAMPLINGS = ("or", "max", "stride", "subsample", "none")


def firing_rates(graph, rng):
    values = run_reference(graph, random_frames(rng, graph, 4))
    return {name: float(values[name].mean()) for name in graph.lif_names}


def assert_round_trip(graph, path, rng, **options):
    save_network(graph, path, **options)
    loaded = load_network(path)
    assert_same_graph(graph, loaded)
    frames = random_frames(rng, graph)
    expected, found = (run_reference(net, frames, strict=False) for net in (graph, loaded))
    assert all(np.array_equal(expected[name], found[name]) for name in graph.order)


@pytest.mark.parametrize("downsampling", DOWNSAMPLINGS)
def test_random_graphs_are_alive(downsampling):
    rng = np.random.default_rng(1)
    rates = firing_rates(random_sdt_graph(rng, downsampling=downsampling), rng)
    assert 0.02 < np.mean(list(rates.values())) < 0.8
    assert all(rate < 1 for rate in rates.values())
    assert sum(rate > 0 for rate in rates.values()) >= len(rates) - 1
    rates = firing_rates(random_chain(rng), rng)
    assert 0.02 < np.mean(list(rates.values())) < 0.8


@given(
    seed=st.integers(0, 2**32 - 1),
    image=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    blocks=st.integers(0, 2),
    timesteps=st.integers(1, 5),
    downsampling=st.sampled_from(DOWNSAMPLINGS),
    high=st.sampled_from((1, 7, 255)),
    biases=st.booleans(),
    compress=st.booleans(),
    heads=st.integers(0, 2),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_transformers_survive(tmp_path_factory, seed, biases, compress, heads, **shape):
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(1, 9)) * max(heads, 1)
    shape["dilation_heads"] = heads
    graph = random_sdt_graph(rng, channels=channels, biases=biases, **shape)
    path = tmp_path_factory.mktemp("net") / "net.h5"
    assert_round_trip(graph, path, rng, compress=compress)


@given(
    seed=st.integers(0, 2**32 - 1),
    forms=st.lists(st.sampled_from(("zero", "one", "each", "equal")), min_size=2, max_size=2),
    channels=st.integers(1, 80),
)
@settings(max_examples=25, deadline=None)
def test_weight_exponents_survive(tmp_path_factory, seed, forms, channels):
    rng = np.random.default_rng(seed)
    exponents = {
        "zero": lambda out: 0,
        "one": lambda out: int(rng.integers(-8, 8)),
        "each": lambda out: rng.integers(-8, 8, out),
        "equal": lambda out: np.full(out, rng.integers(0, 8)),
    }
    maker = GraphMaker(rng)
    frame = maker.input((3, 2, 2))
    image = maker.pointwise("conv", frame, channels, exponent=exponents[forms[0]](channels))
    spikes = maker.add(Flatten(name="flat", inputs=(maker.lif("a", image),)))
    maker.lif("b", maker.dense("fc", spikes, channels, exponent=exponents[forms[1]](channels)))
    path = tmp_path_factory.mktemp("net") / "net.h5"
    assert_round_trip(maker.graph(2), path, rng)
    with h5py.File(path) as file:
        stock = file["layer/0/type"][0] == b"input"
    layers = [node for node in maker.nodes if isinstance(node, Synapse)]
    assert stock == all(isinstance(n.exponent, int) and n.exponent == 0 for n in layers)


@given(
    seed=st.integers(0, 2**32 - 1),
    image=st.sampled_from([(2, 5, 4), (5,)]),
    delay=st.integers(0, 5),
    shift=st.integers(-3, 3),
    recurrent=st.booleans(),
    offset=st.sampled_from([0.0, -3.5]),
    widens=st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_cuba_chains_survive(tmp_path_factory, seed, offset, widens, **options):
    rng = np.random.default_rng(seed)
    graph = random_cuba_chain(rng, **options)
    entry = replace(graph.input, offset=offset, widens=widens)
    graph = graph.rebuild([entry, *list(graph)[1:]])
    assert_round_trip(graph, tmp_path_factory.mktemp("net") / "net.h5", rng)


@given(
    seed=st.integers(0, 2**32 - 1),
    side=st.integers(1, 7),
    convs=st.lists(st.integers(1, 5), max_size=3),
    denses=st.lists(st.integers(1, 5), max_size=3),
    high=st.sampled_from((1, 255)),
    biases=st.booleans(),
    compress=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_chains_survive(tmp_path_factory, seed, side, convs, denses, high, biases, compress):
    rng = np.random.default_rng(seed)
    graph = random_chain(
        rng, image=(2, side, side + 1), convs=convs, denses=denses, high=high, biases=biases
    )
    path = tmp_path_factory.mktemp("net") / "net.h5"
    assert_round_trip(graph, path, rng, compress=compress)


def test_every_node_kind_is_covered(tmp_path):
    rng = np.random.default_rng(0)
    kinds = set()
    for index, downsampling in enumerate(DOWNSAMPLINGS):
        save_network(random_sdt_graph(rng, downsampling=downsampling), tmp_path / f"{index}.h5")
        kinds |= {node.kind for node in load_network(tmp_path / f"{index}.h5")}
    save_network(random_chain(rng), tmp_path / "chain.h5")
    kinds |= {node.kind for node in load_network(tmp_path / "chain.h5")}
    save_network(random_sdt_graph(rng, dilation_heads=2), tmp_path / "dilated.h5")
    kinds |= {node.kind for node in load_network(tmp_path / "dilated.h5")}
    save_network(random_cuba_chain(rng), tmp_path / "cuba.h5")
    kinds |= {node.kind for node in load_network(tmp_path / "cuba.h5")}
    save_network(random_sigma_delta_chain(rng), tmp_path / "sigma-delta.h5")
    kinds |= {node.kind for node in load_network(tmp_path / "sigma-delta.h5")}
    chain = random_chain(rng)
    groups = GroupSum(name="groups", inputs=(chain.output_name,), groups=1)
    save_network(chain.rebuild([*chain, groups]), tmp_path / "groups.h5")
    kinds |= {node.kind for node in load_network(tmp_path / "groups.h5")}
    # Other tests may have added kinds of their own.
    own = [kind for kind in NODE_KINDS.values() if kind.__module__.startswith("sdt_lava.")]
    assert kinds == {kind.kind for kind in own if not kind.is_compiled_only}


def test_metadata_and_names(tmp_path):
    graph = random_sdt_graph(np.random.default_rng(0), blocks=0)
    values = {"deep": {"liste": [1, 2.5, None, True, "ü \U0001f9e0"]}, "big": "x" * 200_000}
    save_network(graph.with_metadata(**values), tmp_path / "n.h5")
    assert load_network(tmp_path / "n.h5").metadata == {**graph.metadata, **values}
    with h5py.File(tmp_path / "n.h5") as file:
        assert set(file.attrs) == {"format", "version", "generator", "timesteps", "metadata"}
        assert file.attrs["format"].decode() == "sdt-lava-netx"


@pytest.mark.parametrize(
    "value",
    [np.int64(1), {1: 2}, float("nan"), object(), b"x", {"a": [{2.5: 1}]}, {1, 2}, "\ud800"],
)
def test_metadata_that_json_cannot_hold(tmp_path, value):
    graph = random_chain(np.random.default_rng(0)).with_metadata(value=value)
    with pytest.raises(GraphError, match="metadata"):
        save_network(graph, tmp_path / "n.h5")
    assert not list(tmp_path.iterdir())


def test_smaller_than_float32(tmp_path):
    graph = random_sdt_graph(np.random.default_rng(0), channels=64, blocks=2)
    save_network(graph, tmp_path / "small.h5")
    save_network(graph, tmp_path / "plain.h5", compress=False)
    arrays = [v for node in graph for v in vars(node).values() if isinstance(v, np.ndarray)]
    as_float32 = 4 * sum(array.size for array in arrays)
    # int8 mantissas of full entropy: nothing can make them smaller than a quarter.
    assert os.path.getsize(tmp_path / "small.h5") < 0.45 * as_float32
    assert os.path.getsize(tmp_path / "plain.h5") < 0.75 * as_float32


def tiny(**changes):
    """Input -> dense -> lif with some fields replaced."""
    dense = {"weight": np.array([[2, -4], [6, 8]]), **changes.get("dense", {})}
    lif = {"threshold": 5, **changes.get("lif", {})}
    nodes = [
        Input(name="in", **{"shape": (2,), **changes.get("input", {})}),
        Dense(name="fc", inputs=("in",), **dense),
        Lif(name="lif", inputs=("fc",), **lif),
    ]
    return Graph.build(nodes, changes.get("timesteps", 2))


@pytest.mark.parametrize(
    "changes",
    [
        {"dense": {"weight": np.ones((2, 2))}},
        {"dense": {"weight": np.array([[256, 0], [0, 0]])}},
        {"dense": {"weight": np.array([[-258, 2], [0, 0]])}},
        {"dense": {"weight": np.array([[129, -2], [0, 0]])}},
        {"dense": {"weight": np.array([[-256, 0], [-1, 0]])}},
        {"dense": {"bias": np.zeros(2, int)}},
        {"dense": {"exponent": True}},
        {"dense": {"exponent": np.array([0, -9])}},
        {"dense": {"exponent": np.array([0.0, 1.0])}},
        {"lif": {"threshold": 2**17}},
        {"lif": {"threshold": -1}},
        {"lif": {"threshold": 0.5}},
        {"lif": {"threshold": True}},
        {"lif": {"threshold": float("nan")}},
        {"lif": {"threshold": 10**400}},
        {"lif": {"voltage_decay": 4097}},
        {"lif": {"bias_exponent": 8}},
        {"lif": {"bias": np.array([0, 4096])}},
        {"lif": {"bias": np.array([0.0, 1.0])}},
        {"input": {"scale": 0.0}},
        {"input": {"low": 2, "high": 1}},
        {"input": {"high": 2**23}},
        {"input": {"offset": float("nan")}},
        {"input": {"widens": 1}},
        {"input": {"name": "in\0"}},
        {"timesteps": 2**30},
    ],
    ids=str,
)
def test_values_that_do_not_fit(tmp_path, changes):
    changes = {key: dict(v) if isinstance(v, dict) else v for key, v in changes.items()}
    name = changes.get("input", {}).pop("name", None) if "input" in changes else None
    with pytest.raises(SdtLavaError) as caught:
        graph = tiny(**changes)
        if name:
            graph = Graph.build([Input(name=name, shape=(2,))], 1)
        save_network(graph, tmp_path / "n.h5")
    assert isinstance(caught.value, (QuantizationError, GraphError))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "weight",
    [[[1, 3], [0, 255]], [[-256, 2], [0, 254]], [[3, -128], [0, 127]], [[-256, -2], [0, 0]]],
    ids=str,
)
def test_weights_that_eight_bits_hold(tmp_path, weight):
    graph = tiny(dense={"weight": np.array(weight)})
    assert_round_trip(graph, tmp_path / "n.h5", np.random.default_rng(0))


def test_compiled_kinds_are_refused(tmp_path):
    nodes = [*tiny(), Gate(name="gate", inputs=("fc",), threshold=3)]
    with pytest.raises(GraphError, match="before the compiler"):
        save_network(Graph.build(nodes, 1), tmp_path / "n.h5")


def test_graph_that_was_not_checked(tmp_path):
    nodes = {"fc": Dense(name="fc", inputs=("missing",), weight=np.array([[2]]))}
    with pytest.raises(GraphError):
        save_network(Graph(nodes, 1), tmp_path / "n.h5")
    nodes = {"fc": Readout(name="fc", inputs=("in",), weight=None)}
    with pytest.raises(QuantizationError):
        save_network(Graph(nodes, 1), tmp_path / "n.h5")


def test_order_of_inputs_and_insertion(tmp_path):
    rng = np.random.default_rng(0)
    maker = GraphMaker(rng)
    frame = maker.input((3,))
    a, b, c = (maker.dense(name, frame, 4) for name in ("z", "y", "x"))
    maker.lif("lif", c, a, b)
    graph = Graph.build(maker.nodes[::-1], 2)
    assert_round_trip(graph, tmp_path / "n.h5", rng)


def test_replaces_and_follows_links(tmp_path):
    rng = np.random.default_rng(0)
    first, second = random_chain(rng), random_sdt_graph(rng)
    (tmp_path / "link.h5").symlink_to(tmp_path / "real.h5")
    save_network(first, tmp_path / "link.h5")
    save_network(second, str(tmp_path / "link.h5"))
    assert (tmp_path / "link.h5").is_symlink()
    assert_same_graph(load_network(tmp_path / "real.h5"), second)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link.h5", "real.h5"]


@pytest.mark.parametrize("where", ["missing/net.h5", ".", "pipe", "nul\0.h5", "x" * 300])
def test_unwritable(tmp_path, where):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NetworkFileError):
        save_network(random_chain(np.random.default_rng(0)), f"{tmp_path}/{where}")
    assert [entry.name for entry in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("what", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file(tmp_path, monkeypatch, what, error):
    graph = random_chain(np.random.default_rng(0))
    save_network(graph, tmp_path / "n.h5")
    before = (tmp_path / "n.h5").read_bytes()
    calls = []

    def fail(*arguments, **options):
        calls.append(arguments)
        if what != "write" or len(calls) > 3:
            raise error
        return original(*arguments, **options)

    owner, name = (h5py.Group, "create_dataset") if what == "write" else (os, what)
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, fail)
    expected = NetworkFileError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        save_network(graph.with_metadata(new=1), tmp_path / "n.h5")
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["n.h5"]
    assert (tmp_path / "n.h5").read_bytes() == before


def test_layout_is_extended_for_anything_stock_runs_wrongly(tmp_path):
    def first_type(graph):
        save_network(graph, tmp_path / "n.h5")
        assert_same_graph(load_network(tmp_path / "n.h5"), graph)
        with h5py.File(tmp_path / "n.h5") as file:
            return file["layer/0/type"][0].decode()

    assert first_type(tiny()) == "input"
    assert first_type(tiny(dense={"weight": np.array([[0, 2], [0, 4]])})) == "input"
    assert first_type(tiny(dense={"weight": np.zeros((2, 2), int)})) == "input_sdt"
    assert first_type(tiny(dense={"weight": np.full((2, 2), -128)})) == "input_sdt"
    assert first_type(tiny(lif={"bias_exponent": 5})) == "input_sdt"
    depthwise = Conv(name="c", inputs=("in",), weight=np.full((128, 1, 1, 1), 2), groups=128)
    nodes = [Input(name="in", shape=(128, 1, 1)), depthwise]
    nodes.append(Lif(name="lif", inputs=("c",), threshold=1))
    assert first_type(Graph.build(nodes, 1)) == "input_sdt"
    assert first_type(Graph.build(nodes[:2], 1)) == "input_sdt"
    assert first_type(Graph.build(nodes[:1], 1)) == "input_sdt"


def test_time_steps_of_our_files_stand(tmp_path):
    save_network(random_chain(np.random.default_rng(0), timesteps=3), tmp_path / "n.h5")
    assert load_network(tmp_path / "n.h5", timesteps=3).timesteps == 3
    with pytest.raises(NetworkFileError, match="of its own"):
        load_network(tmp_path / "n.h5", timesteps=4)
