"""The machine in NumPy: a compiled graph step by machine step, with its delays and resets.

The reference evaluates what a graph computes; this evaluates when. Every population runs from
machine step 0 on, before the first sample has reached it and after the last one has left it, gates
have the leak that they have in Lava, and a connection delivers its events one step later plus its
delay. It is the oracle for schedules that Lava's runtime would take long to run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdt_lava.compiler.compile import CompiledNetwork
from sdt_lava.compiler.schedule import Schedule
from sdt_lava.cuba import CubaPopulation, cuba_parameters
from sdt_lava.graph import (
    CubaLif,
    Delta,
    Gate,
    Input,
    Lif,
    MaxRelay,
    Node,
    Relay,
    Sigma,
    SigmaDelta,
    Signal,
)
from sdt_lava.numerics import (
    DECAY_UNITY,
    GATE_DECAY,
    IntArray,
    LifParameters,
    lif_step,
)
from sdt_lava.sigma_delta import make_population
from sdt_lava.simulate.reference import evaluate, lif_parameters
from sdt_lava.simulate.streaming import as_samples, as_stream

_GATE = {"voltage_decay": GATE_DECAY, "current_decay": DECAY_UNITY, "bias": 0, "bias_exponent": 0}


@dataclass(frozen=True, eq=False)
class MachineRun:
    """What the machine did.

    Parameters
    ----------
    outputs : dict of str to ndarray
        ``(T, B, *shape)`` of every population, cut into samples by latency.
    events : dict of str to ndarray
        How often each neuron sent something in all machine steps, ``(*shape)``; it includes the
        steps before the first sample arrives and after the last one has left.
    steps : int
        Machine steps.
    """

    outputs: dict[str, IntArray]
    events: dict[str, IntArray]
    steps: int


def run_machine(compiled: CompiledNetwork, frames: IntArray) -> MachineRun:
    """Run a compiled network as Lava does.

    Parameters
    ----------
    compiled : CompiledNetwork
        Its schedule's T must be that of the frames.
    frames : ndarray of int
        ``(T, B, *shape)``; samples are presented one after another.
    """
    graph, schedule = compiled.graph, compiled.schedule
    timesteps, samples = frames.shape[:2]
    steps = schedule.machine_steps(samples)
    silence = np.zeros((steps - samples * timesteps, 1, *graph.input_shape), np.int64)
    values: dict[str, IntArray] = {}
    for node in graph:
        if isinstance(node, Input):
            entered = np.concatenate([as_stream(frames), silence])
            values[node.name] = _later(entered, schedule.latency[node.name])
        elif graph.signals[node.name] is Signal.CURRENT:
            sent = values[node.inputs[0]]
            values[node.name] = evaluate(node, [_later(sent, 1 + schedule.delay[node.name])])
        else:
            arriving = [values.pop(name) for name in node.inputs]
            values[node.name] = _RUN[type(node)](node, arriving, schedule)
    outputs, events = {}, {}
    for name, sent in values.items():
        start = schedule.first_step(name, 0)
        outputs[name] = as_samples(sent[start : start + samples * timesteps], timesteps)
        events[name] = np.count_nonzero(sent, axis=(0, 1))
    return MachineRun(outputs, events, steps)


def _later(sent: IntArray, steps: int) -> IntArray:
    """Return what arrives ``steps`` machine steps after it was sent."""
    arriving = np.zeros_like(sent)
    arriving[steps:] = sent[: max(len(sent) - steps, 0)]
    return arriving


def _integrate(
    arriving: list[IntArray], parameters: LifParameters, is_reset: Callable[[int], bool]
) -> IntArray:
    activation = np.sum(arriving, axis=0, dtype=np.int64)
    current = voltage = np.zeros(activation.shape[1:], np.int64)
    spikes = np.zeros_like(activation)
    for step, sums in enumerate(activation):
        if is_reset(step):
            current = voltage = np.zeros_like(current)
        current, voltage, spikes[step], _ = lif_step(current, voltage, sums, parameters)
    return spikes


def _lif(node: Lif, arriving: list[IntArray], schedule: Schedule) -> IntArray:
    interval, offset = schedule.reset_interval, schedule.reset_offset(node.name)
    parameters = lif_parameters(node, arriving[0].ndim - 2)
    # Lava counts steps from 1.
    return _integrate(arriving, parameters, lambda step: (step + 1) % interval == offset)


def _cuba(node: CubaLif, arriving: list[IntArray], schedule: Schedule) -> IntArray:
    interval, offset = schedule.reset_interval, schedule.reset_offset(node.name)
    activation = np.sum(arriving, axis=0, dtype=np.int64)
    population = CubaPopulation(cuba_parameters(node, activation.ndim - 2), activation.shape[1:])
    sent = np.zeros_like(activation)
    for step, sums in enumerate(activation):
        if (step + 1) % interval == offset:
            population.reset()
        sent[step] = population.step(sums)[0]
    return sent


def _sigma_delta(
    node: SigmaDelta | Delta | Sigma, arriving: list[IntArray], schedule: Schedule
) -> IntArray:
    start = schedule.starts.get(node.name)
    interval, offset = schedule.reset_interval, schedule.reset_offset(node.name)
    activation = np.sum(arriving, axis=0, dtype=np.int64)
    shape = activation.shape[1:]
    population = make_population(node, shape)
    sent = np.zeros_like(activation)
    for step, sums in enumerate(activation):
        if start is not None and (step + 1) % interval == offset:
            population = make_population(node, shape, [part.reshape(shape) for part in start])
        sent[step] = population.step(sums)[0]
    return sent


def _gate(node: Gate, arriving: list[IntArray], schedule: Schedule) -> IntArray:
    return _integrate(
        arriving, LifParameters(threshold=node.threshold, **_GATE), lambda step: False
    )


def _without_memory(node: Node, arriving: list[IntArray], schedule: Schedule) -> IntArray:
    return evaluate(node, arriving)


_RUN: dict[type[Node], Callable[[Any, list[IntArray], Schedule], IntArray]] = {
    Lif: _lif,
    CubaLif: _cuba,
    Gate: _gate,
    Relay: _without_memory,
    MaxRelay: _without_memory,
    SigmaDelta: _sigma_delta,
    Delta: _sigma_delta,
    Sigma: _sigma_delta,
}
