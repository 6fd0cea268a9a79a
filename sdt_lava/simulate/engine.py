"""The fast bit-exact simulator: the reference's semantics, vectorised over batch and time.

Weighted sums run in float32, which adds integers exactly while every partial sum stays below
2^24; where that cannot be proved from the weights, in float64 (below 2^53).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sdt_lava.graph import (
    And,
    Conv,
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
    ACTIVATION_SHIFT,
    DECAY_SHIFT,
    DECAY_UNITY,
    FLOAT32_EXACT,
    STATE_LIMIT,
    IntArray,
)
from sdt_lava.quantize.bounds import Extremes
from sdt_lava.simulate.reference import channel_vector, check_payload, check_range, shifted

Evaluate = Callable[[Any, list[Tensor]], Tensor]
_EVALUATE: dict[type[Node], Evaluate] = {}


def _evaluates(kind: type[Node]) -> Callable[[Evaluate], Evaluate]:
    def register(function: Evaluate) -> Evaluate:
        _EVALUATE[kind] = function
        return function

    return register


class Engine:
    """Executor of one integer graph.

    Parameters
    ----------
    graph : Graph
        Integer graph, traced or compiled.
    strict : bool
        Raise when a neuron leaves the 24-bit range instead of wrapping and saturating.
    """

    def __init__(self, graph: Graph, *, strict: bool = True) -> None:
        self.graph = graph
        self.strict = strict
        self.extremes: dict[str, Extremes] = {}

    @torch.no_grad()
    def run(
        self,
        frames: IntArray,
        keep: Iterable[str] | None = None,
        spikes: Mapping[str, NDArray[Any]] | None = None,
    ) -> dict[str, IntArray]:
        """Evaluate the graph.

        Parameters
        ----------
        frames : ndarray of int
            Input ``(T, B, *shape)``.
        keep : iterable of str, optional
            Nodes whose output is returned; all of them by default.
        spikes : mapping of str to ndarray, optional
            Recorded output of LIF nodes, used instead of simulating these neurons.

        Returns
        -------
        dict of str to ndarray
            ``(T, B, *shape)``: uint8 for spikes, int64 for anything else.

        Raises
        ------
        NumericOverflowError
            If ``strict`` and a sum leaves the hardware's range.
        """
        kept = set(self.graph.nodes if keep is None else keep)
        recorded = spikes or {}
        waiting = {name: len(readers) for name, readers in self.graph.consumers.items()}
        values: dict[str, Tensor] = {}
        results: dict[str, IntArray] = {}
        for node in self.graph:
            values[node.name] = self._evaluate(node, values, frames, recorded)
            if node.name in kept:
                results[node.name] = values[node.name].numpy()
            for source in node.inputs:
                waiting[source] -= 1
                if not waiting[source]:
                    del values[source]
        return results

    def _evaluate(
        self,
        node: Node,
        values: Mapping[str, Tensor],
        frames: IntArray,
        recorded: Mapping[str, NDArray[Any]],
    ) -> Tensor:
        if isinstance(node, Input):
            return torch.from_numpy(np.ascontiguousarray(frames, dtype=np.int64))
        if node.name in recorded:
            return torch.from_numpy(np.ascontiguousarray(recorded[node.name]))
        inputs = [values[name] for name in node.inputs]
        if isinstance(node, Lif):
            return self._lif(node, inputs)
        if self.strict and isinstance(node, TokenMean):
            check_payload(node.name, inputs[0].numpy())
        return _EVALUATE[type(node)](node, inputs)

    def _lif(self, node: Lif, currents: list[Tensor]) -> Tensor:
        activation = _total(currents)
        steps = activation.shape[0]
        bias = 0 if node.bias is None else channel_vector(node.bias, activation.ndim - 2)
        offset = torch.as_tensor(bias, dtype=torch.int64) << node.bias_exponent
        threshold = int(node.threshold) << ACTIVATION_SHIFT
        current = torch.zeros(activation.shape[1:], dtype=torch.int64)
        voltage = torch.zeros_like(current)
        spikes = torch.empty(activation.shape, dtype=torch.uint8)
        largest = Extremes(int(activation.abs().max()) if activation.numel() else 0, 0)
        for step in range(steps):
            current = _decay(current, node.current_decay) + _align(activation[step])
            current = _wrap(current)
            peak = _decay(voltage, node.voltage_decay) + current + offset
            membrane = int(peak.abs().max()) if peak.numel() else 0
            largest = Extremes(largest.activation, max(largest.membrane, membrane))
            if self.strict:
                check_range(node.name, step, activation[step].numpy(), peak.numpy())
            voltage = peak.clamp(-STATE_LIMIT, STATE_LIMIT)
            fired = voltage > threshold
            voltage = voltage.masked_fill(fired, 0)
            spikes[step] = fired
        self._note(node.name, largest)
        return spikes

    def _note(self, name: str, seen: Extremes) -> None:
        before = self.extremes.get(name, Extremes(0, 0))
        self.extremes[name] = Extremes(
            max(before.activation, seen.activation), max(before.membrane, seen.membrane)
        )


def _total(currents: list[Tensor]) -> Tensor:
    total = currents[0]
    for current in currents[1:]:
        total = total + current
    return total


def _decay(state: Tensor, fraction: int) -> Tensor:
    if fraction == DECAY_UNITY:
        return torch.zeros_like(state)
    return torch.sign(state) * ((state.abs() * (DECAY_UNITY - fraction)) >> DECAY_SHIFT)


def _align(activation: Tensor) -> Tensor:
    return (activation << ACTIVATION_SHIFT).to(torch.int32).to(torch.int64)


def _wrap(current: Tensor) -> Tensor:
    span = 2 * (STATE_LIMIT + 1)
    wrapped = torch.where(current > STATE_LIMIT + 1, current - span, current)
    return torch.where(wrapped <= -(STATE_LIMIT + 1), current + span, wrapped)


def exact_dtype(weight: Any, largest_event: int) -> torch.dtype:
    """Return the narrowest float type in which the weighted sums are exact integers.

    Parameters
    ----------
    weight : ndarray
        ``(outputs, ...)`` integers.
    largest_event : int
        Largest magnitude of an input event.
    """
    matrix = np.abs(np.asarray(weight, np.int64)).reshape(weight.shape[0], -1)
    bound = int(matrix.sum(axis=1).max(initial=0)) * max(largest_event, 1)
    return torch.float32 if bound < FLOAT32_EXACT else torch.float64


def _largest(events: Tensor) -> int:
    return 1 if events.dtype == torch.uint8 else int(events.abs().max()) if events.numel() else 0


@_evaluates(Conv)
def _conv(node: Conv, inputs: list[Tensor]) -> Tensor:
    events = inputs[0]
    dtype = exact_dtype(node.weight, _largest(events))
    weight = torch.from_numpy(np.asarray(node.weight, np.int64)).to(dtype)
    sums = functional.conv2d(
        events.flatten(0, 1).to(dtype),
        weight,
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
    )
    return sums.to(torch.int64).unflatten(0, events.shape[:2]) << node.exponent


def _linear(node: Dense | Readout, events: Tensor) -> Tensor:
    dtype = exact_dtype(node.weight, _largest(events))
    matrix = torch.from_numpy(np.asarray(node.weight, np.int64)).to(dtype)
    return functional.linear(events.to(dtype), matrix).to(torch.int64) << node.exponent


@_evaluates(Dense)
def _dense(node: Dense, inputs: list[Tensor]) -> Tensor:
    return _linear(node, inputs[0].flatten(2))


@_evaluates(Readout)
def _readout(node: Readout, inputs: list[Tensor]) -> Tensor:
    sums = _linear(node, inputs[0])
    return sums if node.bias is None else sums + torch.from_numpy(np.asarray(node.bias, np.int64))


@_evaluates(Flatten)
def _flatten(node: Flatten, inputs: list[Tensor]) -> Tensor:
    return inputs[0].flatten(2)


@_evaluates(Shortcut)
def _shortcut(node: Shortcut, inputs: list[Tensor]) -> Tensor:
    return _total(inputs)


@_evaluates(Subsample)
def _subsample(node: Subsample, inputs: list[Tensor]) -> Tensor:
    return inputs[0][..., :: node.stride, :: node.stride]


@_evaluates(And)
def _and(node: And, inputs: list[Tensor]) -> Tensor:
    left, right = inputs
    return left & right.reshape(right.shape + (1,) * (left.ndim - right.ndim))


@_evaluates(TokenSum)
def _token_sum(node: TokenSum, inputs: list[Tensor]) -> Tensor:
    return inputs[0].sum(dim=(-2, -1), dtype=torch.int64) * node.weight


@_evaluates(TokenMean)
def _token_mean(node: TokenMean, inputs: list[Tensor]) -> Tensor:
    return inputs[0].sum(dim=(-2, -1)) >> node.shift


@_evaluates(OrPool)
def _or_pool(node: OrPool, inputs: list[Tensor]) -> Tensor:
    pooled = functional.max_pool2d(
        inputs[0].flatten(0, 1).to(torch.float32), node.kernel, node.stride, node.padding
    )
    return pooled.to(torch.uint8).unflatten(0, inputs[0].shape[:2])


@_evaluates(MaxPool)
def _max_pool(node: Pool, inputs: list[Tensor]) -> Tensor:
    # float64 holds every 24-bit current exactly.
    pooled = functional.max_pool2d(
        inputs[0].flatten(0, 1).to(torch.float64), node.kernel, node.stride, node.padding
    )
    return pooled.to(torch.int64).unflatten(0, inputs[0].shape[:2])


@_evaluates(TokenDilate)
def _token_dilate(node: TokenDilate, inputs: list[Tensor]) -> Tensor:
    steps, batch, channels = inputs[0].shape[:3]
    grid = inputs[0].reshape(steps * batch * node.heads, 1, channels // node.heads, -1)
    dilated = functional.max_pool2d(grid.to(torch.float32), 3, 1, 1)
    return dilated.to(torch.uint8).reshape(inputs[0].shape)


@_evaluates(MaxRelay)
def _max_relay(node: MaxRelay, inputs: list[Tensor]) -> Tensor:
    return _max_pool(node, [_total(inputs)])


@_evaluates(Sparse)
def _sparse(node: Sparse, inputs: list[Tensor]) -> Tensor:
    steps, batch = inputs[0].shape[:2]
    events = inputs[0].reshape(steps * batch, -1).numpy().astype(np.int64)
    sums = shifted((node.weight.astype(np.int64) @ events.T).T, node.exponent)
    return torch.from_numpy(np.ascontiguousarray(sums)).reshape(steps, batch, *node.shape)


@_evaluates(Gate)
def _gate(node: Gate, inputs: list[Tensor]) -> Tensor:
    return (_total(inputs) > node.threshold).to(torch.uint8)


@_evaluates(Relay)
def _relay(node: Relay, inputs: list[Tensor]) -> Tensor:
    return _total(inputs)
