"""Bounds of compiled graphs."""

import numpy as np
import pytest

from sdt_lava.compiler.compile import lower
from sdt_lava.quantize.bounds import bound, bound_extremes, bound_nodes
from sdt_lava.quantize.groups import lif_groups
from sdt_lava.simulate.engine import Engine
from tests.graphs import random_chain, random_frames, random_sdt_graph


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
