"""Delays balance every path; resets come when a sample's first step arrives."""

from __future__ import annotations

import numpy as np
import pytest

from sdt_lava.compiler import compile_network
from sdt_lava.errors import CompileError
from sdt_lava.graph import Dense, Graph, Input, Lif, Shortcut, Signal
from tests.graphs import random_sdt_graph


def all_path_lengths(compiled, name):
    """Machine steps from the input to a population along every path."""
    graph = compiled.graph
    if name == graph.input.name:
        return {0}
    lengths = set()
    for connection in graph.nodes[name].inputs:
        source = graph.nodes[connection].inputs[0]
        step = 1 + compiled.schedule.delay[connection]
        lengths |= {length + step for length in all_path_lengths(compiled, source)}
    return lengths


@pytest.mark.parametrize("downsampling", ["or", "stride", "subsample", "none"])
def test_every_path_to_a_population_takes_its_latency(downsampling):
    graph = random_sdt_graph(
        np.random.default_rng(0), image=(2, 4, 4), channels=2, downsampling=downsampling
    )
    compiled = compile_network(graph)
    for node in compiled.graph:
        if compiled.graph.signals[node.name] is not Signal.CURRENT:
            latency = compiled.schedule.latency[node.name]
            assert all_path_lengths(compiled, node.name) == {latency}, node.name


def test_depth_grows_by_nine_steps_a_block():
    """SDSA takes six steps from stream to stream, the MLP three."""
    depths = [
        compile_network(random_sdt_graph(np.random.default_rng(0), blocks=blocks)).schedule.depth
        for blocks in (1, 2, 3)
    ]
    assert np.diff(depths).tolist() == [9, 9]


def test_resets_and_reading():
    graph = random_sdt_graph(np.random.default_rng(0), timesteps=4)
    schedule = compile_network(graph).schedule
    for name, latency in schedule.latency.items():
        assert schedule.first_step(name, 3) == 12 + latency
        # Lava counts steps from 1 and resets before it integrates.
        assert (schedule.first_step(name, 3) + 1) % 4 == schedule.reset_offset(name)
    assert schedule.machine_steps(5) == 20 + schedule.depth


def test_steps_of_the_data_override_the_networks():
    graph = random_sdt_graph(np.random.default_rng(0), timesteps=4)
    assert compile_network(graph, timesteps=9).schedule.timesteps == 9


def test_schedule_explains_itself():
    text = str(compile_network(random_sdt_graph(np.random.default_rng(0))).schedule)
    assert "samples enter every 4 steps" in text
    assert "waits for the longer path" in text


def test_delay_beyond_the_hardware_is_refused():
    size = np.eye(2, dtype=int) * 4
    nodes = [Input(name="x", shape=(2,), low=0, high=1)]
    last = "x"
    for index in range(70):
        nodes.append(Dense(name=f"d{index}", inputs=(last,), weight=size))
        last = f"a{index}"
        nodes.append(Lif(name=last, inputs=(f"d{index}",), threshold=2))
    nodes.append(Dense(name="late", inputs=(last,), weight=size))
    nodes.append(Dense(name="early", inputs=("x",), weight=size))
    nodes.append(Shortcut(name="s", inputs=("late", "early")))
    nodes.append(Lif(name="end", inputs=("s",), threshold=2))
    with pytest.raises(CompileError, match="delay of 70 steps"):
        compile_network(Graph.build(nodes, 2))
