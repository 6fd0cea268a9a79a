"""Remedies of networks and of the files that hold them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import sdt_lava
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.ir import Dense, Graph, Input, Lif
from sdt_lava.quantize.post_training import quantize
from tests.graphs import random_sdt_graph
from tests.io.netx.test_front_door import write as write_stock
from tests.quantize.test_reachable import network
from tests.remedies.said import refusal


def test_graphs_that_are_not_integers(tmp_path):
    graph = network(np.eye(4), bias=np.zeros(4))
    refusal(lambda: save_network(graph, tmp_path / "n.h5"), "quantize the network first")
    save_network(quantize(graph)[0], tmp_path / "n.h5")


def test_odd_weights_of_nine_bits(tmp_path):
    weight = np.array([[251, -30], [3, 4]])
    nodes = [
        Input(name="in", shape=(2,)),
        Dense(name="w", inputs=("in",), weight=weight),
        Lif(name="n", inputs=("w",), threshold=9),
    ]
    refusal(lambda: save_network(Graph.build(nodes, 2), tmp_path / "n.h5"), "round to even numbers")
    nodes[1] = replace(nodes[1], weight=2 * np.rint(weight / 2).astype(np.int64))
    save_network(Graph.build(nodes, 2), tmp_path / "n.h5")


def test_compiled_graphs(tmp_path):
    net = random_sdt_graph(np.random.default_rng(0), channels=4, image=(1, 4, 4))
    compiled = sdt_lava.compile(net)
    refusal(lambda: save_network(compiled.graph, tmp_path / "n.h5"), "before the compiler")
    save_network(compiled.source, tmp_path / "n.h5")


def test_metadata_that_json_cannot_hold(tmp_path):
    net = random_sdt_graph(np.random.default_rng(0), channels=4, image=(1, 4, 4))
    refusal(
        lambda: save_network(net.with_metadata(note=np.ones(3)), tmp_path / "n.h5"),
        "convert the values, or leave them out",
    )
    save_network(net.with_metadata(note=np.ones(3).tolist()), tmp_path / "n.h5")
    save_network(net, tmp_path / "n.h5")


def test_layers_of_files_of_ours(tmp_path, command):
    net = random_sdt_graph(np.random.default_rng(0), channels=4, image=(1, 4, 4))
    save_network(net, tmp_path / "n.h5")
    refusal(lambda: load_network(tmp_path / "n.h5", num_layers=2), "--num-layers, --skip-layers")
    load_network(tmp_path / "n.h5")
    stock = write_stock(tmp_path / "s.net")
    refusal(lambda: load_network(stock, skip_layers=9), "leave num_layers and skip_layers")
    refusal(lambda: load_network(stock, input_shape=(2, 9, 9)), "leave input_shape")
    load_network(stock)
    assert command("info", stock)[0] == 0
