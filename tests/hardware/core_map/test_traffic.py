"""Messages and operations on cores against counts of every spike and every synapse."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.run import simulate
from sdt_lava.errors import DataError
from sdt_lava.hardware.core_map import ASSUMED, Activity, map_cores
from sdt_lava.ir import Signal
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.hardware.core_map.targets import small_target
from tests.hardware.core_map.validator import (
    count_by_core,
    count_synops,
    count_traffic,
    placement_of,
)

KINDS = ("within_core", "between_cores", "between_chips", "hops", "from_host", "to_host")
TARGET = small_target(
    neurons_per_core=14, neuron_groups_per_core=3, axons_out_per_core=200, cores_per_chip=3
)


def network(kind, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "chain":
        return random_chain(rng, image=(2, 5, 4), low=0, high=1)
    return random_sdt_graph(rng, image=(2, 4, 3), channels=4)


def run(graph, seed=1, batch=3):
    frames = random_frames(np.random.default_rng(seed), graph, batch)
    x = np.swapaxes(frames, 0, 1) / graph.input.scale
    return simulate(graph, x, "engine", strict=False)


def events_of(compiled, result):
    """Events of every neuron, from the reference simulator alone."""
    values = run_reference(compiled.graph, result.frames, strict=False)
    return {
        name: np.count_nonzero(values[name], axis=(0, 1))
        for name in compiled.graph.order
        if compiled.graph.signals[name] is not Signal.CURRENT
    }


@pytest.mark.parametrize("shortcut", ["relay", "unrolled"])
@pytest.mark.parametrize("kind", ["chain", "transformer"])
def test_traffic_is_that_of_the_recorded_spikes(kind, shortcut):
    graph = network(kind)
    compiled = compile_network(graph, convolutions="conv", shortcut=shortcut)
    result = run(graph)
    core_map = map_cores(compiled, TARGET, spikes=result)
    events = events_of(compiled, result)
    placement = placement_of(core_map, compiled)
    expected = count_traffic(core_map, placement, events)
    traffic = core_map.traffic()
    assert {name: getattr(traffic, name) for name in KINDS} == {n: expected[n] for n in KINDS}
    assert expected["between_chips"] > 0 and expected["between_cores"] > 0
    assert traffic.steps == result.frames.shape[0] * result.frames.shape[1]
    assert traffic.per_step("hops") == expected["hops"] / traffic.steps
    synops = count_synops(placement, events)
    assert core_map.synops().tolist() == [synops[index] for index in range(len(core_map.cores))]
    assert [core.synops for core in core_map.cores] == core_map.synops().tolist()


@pytest.mark.parametrize("kind", ["chain", "transformer"])
def test_every_core_sends_and_receives_what_brute_force_counts(kind):
    graph = network(kind)
    compiled = compile_network(graph, convolutions="conv")
    result = run(graph)
    core_map = map_cores(compiled, TARGET, spikes=result)
    sent, received = count_by_core(placement_of(core_map, compiled), events_of(compiled, result))
    counts = core_map.by_core()
    cores = range(len(core_map.cores))
    assert counts.messages_out.tolist() == [sent[core] for core in cores]
    assert counts.messages_in.tolist() == [received[core] for core in cores]
    assert counts.synops.tolist() == core_map.synops().tolist()
    updates = [core.usage["neurons"] * counts.steps for core in core_map.cores]
    assert counts.neuron_updates.tolist() == updates
    listed = core_map.to_dict(per_core=True)["per_core"]
    assert [core["messages_out"] for core in listed] == counts.messages_out.tolist()


def test_synops_on_cores_add_up_to_those_of_the_report():
    graph = network("transformer")
    result = run(graph)
    core_map = map_cores(compile_network(graph, convolutions="conv"), TARGET, spikes=result)
    assert core_map.synops().sum() == result.synops.total
    assert core_map.busiest.synops == core_map.synops().max()


def test_without_a_run_every_neuron_sends_once():
    graph = network("transformer")
    compiled = compile_network(graph, convolutions="conv")
    core_map = map_cores(compiled, TARGET)
    placement = placement_of(core_map, compiled)
    ones = {
        name: np.ones(compiled.graph.shapes[name], int)
        for name in compiled.graph.order
        if compiled.graph.signals[name] is not Signal.CURRENT
    }
    expected = count_traffic(core_map, placement, ones)
    traffic = core_map.traffic()
    assert {name: getattr(traffic, name) for name in KINDS} == {n: expected[n] for n in KINDS}
    assert "assumed" in traffic.source and traffic.steps == 1
    assert not core_map.activity.is_measured
    synops = count_synops(placement, ones)
    assert core_map.synops().tolist() == [synops[index] for index in range(len(core_map.cores))]


def test_another_run_of_the_same_map():
    graph = network("transformer")
    compiled = compile_network(graph, convolutions="conv")
    core_map = map_cores(compiled, TARGET)
    result = run(graph, seed=9, batch=2)
    traffic = core_map.traffic(result)
    expected = count_traffic(
        core_map, placement_of(core_map, compiled), events_of(compiled, result)
    )
    assert {name: getattr(traffic, name) for name in KINDS} == {n: expected[n] for n in KINDS}
    assert traffic.source == "measured: 2 samples of 4 steps"


def test_runs_add_up():
    graph = network("chain")
    core_map = map_cores(compile_network(graph, convolutions="conv"), TARGET)
    frames = random_frames(np.random.default_rng(2), graph, 4)
    x = np.swapaxes(frames, 0, 1) / graph.input.scale
    parts = [
        core_map.traffic(simulate(graph, part, "engine", strict=False)) for part in (x[:1], x[1:])
    ]
    whole = core_map.traffic(simulate(graph, x, "engine", strict=False))
    for name in (*KINDS, "steps"):
        assert getattr(whole, name) == sum(getattr(part, name) for part in parts)


def test_measured_spikes_keep_messages_shorter_than_assumed_ones():
    """Cores placed for a run have no more chip borders between them than cores placed without."""
    graph = network("transformer", seed=4)
    compiled = compile_network(graph, convolutions="conv")
    result = run(graph)
    measured = map_cores(compiled, TARGET, spikes=result).traffic()
    assumed = map_cores(compiled, TARGET).traffic(result)
    assert measured.hops <= assumed.hops


def test_a_silent_run_has_no_traffic():
    graph = network("chain")
    compiled = compile_network(graph, convolutions="conv")
    shapes = compiled.graph.shapes
    silent = {
        name: np.zeros(shapes[name], int)
        for name in compiled.graph.order
        if compiled.graph.signals[name] is not Signal.CURRENT
    }
    traffic = map_cores(compiled, TARGET, spikes=Activity(silent, 8, "silence")).traffic()
    assert (traffic.messages, traffic.hops, traffic.from_host, traffic.to_host) == (0, 0, 0, 0)


def test_hops():
    graph = network("transformer")
    core_map = map_cores(compile_network(graph, convolutions="conv"), TARGET)
    first = core_map.cores[0]
    others = Counter(core_map.hops(first.index, core.index) for core in core_map.cores)
    on_chip = sum(core.chip == first.chip for core in core_map.cores)
    assert others[0] == 1 and others[1] == on_chip - 1
    assert min(hops for hops in others if hops > 1) == 2


def test_runs_of_other_networks_are_refused():
    graph = network("chain")
    core_map = map_cores(compile_network(graph, convolutions="conv"), TARGET)
    with pytest.raises(DataError, match="as in the mapped network"):
        core_map.traffic(run(network("transformer")))
    with pytest.raises(DataError, match="no such name"):
        core_map.traffic(Activity({"nobody": np.zeros(3, int)}, 1, "test"))
    with pytest.raises(DataError, match=r"\(3,\)"):
        core_map.traffic(Activity({"input": np.zeros(3, int)}, 1, "test"))
    assert core_map.traffic(ASSUMED) == core_map.traffic()
