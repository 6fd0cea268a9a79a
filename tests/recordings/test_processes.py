"""Our arithmetic against recordings of Lava's process models: every value of every step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.machine.run import run_machine
from sdt_lava.engine import Engine
from sdt_lava.ir import (
    Conv,
    CubaLif,
    Delta,
    Dense,
    Graph,
    Input,
    Node,
    Relay,
    Sigma,
    SigmaDelta,
    Sparse,
)
from sdt_lava.ir.numerics import LifParameters, lif_step, power_shift, wrap_int32
from sdt_lava.ir.reference import run_reference
from tests.recordings.store import load, names

# What a graph's input, and so a relay, holds.
_PAYLOAD = 2**23 - 1


def cases(*subjects, where=lambda case: True):
    """Return parameters ``(subject, name)``."""
    return [
        pytest.param(subject, name, id=f"{subject}: {name}")
        for subject in subjects
        for name, case in load(subject).items()
        if where(case)
    ]


def fits(case):
    return np.abs(case["received"]).max() <= _PAYLOAD


# -- neurons -----------------------------------------------------------------------------------


def resets(case, step):
    """Say whether Lava resets before a step; it counts steps from 1."""
    return "reset_interval" in case and (step + 1) % case["reset_interval"] == case["reset_offset"]


@pytest.mark.parametrize(("subject", "name"), cases("lif", "lif-reset"))
def test_the_neuron(subject, name):
    case = load(subject)[name]
    parameters = LifParameters(
        threshold=case["vth"],
        voltage_decay=case["dv"],
        current_decay=case["du"] + 1,
        bias=case["bias_mant"],
        bias_exponent=int(case["bias_exp"]),
    )
    current = voltage = np.zeros(case["received"].shape[1:], np.int64)
    for step, activation in enumerate(case["received"]):
        if resets(case, step):
            current = voltage = np.zeros_like(current)
        current, voltage, spikes, _ = lif_step(current, voltage, activation, parameters)
        assert np.array_equal(spikes, case["sent"][step]), step
        assert np.array_equal(current, case["u"][step]), step
        assert np.array_equal(voltage, case["v"][step]), step
    assert 0 < case["sent"].mean() < 1


def neurons_behind_synapses(case, timesteps):
    """Return neurons with the parameters of a recording, each behind a synapse of weight 1."""
    size = case["received"].shape[1]
    neurons = CubaLif(
        name="neurons",
        inputs=("synapses",),
        threshold=case["vth"],
        voltage_decay=case["dv"],
        current_decay=case["du"] + 1,
        bias=case["bias_mant"],
        bias_exponent=int(case["bias_exp"]),
    )
    return chain(case, Dense(name="synapses", weight=np.eye(size, dtype=int)), neurons, timesteps)


def chain(case, *layers, shape=None):
    *nodes, timesteps = layers
    shape = shape or case["received"].shape[1:]
    largest = int(np.abs(case["received"]).max())
    entry = Input(
        name="input", shape=shape, low=-largest * (case["received"].min() < 0), high=largest
    )
    found: list[Node] = [entry]
    for node in nodes:
        found.append(replace(node, inputs=(found[-1].name,)))
    return Graph.build(found, timesteps)


def run_everywhere(graph, frames, name):
    """Return what a population sends on the reference, engine and machine: ``(T, B, *shape)``."""
    yield "reference", run_reference(graph, frames, strict=False)[name]
    yield "engine", Engine(graph, strict=False, tracked=False).run(frames)[name]
    compiled = compile_network(graph, timesteps=len(frames))
    if name in compiled.graph.nodes:
        yield "machine", run_machine(compiled, frames).outputs[name]


def in_samples(values, first, timesteps):
    """Cut a stream into samples that begin at a reset: ``(T, B, n)``."""
    count = (len(values) - first) // timesteps
    window = values[first : first + count * timesteps]
    return np.swapaxes(window.reshape(count, timesteps, *values.shape[1:]), 0, 1)


@pytest.mark.parametrize(("subject", "name"), cases("lif", "lif-reset", where=fits))
def test_neurons_on_every_back_end(subject, name):
    case = load(subject)[name]
    steps = len(case["received"])
    timesteps = int(case.get("reset_interval", steps))
    # A sample begins where Lava resets.
    first = next((step for step in range(steps) if resets(case, step)), 0)
    graph = neurons_behind_synapses(case, timesteps)
    frames, expected = (in_samples(case[key], first, timesteps) for key in ("received", "sent"))
    ran = dict(run_everywhere(graph, frames, "neurons"))
    assert set(ran) == {"reference", "engine", "machine"}
    for backend, found in ran.items():
        assert np.array_equal(found, expected), backend


# -- connections -------------------------------------------------------------------------------


def assert_delivered(case, sums, steps=1):
    """Compare sums ``(T, ...)`` with what arrives that many steps later, and nothing before."""
    assert np.array_equal(case["sent"][steps:], sums[: len(sums) - steps])
    assert not case["sent"][:steps].any() and case["sent"].any()


def node_of(subject, case):
    exponent = int(case.get("weight_exp", 0))
    if subject == "conv":
        return Conv(
            name="synapses",
            # Lava's kernels are (X, Y), and turned around.
            weight=case["weight"][:, ::-1, ::-1].transpose(0, 3, 2, 1),
            stride=tuple(int(side) for side in case["stride"][::-1]),
            padding=tuple(int(side) for side in case["padding"][::-1]),
            dilation=tuple(int(side) for side in case["dilation"][::-1]),
            groups=int(case["groups"]),
        )
    if "sparse" in subject:
        weight = csr_matrix(case["weights"].astype(np.int32))
        shape = (weight.shape[0],)
        return Sparse(
            name="synapses", weight=weight, shape=shape, role="synapse", exponent=exponent
        )
    return Dense(name="synapses", weight=case["weights"], exponent=exponent)


def back_ends_of(subject, case):
    """Return the sums on every back end, ``(T, ...)``, in Lava's order of axes."""
    to_ours = (0, 3, 2, 1) if subject == "conv" else (0, 1)
    received = case["received"].transpose(to_ours)
    graph = chain(case, node_of(subject, case), len(received), shape=received.shape[1:])
    frames = received[:, None]
    yield "reference", run_reference(graph, frames, strict=False)["synapses"][:, 0]
    if "sparse" not in subject:  # a kind of node that only the compiler makes
        found = Engine(graph, strict=False, tracked=False).run(frames)
        yield "engine", found["synapses"][:, 0]
    relay = Relay(name="relay", inputs=("synapses",))
    compiled = compile_network(graph.rebuild([*graph, relay]), timesteps=len(received))
    yield "machine", run_machine(compiled, frames).outputs["relay"][:, 0]


def own_order(subject, values):
    return values.transpose(0, 3, 2, 1) if subject == "conv" else values


@pytest.mark.parametrize(("subject", "name"), cases("dense", "sparse", "conv"))
def test_connections(subject, name):
    case = load(subject)[name]
    for _, sums in back_ends_of(subject, case):
        assert_delivered(case, own_order(subject, sums))


@pytest.mark.parametrize(("subject", "name"), cases("delay-dense", "delay-sparse"))
def test_delays(subject, name):
    """Each synapse has its delay; what has waited equally long is rounded as one sum."""
    case = load(subject)[name]
    received, weights = case["received"], case["weights"]
    exponent = int(case["weight_exp"])
    delays = np.broadcast_to(case["delays"], weights.shape)
    sums = np.zeros_like(case["sent"])
    for delay in range(delays.max() + 1):
        waited = received[: len(received) - 1 - delay]
        part = waited @ np.where(delays == delay, weights, 0).T
        if subject == "delay-sparse":  # DelayDense adds in 64 bits
            part = wrap_int32(part)
        sums[1 + delay :] += power_shift(part, exponent, 1)
    assert np.array_equal(case["sent"], wrap_int32(sums))
    assert sums.any()


@pytest.mark.parametrize(
    ("subject", "name"),
    cases("delay-dense", "delay-sparse", where=lambda case: case["delays"].ndim == 0),
)
def test_connections_that_wait(subject, name):
    """As compiled graphs have them: all synapses of a connection wait equally long."""
    case = load(subject)[name]
    delay = int(case["delays"])
    frames = case["received"][:, None]
    nodes = [node_of(subject, case), Relay(name="relay")]
    compiled = compile_network(chain(case, *nodes, len(frames)), timesteps=len(frames))
    schedule = compiled.schedule
    waits = replace(
        schedule,
        delay={**schedule.delay, "synapses": delay},
        latency={**schedule.latency, "relay": 1 + delay},
    )
    found = run_machine(replace(compiled, schedule=waits), frames)
    # The recording ends while the last sums are still on their way.
    assert_delivered(case, found.outputs["relay"][:, 0], 1 + delay)


# -- payloads and changes ----------------------------------------------------------------------


@pytest.mark.parametrize("name", names("graded"))
def test_relays(name):
    case = load("graded")[name]
    above = np.abs(case["received"]) > case["vth"]
    assert np.array_equal(case["sent"], case["received"] * above)
    if case["vth"] == 0:
        relay = Relay(name="relay")
        size = case["received"].shape[1]
        synapses = Dense(name="synapses", weight=np.eye(size, dtype=int))
        graph = chain(case, synapses, relay, len(case["received"]))
        frames = case["received"][:, None]
        compiled = compile_network(graph, timesteps=len(frames))
        assert np.array_equal(run_reference(graph, frames)["relay"][:, 0], case["sent"])
        assert np.array_equal(run_machine(compiled, frames).outputs["relay"][:, 0], case["sent"])


def changing(subject, case):
    fields = {"name": "neurons", "inputs": ("x",)}
    if subject == "sigma":
        return Sigma(**fields)
    fields.update(
        threshold=int(case["vth"]),
        spike_exponent=int(case["spike_exp"]),
        state_exponent=int(case["state_exp"]),
    )
    if subject == "delta":
        return Delta(**fields)
    return SigmaDelta(**fields, bias=case["bias"], rectified=bool(case["rectified"]))


@pytest.mark.parametrize(("subject", "name"), cases("delta", "sigma-delta", "sigma"))
def test_changes(subject, name):
    case = load(subject)[name]
    population = changing(subject, case).population((1, *case["received"].shape[1:]))
    for step, activation in enumerate(case["received"]):
        found = population.step(activation[None])[0]
        assert np.array_equal(found[0], case["sent"][step]), step
    assert case["sent"].any()


@pytest.mark.parametrize("name", names("ring-buffers"))
def test_data_that_is_played_again(name):
    case = load("ring-buffers")[name]
    played = case["received"][np.arange(int(case["steps"])) % len(case["received"])]
    assert np.array_equal(case["sent"], played)
