"""The oracle: every node in plain NumPy int64, obviously right, slow.

Arrays are ``(T, B, *shape)``. Nothing here is clever on purpose; the other back ends are
compared with this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sdt_lava.ir import (
    SIGMA_DELTA_KINDS,
    And,
    Conv,
    CubaLif,
    Dense,
    Flatten,
    Gate,
    Graph,
    GroupSum,
    Input,
    Lif,
    MaxPool,
    MaxRelay,
    Node,
    OrPool,
    Pool,
    Readout,
    Relay,
    Shortcut,
    Sparse,
    Subsample,
    TokenDilate,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.cuba_steps import CubaPopulation, cuba_parameters
from sdt_lava.ir.numerics import (
    IntArray,
    LifParameters,
    NeuronStates,
    channel_vector,
    driven_current,
    lif_step,
    wrap_int32,
)
from sdt_lava.ir.registers import (
    RELAYS,
    WEIGHTED,
    Watch,
    carry,
    hold,
    look_at_neurons,
    relayed_currents,
)
from sdt_lava.ir.sigma_delta_runs import run_population, start_of
from sdt_lava.ir.states import check_states
from sdt_lava.ir.windows import taps

# What a node computes, exactly; layers before their exponent.
Evaluate = Callable[[Any, list[IntArray]], IntArray]

_EVALUATE: dict[type[Node], Evaluate] = {}


def _evaluates(kind: type[Node]) -> Callable[[Evaluate], Evaluate]:
    def register(function: Evaluate) -> Evaluate:
        _EVALUATE[kind] = function
        return function

    return register


def run_reference(
    graph: Graph,
    frames: IntArray,
    *,
    strict: bool = True,
    states: NeuronStates | None = None,
) -> Mapping[str, IntArray]:
    """Evaluate every node of an integer graph.

    Parameters
    ----------
    graph : Graph
        Integer graph, traced or compiled (delays of a compiled graph do not matter here).
    frames : ndarray of int64
        Input ``(T, B, *shape)``, already integers.
    strict : bool
        Raise when a value does not fit its register (:mod:`sdt_lava.ir.registers`), naming the
        first one, instead of wrapping and saturating as Lava does.
    states : dict of str to tuple of ndarray, optional
        u and v of each LIF, ``(B, *shape)``, and the states of sigma-delta neurons: where the run
        starts (as a sample does where a name is missing) and, afterwards, where it ended, so that
        another run can go on from there.

    Returns
    -------
    dict of str to ndarray of int64
        What each node emits, ``(T, B, *shape)``.

    Raises
    ------
    DataError
        If the states are not those of these neurons, for as many samples.
    NumericOverflowError
        If ``strict`` and a value does not fit its register.
    """
    check_states(graph, states or {}, frames.shape[1])
    values: dict[str, IntArray] = {}
    watch = Watch(graph.order)
    relayed = relayed_currents(graph)
    kept = {} if states is None else states
    for node in graph:
        inputs = [values[name] for name in node.inputs]
        if isinstance(node, Input):
            values[node.name] = frames
        elif isinstance(node, Lif | CubaLif):
            values[node.name] = run_neurons(node, inputs, kept, watch)
        elif isinstance(node, SIGMA_DELTA_KINDS):
            arriving = np.sum(inputs, axis=0, dtype=np.int64)
            start = start_of(graph, node, kept)
            values[node.name], ended = run_population(node, arriving, start, watch)
            kept[node.name] = ended
        else:
            values[node.name] = evaluate(node, inputs, watch)
            if node.name in relayed:
                values[node.name] = carry(node, values[node.name], watch)
    if strict:
        watch.raise_first()
    return values


def evaluate(node: Node, inputs: list[IntArray], watch: Watch | None = None) -> IntArray:
    """Evaluate one node without memory: what it emits, ``(T, B, *shape)``.

    Parameters
    ----------
    node : Node
        The node.
    inputs : list of ndarray of int64
        What it reads.
    watch : Watch, optional
        Notes what does not fit its register.
    """
    found = _EVALUATE[type(node)](node, inputs)
    if isinstance(node, WEIGHTED):
        found = hold(node, found, inputs[0].shape[2:], watch)
    if isinstance(node, (*RELAYS, Readout)):
        found = carry(node, found, watch)
    if isinstance(node, Readout) and node.bias is not None:
        found = found + np.asarray(node.bias, np.int64)
    return found


def evaluate_from(graph: Graph, name: str, known: Mapping[str, IntArray]) -> IntArray:
    """Evaluate one node of a graph from what others emitted.

    Parameters
    ----------
    graph : Graph
        Integer graph.
    name : str
        Node wanted.
    known : mapping of str to ndarray
        ``(T, B, *shape)`` of nodes on every path that leads to it.
    """
    if name in known:
        return np.asarray(known[name], np.int64)
    node = graph.nodes[name]
    inputs = [evaluate_from(graph, source, known) for source in node.inputs]
    if isinstance(node, Lif | CubaLif):
        return run_neurons(node, inputs, {})
    return evaluate(node, inputs)


def run_neurons(
    node: Lif | CubaLif,
    currents: list[IntArray],
    states: NeuronStates,
    watch: Watch | None = None,
) -> IntArray:
    """Run spiking neurons over the steps of samples.

    Parameters
    ----------
    node : Lif or CubaLif
        What they compute.
    currents : list of ndarray of int64
        What arrives, ``(T, B, *shape)`` each.
    states : dict of str to tuple of ndarray
        Where they start, from rest if their name is missing; afterwards u, v and more, where they
        ended.
    watch : Watch, optional
        Looks at what they hold.

    Returns
    -------
    ndarray of int64
        What they send, ``(T, B, *shape)``.
    """
    if isinstance(node, Lif):
        return _lif(node, currents, watch, states)
    return _cuba(node, currents, watch, states)


def lif_parameters(node: Lif, ndim: int) -> LifParameters:
    """Return a population's parameters; a bias broadcasts over shapes of ``ndim`` axes."""
    return LifParameters(
        threshold=int(node.threshold),
        voltage_decay=node.voltage_decay,
        current_decay=node.current_decay,
        bias=0 if node.bias is None else channel_vector(node.bias, ndim),
        bias_exponent=node.bias_exponent,
    )


def _lif(
    node: Lif, currents: list[IntArray], watch: Watch | None, states: NeuronStates
) -> IntArray:
    activation = np.sum(currents, axis=0, dtype=np.int64)
    parameters = lif_parameters(node, activation.ndim - 2)
    rest = np.zeros(activation.shape[1:], np.int64)
    current, voltage = states.get(node.name, (rest, rest))
    spikes = np.zeros_like(activation)
    for step, arriving in enumerate(activation):
        before = current
        current, voltage, fired, peak = lif_step(current, voltage, arriving, parameters)
        if watch is not None:
            _look(watch, node.name, step, before, arriving, peak, parameters)
        spikes[step] = fired
    states[node.name] = current, voltage
    return spikes


def _cuba(
    node: CubaLif, currents: list[IntArray], watch: Watch | None, states: NeuronStates
) -> IntArray:
    activation = np.sum(currents, axis=0, dtype=np.int64)
    parameters = cuba_parameters(node, activation.ndim - 2)
    population = CubaPopulation(parameters, activation.shape[1:])
    population.state = states.get(node.name, population.state)
    sent = np.zeros_like(activation)
    for step, sums in enumerate(activation):
        before = population.state[0]
        sent[step], arriving, peak = population.step(sums)
        if watch is not None:
            _look(watch, node.name, step, before, arriving, peak, parameters.lif)
    states[node.name] = population.state
    return sent


def _look(
    watch: Watch, name: str, step: int, before: IntArray, arriving: IntArray, peak: IntArray,
    parameters: LifParameters,
) -> None:  # fmt: skip
    current = driven_current(before, arriving, parameters)
    look_at_neurons(watch, name, step, activation=arriving, current=current, peak=peak)


def _pad(values: IntArray, padding: tuple[int, int], fill: int) -> IntArray:
    widths = [(0, 0)] * (values.ndim - 2) + [(side, side) for side in padding]
    return np.pad(values, widths, constant_values=fill)


@_evaluates(Conv)
def _conv(node: Conv, inputs: list[IntArray]) -> IntArray:
    padded = _pad(inputs[0], node.padding, 0)
    weight = np.asarray(node.weight, np.int64)
    out, per_group, kernel_h, kernel_w = weight.shape
    _, out_h, out_w = node.output_shape([inputs[0].shape[2:]])
    result = np.zeros((*inputs[0].shape[:2], out, out_h, out_w), np.int64)
    for group in range(node.groups):
        outputs = slice(group * (out // node.groups), (group + 1) * (out // node.groups))
        channels = padded[:, :, group * per_group : (group + 1) * per_group]
        for row, column, window in taps(
            channels, (out_h, out_w), (kernel_h, kernel_w), node.stride, node.dilation
        ):
            result[:, :, outputs] += np.einsum(
                "oc,tbchw->tbohw", weight[outputs, :, row, column], window
            )
    return result


@_evaluates(Dense)
def _dense(node: Dense, inputs: list[IntArray]) -> IntArray:
    events = inputs[0].reshape(*inputs[0].shape[:2], -1)
    return events @ np.asarray(node.weight, np.int64).T


@_evaluates(Flatten)
def _flatten(node: Flatten, inputs: list[IntArray]) -> IntArray:
    return inputs[0].reshape(*inputs[0].shape[:2], -1)


@_evaluates(Shortcut)
def _shortcut(node: Shortcut, inputs: list[IntArray]) -> IntArray:
    return wrap_int32(np.sum(inputs, axis=0, dtype=np.int64))


@_evaluates(Subsample)
def _subsample(node: Subsample, inputs: list[IntArray]) -> IntArray:
    return inputs[0][..., :: node.stride, :: node.stride]


@_evaluates(And)
def _and(node: And, inputs: list[IntArray]) -> IntArray:
    left, right = inputs
    return left & right.reshape(right.shape + (1,) * (left.ndim - right.ndim))


@_evaluates(TokenSum)
def _token_sum(node: TokenSum, inputs: list[IntArray]) -> IntArray:
    return inputs[0].sum(axis=(-2, -1)) * node.weight


@_evaluates(TokenMean)
def _token_mean(node: TokenMean, inputs: list[IntArray]) -> IntArray:
    return inputs[0].sum(axis=(-2, -1))


def _max_over_windows(node: Pool, values: IntArray, fill: int) -> IntArray:
    padded = _pad(values, (node.padding, node.padding), fill)
    _, out_h, out_w = node.output_shape([values.shape[2:]])
    sides, strides = (node.kernel, node.kernel), (node.stride, node.stride)
    windows = [window for _, _, window in taps(padded, (out_h, out_w), sides, strides)]
    return np.max(windows, axis=0)


@_evaluates(OrPool)
def _or_pool(node: OrPool, inputs: list[IntArray]) -> IntArray:
    return _max_over_windows(node, inputs[0], 0)


@_evaluates(MaxPool)
def _max_pool(node: Pool, inputs: list[IntArray]) -> IntArray:
    return _max_over_windows(node, inputs[0], np.iinfo(np.int64).min)


@_evaluates(MaxRelay)
def _max_relay(node: MaxRelay, inputs: list[IntArray]) -> IntArray:
    return _max_pool(node, [wrap_int32(np.sum(inputs, axis=0, dtype=np.int64))])


@_evaluates(TokenDilate)
def _token_dilate(node: TokenDilate, inputs: list[IntArray]) -> IntArray:
    steps, batch, channels, height, width = inputs[0].shape
    # (T, B, heads, N, C / heads), as the official code arranges it.
    grid = inputs[0].reshape(steps, batch, node.heads, channels // node.heads, height * width)
    grid = np.swapaxes(grid, -1, -2)
    tokens, per_head = grid.shape[-2:]
    padded = _pad(grid, (1, 1), 0)
    windows = [window for _, _, window in taps(padded, (tokens, per_head), (3, 3))]
    return np.swapaxes(np.max(windows, axis=0), -1, -2).reshape(inputs[0].shape)


@_evaluates(Readout)
def _readout(node: Readout, inputs: list[IntArray]) -> IntArray:
    return inputs[0] @ np.asarray(node.weight, np.int64).T


@_evaluates(GroupSum)
def _group_sum(node: GroupSum, inputs: list[IntArray]) -> IntArray:
    return inputs[0].reshape(*inputs[0].shape[:2], node.groups, -1).sum(axis=3)


@_evaluates(Sparse)
def _sparse(node: Sparse, inputs: list[IntArray]) -> IntArray:
    steps, batch = inputs[0].shape[:2]
    events = inputs[0].reshape(steps * batch, -1)
    sums = np.asarray((node.weight.astype(np.int64) @ events.T).T)
    return sums.reshape(steps, batch, *node.shape)


@_evaluates(Gate)
def _gate(node: Gate, inputs: list[IntArray]) -> IntArray:
    return (np.sum(inputs, axis=0) > node.threshold).astype(np.int64)


@_evaluates(Relay)
def _relay(node: Relay, inputs: list[IntArray]) -> IntArray:
    return np.sum(inputs, axis=0, dtype=np.int64)
