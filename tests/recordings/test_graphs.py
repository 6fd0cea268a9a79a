"""Compiled networks against recordings of Lava: every population, every machine step."""

from __future__ import annotations

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.host import network_outputs
from sdt_lava.backends.machine.run import run_machine
from sdt_lava.backends.streaming import as_samples
from sdt_lava.errors import NumericOverflowError
from sdt_lava.ir.reference import run_reference
from tests.recordings.graphs import NETWORKS, compiled_network, recorded_steps
from tests.recordings.store import load, names


@pytest.fixture(scope="module")
def recordings():
    return load("graphs")


def in_samples(compiled, name, sent, samples):
    """Cut what a population sent in all machine steps into samples ``(T, B, *shape)``."""
    schedule = compiled.schedule
    first = schedule.first_step(name, 0)
    window = sent[first : first + samples * schedule.timesteps]
    shape = compiled.graph.shapes[name]
    return as_samples(window.reshape(len(window), 1, *shape), schedule.timesteps)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_machine_step_by_step(recordings, tmp_path, name):
    case = recordings[name]
    compiled, frames = compiled_network(name, case, tmp_path), case["frames"]
    found = run_machine(compiled, frames)
    recorded = recorded_steps(case)
    assert set(recorded) == set(compiled.observed)
    for population, sent in recorded.items():
        assert len(sent) == found.steps
        expected = in_samples(compiled, population, sent, frames.shape[1])
        assert np.array_equal(found.outputs[population], expected), population
        # Before the first sample has arrived and after the last one has left, too.
        events = np.count_nonzero(sent, axis=0).reshape(found.events[population].shape)
        assert np.array_equal(found.events[population], events), population


@pytest.mark.parametrize("backend", ["reference", "engine", "machine"])
@pytest.mark.parametrize("name", NETWORKS)
def test_back_ends(recordings, tmp_path, name, backend):
    """What the network itself means does not depend on how it is compiled."""
    case = recordings[name]
    compiled, frames = compiled_network(name, case, tmp_path), case["frames"]
    sent = {
        population: in_samples(compiled, population, steps, frames.shape[1])
        for population, steps in recorded_steps(case).items()
    }
    expected = network_outputs(compiled, sent)
    graph = compiled.source
    reset = NETWORKS[name].options.get("reset", True)
    x = (np.swapaxes(frames, 0, 1) - graph.input.offset) / graph.input.scale
    result = sdt_lava.simulate(graph, x, backend, reset=reset, strict=False)
    assert np.array_equal(result.frames, frames)
    compared = {**result.spikes, **(result.messages or {})}
    assert compared and set(compared) <= set(expected)
    for node, values in compared.items():
        assert np.array_equal(values, expected[node]), node
    if graph.readout is not None:
        assert np.array_equal(result.logits, expected[graph.output_name].sum(axis=0))


def test_values_leave_their_registers(recordings, tmp_path):
    refused = 0
    for name in (name for name in NETWORKS if name.startswith("overflow")):
        compiled = compiled_network(name, recordings[name], tmp_path)
        graph, frames = compiled.source, recordings[name]["frames"]
        try:
            run_reference(graph, frames)
        except NumericOverflowError:
            refused += 1
    assert refused >= 7


def test_the_recordings_are_alive(recordings):
    """Silent populations show little."""
    assert list(recordings) == list(NETWORKS) == names("graphs")
    sent = [values for case in recordings.values() for values in recorded_steps(case).values()]
    assert np.mean([values.any() for values in sent]) > 0.9
