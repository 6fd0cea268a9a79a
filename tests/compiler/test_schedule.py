"""Delays balance every path; resets come when a sample's first step arrives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.machine.run import run_machine
from sdt_lava.ir import Dense, Gate, Graph, Input, Lif, Relay, Shortcut, Signal
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_frames, random_sdt_graph


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
    assert "for the longer path" in text


def long_chain(length, *, graded):
    """A chain of LIFs, and a shortcut around it from spikes or from graded input."""
    same = np.eye(2, dtype=int) * 4
    nodes = [Input(name="x", shape=(2,), low=0, high=3 if graded else 1)]
    last = "x"
    for index in range(length):
        nodes.append(Dense(name=f"d{index}", inputs=(last,), weight=same))
        last = f"a{index}"
        nodes.append(Lif(name=last, inputs=(f"d{index}",), threshold=2))
    nodes.append(Dense(name="late", inputs=(last,), weight=same))
    nodes.append(Dense(name="early", inputs=("x",), weight=same))
    nodes.append(Shortcut(name="s", inputs=("late", "early")))
    nodes.append(Lif(name="end", inputs=("s",), threshold=7))
    return Graph.build(nodes, 3)


@pytest.mark.parametrize("graded", [True, False])
@pytest.mark.parametrize(("length", "chain"), [(62, 0), (63, 1), (125, 1), (126, 2), (140, 2)])
def test_a_long_delay_is_split_over_gates_or_relays(graded, length, chain):
    compiled = compile_network(long_chain(length, graded=graded))
    assert max(compiled.schedule.delay.values()) <= 62
    assert compiled.schedule.latency["end"] == length + 1
    made = [node for node in compiled.graph if ".later" in node.name and "->" not in node.name]
    assert [type(node) for node in made] == [Relay if graded else Gate] * chain
    assert len(compiled.splits) == (1 if chain else 0)
    if chain:
        (split,) = compiled.splits
        assert (split.connection, split.source, split.reader) == ("early", "x", "end")
        assert split.delay == length and split.through == tuple(node.name for node in made)
        assert split.kind == ("relay" if graded else "gate")
        assert f"a delay of {length} steps is split over {chain} {split.kind}" in str(compiled)
    frames = random_frames(np.random.default_rng(length), compiled.source, batch=2)
    expected = run_reference(compiled.source, frames)
    outputs = run_machine(compiled, frames).outputs
    for name in compiled.source.lif_names:
        assert np.array_equal(outputs[name], expected[name]), name
    assert expected["end"].any() and not expected["end"].all()


def test_connections_that_wait_long_share_a_chain():
    graph = long_chain(140, graded=False)
    extra = Dense(name="middle", inputs=("x",), weight=np.eye(2, dtype=int) * 4)
    nodes = [*graph, extra]
    nodes = [
        replace(node, inputs=(*node.inputs, "middle")) if node.name == "a80" else node
        for node in nodes
    ]
    compiled = compile_network(Graph.build(nodes, 3))
    through = {split.connection: split.through for split in compiled.splits}
    assert through == {"early": ("x.later1", "x.later2"), "middle": ("x.later1",)}


def test_delays_and_resets_have_reasons():
    graph = random_sdt_graph(np.random.default_rng(0), timesteps=4)
    schedule = compile_network(graph).schedule
    reasons = {reason.connection: reason for reason in schedule.delays}
    assert set(reasons) == {name for name, delay in schedule.delay.items() if delay}
    mask = reasons["block.0.attn.mask.left"]
    assert (mask.source, mask.reader, mask.delay) == (
        "block.0.attn.q_lif",
        "block.0.attn.mask",
        2,
    )
    assert mask.longer_path[1:] == (
        "block.0.attn.kv",
        "block.0.attn.attn_lif",
        "block.0.attn.mask",
    )
    for reason in schedule.delays:
        start, *_, end = reason.longer_path
        hops = schedule.latency[end] - schedule.latency[start]
        assert end == reason.reader and hops == len(reason.longer_path) - 1
        assert schedule.latency[start] <= schedule.latency[reason.source]
        assert reason.longer_path[0] in str(reason) and reason.connection in str(schedule)
    resets = {reason.population: reason for reason in schedule.resets}
    assert set(resets) == set(graph.lif_names)
    for name, reason in resets.items():
        assert reason.latency == schedule.latency[name] and reason.interval == 4
        assert (reason.latency + 1) % 4 == reason.offset
    stream = compile_network(graph, reset=False).schedule
    assert all(reason.interval is None and "once" in str(reason) for reason in stream.resets)
    plain = schedule.to_dict()
    assert plain["delays"][0]["connection"] == schedule.delays[0].connection
    assert plain["latency"] == schedule.latency and len(plain["resets"]) == len(resets)
