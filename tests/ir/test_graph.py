"""Edges, signals, shapes and names are checked where a graph is built."""

from __future__ import annotations

import numpy as np
import pytest

from sdt_lava.errors import GraphError
from sdt_lava.ir import (
    And,
    Conv,
    Dense,
    Flatten,
    Graph,
    GroupSum,
    Input,
    Lif,
    MaxPool,
    OrPool,
    Readout,
    Shortcut,
    Subsample,
    TokenDilate,
    TokenMean,
    TokenSum,
)
from tests.graphs import random_chain, random_sdt_graph

IMAGE = Input(name="x", shape=(2, 5, 4), low=0, high=1)


def conv(name="c", source="x", out=3, **fields):
    weight = np.zeros((out, 2, 3, 3), int)
    return Conv(name=name, inputs=(source,), weight=weight, padding=(1, 1), **fields)


def lif(name, *sources, **fields):
    return Lif(name=name, inputs=sources, threshold=4, **fields)


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([IMAGE, IMAGE], "name used twice"),
        ([conv()], "input 'x' does not exist"),
        ([IMAGE, conv(source="nowhere")], "does not exist"),
        ([IMAGE, Input(name="y", shape=(1,))], "2 input nodes"),
        ([IMAGE, lif("a", "x")], "carries spike"),
        ([IMAGE, conv(), conv("d", "c")], "carries current"),
        ([IMAGE, conv(), Shortcut(name="s", inputs=("c",))], "1 inputs"),
        ([IMAGE, conv(), Shortcut(name="s", inputs=("c", "c"))], "distinct"),
        ([IMAGE, conv(), conv("d", out=4), Shortcut(name="s", inputs=("c", "d"))], "one shape"),
        ([IMAGE, conv(groups=2)], "groups"),
        ([IMAGE, conv(stride=(0, 1))], "stride"),
        ([IMAGE, conv(bias=np.zeros(4))], "bias"),
        ([IMAGE, conv(exponent=8)], "weight exponent"),
        ([IMAGE, conv(exponent=np.array([0, 8, 1]))], "weight exponent"),
        ([IMAGE, conv(exponent=np.array([0, -9, 1]))], "weight exponent"),
        ([IMAGE, conv(exponent=np.array([1, 2]))], "weight exponents of shape"),
        ([IMAGE, conv(exponent=np.array([0.0, 1.0, 2.0]))], "type float64"),
        ([IMAGE, conv(exponent=1.5)], "type float64"),
        ([IMAGE, conv(), lif("a", "c", bias=np.zeros(4))], "bias"),
        ([IMAGE, Dense(name="d", inputs=("x",), weight=np.zeros((3, 39)))], "40|weight"),
        ([IMAGE, conv(), lif("a", "c"), And(name="m", inputs=("a", "x"))], "equal shapes"),
        ([IMAGE, OrPool(name="p", inputs=("x",), padding=2)], "padding"),
        ([IMAGE, conv(), Subsample(name="s", inputs=("c",), stride=0)], "stride"),
        ([Input(name="x", shape=(0, 2, 2))], "positive"),
        ([IMAGE, conv(), MaxPool(name="p", inputs=("x",))], "carries spike"),
        ([IMAGE, TokenDilate(name="d", inputs=("x",), heads=3)], "a divisor of 2"),
        ([IMAGE, TokenDilate(name="d", inputs=("x",), heads=0)], "0 heads"),
        ([IMAGE, conv(), TokenDilate(name="d", inputs=("c",))], "carries current"),
        ([IMAGE, Readout(name="r", inputs=("x",), weight=np.zeros((2, 3)))], "weight"),
    ],
)
def test_illegal_graphs_are_refused_by_name(nodes, said):
    with pytest.raises(GraphError, match=said):
        Graph.build(nodes, 4)


def test_cycle_is_named():
    back = Dense(name="d", inputs=("a",), weight=np.eye(2))
    nodes = [IMAGE, conv(), lif("a", "c", "d"), back]
    with pytest.raises(GraphError, match="cycle (a -> d|d -> a)"):
        Graph.build(nodes, 4)


def test_zero_timesteps():
    with pytest.raises(GraphError, match="time steps"):
        Graph.build([IMAGE], 0)


def test_order_shapes_and_signals():
    graph = random_sdt_graph(np.random.default_rng(0), image=(1, 7, 5), channels=4)
    seen = set()
    for node in graph:
        assert set(node.inputs) <= seen
        seen.add(node.name)
    assert graph.shapes[graph.output_name] == (3,)
    assert graph.input_shape == (1, 7, 5)
    assert all(graph.nodes[name].kind == "lif" for name in graph.lif_names)


def test_output_of_a_network_without_readout():
    graph = random_chain(np.random.default_rng(0))
    assert graph.readout is None
    assert graph.output_name == graph.lif_names[-1]


def test_output_must_be_unique():
    graph = Graph.build([IMAGE, conv(), conv("d"), lif("a", "c"), lif("b", "d")], 2)
    with pytest.raises(GraphError, match="one output"):
        _ = graph.output_name


def test_group_sums_are_the_output_beside_neurons_that_nobody_reads():
    sums = GroupSum(name="s", inputs=("a",), groups=2)
    graph = Graph.build([IMAGE, conv(), conv("d"), lif("a", "c"), lif("b", "d"), sums], 2)
    assert graph.output_name == "s"


@pytest.mark.parametrize("flat", [False, True])
def test_sums_of_the_input_are_refused(flat):
    between = [Flatten(name="f", inputs=("x",))] if flat else []
    sums = GroupSum(name="s", inputs=("f" if flat else "x",), groups=2)
    with pytest.raises(GraphError, match="sums of the network's input"):
        Graph.build([IMAGE, *between, sums], 2)


def test_a_cycle_of_flattens_behind_sums_is_a_cycle():
    flats = [Flatten(name="f", inputs=("g",)), Flatten(name="g", inputs=("f",))]
    with pytest.raises(GraphError, match="cycle"):
        Graph.build([IMAGE, *flats, GroupSum(name="s", inputs=("f",), groups=2)], 2)


def test_table_has_a_row_for_each_node():
    graph = random_sdt_graph(np.random.default_rng(1))
    lines = str(graph).splitlines()
    assert len(lines) == len(graph) + 1
    assert len({len(line) for line in lines}) == 1
    for node, line in zip(graph, lines[1:], strict=True):
        assert node.name in line and node.kind in line


@pytest.mark.parametrize("kind", [TokenSum, TokenMean, TokenDilate])
def test_token_nodes_need_images(kind):
    source = "d" if kind is TokenMean else "x"
    vector = Input(name="x", shape=(4,), low=0, high=1)
    dense = Dense(name="d", inputs=("x",), weight=np.eye(4))
    with pytest.raises(GraphError, match="image-like"):
        Graph.build([vector, dense, kind(name="t", inputs=(source,))], 1)


def test_flatten_is_channel_first():
    graph = Graph.build([IMAGE, Flatten(name="f", inputs=("x",))], 1)
    assert graph.shapes["f"] == (40,)
