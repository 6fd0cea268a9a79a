"""Nodes and graphs never change: what was computed from them stays true."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import sdt_lava
from sdt_lava.errors import GraphError
from sdt_lava.ir import Dense, Graph, Input, Lif, OrPool
from sdt_lava.ir.numerics import POOL_WINDOW_LIMIT
from tests.needs import runnable


def dense(weight):
    return Dense(name="d", inputs=("input",), weight=weight)


def network(weight):
    nodes = [Input(name="input", shape=(4,)), dense(weight)]
    return Graph.build([*nodes, Lif(name="out", inputs=("d",), threshold=5)], 2)


def test_the_array_that_was_given_can_change_the_node_cannot():
    given = np.full((3, 4), 2)
    node = dense(given)
    given[:] = 100
    assert np.array_equal(node.weight, np.full((3, 4), 2))
    with pytest.raises(ValueError, match="read-only"):
        node.weight[0, 0] = 4


def test_a_read_only_view_of_writable_memory_is_copied():
    given = np.full((3, 4), 2)
    view = given[:]
    view.flags.writeable = False
    node = dense(view)
    given[:] = 100
    assert node.weight.max() == 2


def test_what_nobody_can_write_to_is_not_copied():
    node = dense(np.full((3, 4), 2))
    assert replace(node, name="e").weight is node.weight


def pickled(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_copies_are_read_only_too(again):
    net = again(network(np.full((3, 4), 2)))
    with pytest.raises(ValueError, match="read-only"):
        net.nodes["d"].weight[0, 0] = 4
    with pytest.raises(TypeError):
        net.nodes["d"] = dense(np.full((3, 4), 4))


def test_changing_what_was_given_after_a_run_changes_no_result():
    weight = np.full((3, 4), 2)
    net, x = network(weight), np.ones((2, 2, 4))
    before = sdt_lava.simulate(net, x, "engine").spikes["out"]
    weight[:] = 0
    assert before.any()
    for backend in ("engine", "reference"):
        assert np.array_equal(sdt_lava.simulate(net, x, backend).spikes["out"], before)


def pooling(side):
    return [
        Input(name="input", shape=(1, side, side)),
        OrPool(name="pool", inputs=("input",), kernel=side, stride=1, padding=0),
    ]


def test_a_window_of_a_pooling_that_its_gate_cannot_sum_is_refused():
    """All of it spiking: 65,536 times 2, shifted by 6, is -2^23 in 24 bits, and no spike."""
    assert 255**2 <= POOL_WINDOW_LIMIT < 256**2
    with pytest.raises(GraphError, match="65,536"):
        Graph.build(pooling(256), 1)


def test_a_window_of_a_pooling_fits_the_state_of_its_gate():
    side = 255
    net = Graph.build(
        [
            *pooling(side),
            Dense(name="d", inputs=("pool",), weight=np.full((1, 1), 2)),
            Lif(name="out", inputs=("d",), threshold=1),
        ],
        1,
    )
    x = np.ones((1, 1, side, side))
    for backend in runnable(["reference", "engine", "machine", "lava-inprocess"]):
        assert sdt_lava.simulate(net, x, backend).spikes["out"].sum() == 1, backend
