"""The comparison of lowerings, against compiled networks and exact counts of runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.deployment import compile_network
from sdt_lava.compiler import Lowering, lower
from sdt_lava.compiler.cost import count_lowering, estimated_rates
from sdt_lava.ir import Gate, Signal
from sdt_lava.ir.reference import run_reference
from sdt_lava.report.lowerings import compare_lowerings
from tests.graphs import random_chain, random_frames, random_sdt_graph


@pytest.fixture(scope="module")
def graph():
    return random_sdt_graph(np.random.default_rng(0), image=(2, 6, 5), channels=3, blocks=2)


@pytest.fixture(scope="module")
def result(graph):
    frames = random_frames(np.random.default_rng(1), graph, batch=4)
    return sdt_lava.simulate(graph, np.swapaxes(frames, 0, 1) / graph.input.scale)


@pytest.fixture(scope="module")
def comparison(graph, result):
    return compare_lowerings(graph, result)


def test_every_row_is_what_the_compiler_makes(graph, comparison):
    for row in comparison.rows:
        compiled = compile_network(
            graph, shortcut=row.lowering.shortcut, sdsa=row.lowering.sdsa, convolutions="sparse"
        )
        assert row.processes == compiled.num_processes, (row.shortcut, row.sdsa)
        assert row.latency == compiled.schedule.depth
        assert row.longest_delay == max(compiled.schedule.delay.values())
        populations = [
            name
            for name, signal in compiled.graph.signals.items()
            if signal is not Signal.CURRENT and name != "input"
        ]
        assert row.neurons == sum(int(np.prod(compiled.graph.shapes[name])) for name in populations)
        matrices = [n.weight for n in compiled.graph if n.kind == "sparse"]
        dense = [n.weight.size for n in compiled.graph if n.kind == "dense"]
        assert row.synapses == sum(m.nnz for m in matrices) + sum(dense)


def test_work_is_counted_exactly(graph, result, comparison):
    assert comparison.samples == 4
    for row in comparison.rows:
        lowered = lower(graph, row.lowering)
        values = run_reference(lowered, result.frames)
        expected = 0
        for node in lowered:
            if lowered.signals[node.name] is Signal.CURRENT:
                source = node.inputs[0]
                events = np.count_nonzero(values[source], axis=(0, 1)).ravel()
                expected += int((events * reached(lowered, node)).sum())
        assert row.synops == pytest.approx(expected / 4, rel=1e-12)
        for graded, found in ((False, row.binary_spikes), (True, row.graded_spikes)):
            signal = Signal.GRADED if graded else Signal.SPIKE
            sent = sum(
                np.count_nonzero(values[name])
                for name in lowered.order
                if lowered.signals[name] is signal and name != "input"
            )
            assert found == pytest.approx(sent / 4, rel=1e-12)


def reached(lowered, node):
    """Synapses of each source neuron, by brute force: what one event after the other reaches."""
    from sdt_lava.compiler.connections import convolution

    shape = lowered.shapes[node.inputs[0]]
    if node.kind == "conv":
        matrix = convolution(node, shape, lowered.shapes[node.name])
    elif node.kind == "dense":
        return np.full(int(np.prod(shape)), node.weight.shape[0])
    else:
        matrix = node.weight
    return np.diff(matrix.tocsc().indptr)


def test_rows_and_what_is_refused(graph, comparison):
    asked = [(row.shortcut, row.sdsa) for row in comparison.rows]
    assert asked == [
        ("relay", "and"),
        ("unrolled", "and"),
        ("relay", "column-gate"),
        ("relay", "columnless"),
        ("auto", "auto"),
    ]
    assert set(comparison.refused) == {"single-gate"}
    assert "more than one token" in next(iter(comparison.refused["single-gate"].values()))
    relay, unrolled = comparison.row("relay", "and"), comparison.row("unrolled", "and")
    assert relay.cost == 1 and comparison.rows[-1].cost <= min(1, unrolled.cost)
    assert unrolled.graded_spikes < relay.graded_spikes and unrolled.latency < relay.latency
    assert comparison.to_dict()["rows"][0]["lowering"]["shortcut"]


def test_rates_instead_of_a_run(graph, result):
    silent = compare_lowerings(graph, 0.0)
    assert silent.samples == 0 and silent.rows[0].binary_spikes == 0
    assumed, given = compare_lowerings(graph), compare_lowerings(graph, 0.15)
    assert assumed.rows == given.rows
    # A column that is a gate does what the neurons did.
    first, gates = assumed.row("relay", "and"), assumed.row("relay", "column-gate")
    assert (first.synops, first.binary_spikes) == (gates.synops, gates.binary_spikes)
    rates = {name: float(spikes.mean()) for name, spikes in result.spikes.items()}
    measured, estimated = compare_lowerings(graph, result), compare_lowerings(graph, rates)
    assert measured.rows[-1].lowering == estimated.rows[-1].lowering
    for exact, guess in zip(measured.rows, estimated.rows, strict=True):
        assert exact.synapses == guess.synapses
        assert guess.synops == pytest.approx(exact.synops, rel=0.3)


def test_networks_without_streams_or_columns():
    chain = random_chain(np.random.default_rng(2))
    rows = compare_lowerings(chain).rows
    assert len({(row.neurons, row.synapses, row.latency) for row in rows}) == 1


def test_a_column_with_memory_has_one_way():
    graph = random_sdt_graph(
        np.random.default_rng(3), image=(1, 4, 4), channels=2, attention_threshold=3
    )
    comparison = compare_lowerings(graph)
    assert [row.sdsa for row in comparison.rows] == ["and", "and", "auto"]
    assert set(comparison.refused) == {"column-gate", "columnless", "single-gate"}


def test_estimated_rates_of_gates(graph):
    lowered = lower(graph, Lowering.choose(graph))
    rates = estimated_rates(lowered, 0.2)
    assert rates["block.0.attn.kv"] == pytest.approx(0.04)
    assert rates["input"] == 1.0
    mask = estimated_rates(lowered, {"block.0.attn.q_lif": 0.5, "block.0.attn.attn_lif": 0.1})
    assert mask["block.0.attn.mask"] == pytest.approx(0.05)
    assert isinstance(lowered.nodes["block.0.attn.mask"], Gate)
    counts = count_lowering(lowered, dict.fromkeys(rates, 0.0))
    assert counts.synops == counts.binary_spikes == counts.graded_spikes == 0


def test_what_a_target_lacks(graph):
    binary = graph.rebuild(
        replace(node, low=0, high=1, scale=1.0) if node.name == "input" else node for node in graph
    )
    comparison = compare_lowerings(binary, target="loihi1")
    assert comparison.row("relay", "and").missing == ("relay",)
    auto = comparison.row("auto", "auto")
    assert set(auto.lowering.shortcut.values()) == {"unrolled"}
    for row in compare_lowerings(binary, target="loihi2").rows:
        assert not row.missing
