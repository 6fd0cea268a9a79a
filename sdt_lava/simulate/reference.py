"""The oracle: every node in plain NumPy int64, obviously right, slow.

Arrays are ``(T, B, *shape)``. Nothing here is clever on purpose; the other back ends are
compared with this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sdt_lava.cuba import CubaPopulation, cuba_parameters
from sdt_lava.errors import NumericOverflowError
from sdt_lava.graph import (
    SIGMA_DELTA_KINDS,
    And,
    Conv,
    CubaLif,
    Dense,
    Flatten,
    Gate,
    Graph,
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
from sdt_lava.numerics import (
    ACTIVATION_LIMIT,
    PAYLOAD_LIMIT,
    STATE_LIMIT,
    IntArray,
    LifParameters,
    NeuronStates,
    channel_vector,
    lif_step,
    power_shift,
)
from sdt_lava.simulate.sigma_delta import run_population, start_of

Evaluate = Callable[[Any, list[IntArray]], IntArray]
# Of ``(T, B, C, ...)``.
CHANNEL_AXIS = 2

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
        Raise when a neuron leaves the 24-bit range instead of wrapping and saturating as
        Lava does.
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
    NumericOverflowError
        If ``strict`` and a sum leaves the hardware's range.
    """
    values: dict[str, IntArray] = {}
    for node in graph:
        if isinstance(node, Input):
            values[node.name] = frames
        elif isinstance(node, Lif):
            currents = [values[name] for name in node.inputs]
            values[node.name] = _lif(node, currents, strict, {} if states is None else states)
        elif isinstance(node, CubaLif):
            currents = [values[name] for name in node.inputs]
            values[node.name] = _cuba(node, currents, strict, {} if states is None else states)
        elif isinstance(node, SIGMA_DELTA_KINDS):
            arriving = np.sum([values[name] for name in node.inputs], axis=0, dtype=np.int64)
            known = {} if states is None else states
            start = start_of(graph, node, known)
            values[node.name], ended = run_population(node, arriving, start, strict=strict)
            known[node.name] = ended
        else:
            inputs = [values[name] for name in node.inputs]
            if strict and isinstance(node, TokenMean | Relay):
                check_payload(node.name, np.sum(inputs, axis=0, dtype=np.int64))
            values[node.name] = evaluate(node, inputs)
    return values


def evaluate(node: Node, inputs: list[IntArray]) -> IntArray:
    """Evaluate one node without memory: what it emits, ``(T, B, *shape)``."""
    return _EVALUATE[type(node)](node, inputs)


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
    return _lif(node, inputs, False, {}) if isinstance(node, Lif) else evaluate(node, inputs)


def lif_parameters(node: Lif, ndim: int) -> LifParameters:
    """Return a population's parameters; a bias broadcasts over shapes of ``ndim`` axes."""
    return LifParameters(
        threshold=int(node.threshold),
        voltage_decay=node.voltage_decay,
        current_decay=node.current_decay,
        bias=0 if node.bias is None else channel_vector(node.bias, ndim),
        bias_exponent=node.bias_exponent,
    )


def _lif(node: Lif, currents: list[IntArray], strict: bool, states: NeuronStates) -> IntArray:
    activation = np.sum(currents, axis=0, dtype=np.int64)
    parameters = lif_parameters(node, activation.ndim - 2)
    rest = np.zeros(activation.shape[1:], np.int64)
    current, voltage = states.get(node.name, (rest, rest))
    spikes = np.zeros_like(activation)
    for step, arriving in enumerate(activation):
        current, voltage, fired, peak = lif_step(current, voltage, arriving, parameters)
        if strict:
            check_range(node.name, step, arriving, peak)
        spikes[step] = fired
    states[node.name] = current, voltage
    return spikes


def _cuba(node: CubaLif, currents: list[IntArray], strict: bool, states: NeuronStates) -> IntArray:
    activation = np.sum(currents, axis=0, dtype=np.int64)
    population = CubaPopulation(cuba_parameters(node, activation.ndim - 2), activation.shape[1:])
    population.state = states.get(node.name, population.state)
    sent = np.zeros_like(activation)
    for step, current in enumerate(activation):
        sent[step], arriving, peak = population.step(current)
        if strict:
            check_range(node.name, step, arriving, peak)
    states[node.name] = population.state
    return sent


def check_range(name: str, step: int, activation: IntArray, peak: IntArray) -> None:
    """Raise if an activation or a membrane of this step left the 24-bit range."""
    for what, values, limit in (
        ("activation", activation, ACTIVATION_LIMIT),
        ("membrane", peak, STATE_LIMIT),
    ):
        largest = int(np.abs(values).max(initial=0))
        if largest > limit:
            raise NumericOverflowError(
                f"{name!r}, step {step}",
                f"{what} of {largest}",
                f"at most {limit} (24-bit state)",
                "export again with calibration data like this input, or simulate with strict=False",
            )


def check_payload(name: str, stream: IntArray) -> None:
    """Raise if a current does not fit the payload of the relay that carries it."""
    largest = int(np.abs(stream).max(initial=0))
    if largest > PAYLOAD_LIMIT:
        raise NumericOverflowError(
            f"input of {name!r}",
            f"a value of {largest}",
            f"at most {PAYLOAD_LIMIT} (24-bit payload)",
            "export again with calibration data like this input",
        )


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
        for row in range(kernel_h):
            for column in range(kernel_w):
                top, left = row * node.dilation[0], column * node.dilation[1]
                window = channels[
                    ...,
                    top : top + (out_h - 1) * node.stride[0] + 1 : node.stride[0],
                    left : left + (out_w - 1) * node.stride[1] + 1 : node.stride[1],
                ]
                result[:, :, outputs] += np.einsum(
                    "oc,tbchw->tbohw", weight[outputs, :, row, column], window
                )
    return power_shift(result, node.exponent, CHANNEL_AXIS)


@_evaluates(Dense)
def _dense(node: Dense, inputs: list[IntArray]) -> IntArray:
    events = inputs[0].reshape(*inputs[0].shape[:2], -1)
    sums = events @ np.asarray(node.weight, np.int64).T
    return power_shift(sums, node.exponent, CHANNEL_AXIS)


@_evaluates(Flatten)
def _flatten(node: Flatten, inputs: list[IntArray]) -> IntArray:
    return inputs[0].reshape(*inputs[0].shape[:2], -1)


@_evaluates(Shortcut)
def _shortcut(node: Shortcut, inputs: list[IntArray]) -> IntArray:
    return np.sum(inputs, axis=0, dtype=np.int64)


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
    return inputs[0].sum(axis=(-2, -1)) >> node.shift


def _max_over_windows(node: Pool, values: IntArray, fill: int) -> IntArray:
    padded = _pad(values, (node.padding, node.padding), fill)
    _, out_h, out_w = node.output_shape([values.shape[2:]])
    windows = [
        padded[
            ...,
            row : row + (out_h - 1) * node.stride + 1 : node.stride,
            column : column + (out_w - 1) * node.stride + 1 : node.stride,
        ]
        for row in range(node.kernel)
        for column in range(node.kernel)
    ]
    return np.max(windows, axis=0)


@_evaluates(OrPool)
def _or_pool(node: OrPool, inputs: list[IntArray]) -> IntArray:
    return _max_over_windows(node, inputs[0], 0)


@_evaluates(MaxPool)
def _max_pool(node: Pool, inputs: list[IntArray]) -> IntArray:
    return _max_over_windows(node, inputs[0], np.iinfo(np.int64).min)


@_evaluates(MaxRelay)
def _max_relay(node: MaxRelay, inputs: list[IntArray]) -> IntArray:
    return _max_pool(node, [np.sum(inputs, axis=0, dtype=np.int64)])


@_evaluates(TokenDilate)
def _token_dilate(node: TokenDilate, inputs: list[IntArray]) -> IntArray:
    steps, batch, channels, height, width = inputs[0].shape
    # (T, B, heads, N, C / heads), as the official code arranges it.
    grid = inputs[0].reshape(steps, batch, node.heads, channels // node.heads, height * width)
    grid = np.swapaxes(grid, -1, -2)
    tokens, per_head = grid.shape[-2:]
    padded = _pad(grid, (1, 1), 0)
    windows = [
        padded[..., row : row + tokens, column : column + per_head]
        for row in range(3)
        for column in range(3)
    ]
    return np.swapaxes(np.max(windows, axis=0), -1, -2).reshape(inputs[0].shape)


@_evaluates(Readout)
def _readout(node: Readout, inputs: list[IntArray]) -> IntArray:
    bias = 0 if node.bias is None else np.asarray(node.bias, np.int64)
    sums = inputs[0] @ np.asarray(node.weight, np.int64).T
    return power_shift(sums, node.exponent, CHANNEL_AXIS) + bias


@_evaluates(Sparse)
def _sparse(node: Sparse, inputs: list[IntArray]) -> IntArray:
    steps, batch = inputs[0].shape[:2]
    events = inputs[0].reshape(steps * batch, -1)
    sums = np.asarray((node.weight.astype(np.int64) @ events.T).T)
    return power_shift(sums.reshape(steps, batch, *node.shape), node.exponent, CHANNEL_AXIS)


@_evaluates(Gate)
def _gate(node: Gate, inputs: list[IntArray]) -> IntArray:
    return (np.sum(inputs, axis=0) > node.threshold).astype(np.int64)


@_evaluates(Relay)
def _relay(node: Relay, inputs: list[IntArray]) -> IntArray:
    return np.sum(inputs, axis=0, dtype=np.int64)
