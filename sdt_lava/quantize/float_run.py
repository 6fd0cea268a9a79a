"""Evaluate float graphs in float64, before anything is rounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sdt_lava.engine.arithmetic import largest_in_windows
from sdt_lava.engine.products import convolve_real
from sdt_lava.engine.registry import Context, evaluator
from sdt_lava.engine.synapses import Window
from sdt_lava.ir import (
    Conv,
    CubaLif,
    Dense,
    Graph,
    Input,
    Lif,
    MaxPool,
    Node,
    Readout,
    Shortcut,
    TokenMean,
)
from sdt_lava.ir.encoding import to_time_first
from sdt_lava.ir.numerics import DECAY_UNITY
from sdt_lava.support.torch_state import exact_arithmetic

# Computes the output of a kind of node in a float graph from its inputs ``(T, B, *shape)``.
FloatForm = Callable[[Any, list[Tensor]], Tensor]

_FLOAT_FORMS: dict[type[Node], FloatForm] = {}


def float_form(kind: type[Node]) -> Callable[[FloatForm], FloatForm]:
    """Register the float form of a kind of node, if it differs from the integer form."""

    def register(function: FloatForm) -> FloatForm:
        _FLOAT_FORMS[kind] = function
        return function

    return register


def evaluate(graph: Graph, frames: Tensor) -> dict[str, Tensor]:
    """Return the output of every node of a float graph, whose neurons fire at their threshold.

    Parameters
    ----------
    graph : Graph
        As traced from a model, with biases on the synapses or gathered in the neurons.
    frames : Tensor
        Real input ``(T, B, *shape)``.

    Returns
    -------
    dict of str to Tensor
        Values ``(T, B, *shape)``: uint8 for spikes, float64 otherwise.
    """
    with exact_arithmetic():
        return _evaluate(graph, frames)


def _evaluate(graph: Graph, frames: Tensor) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    for node in graph:
        if isinstance(node, Input):
            values[node.name] = frames.double()
            continue
        inputs = [values[name] for name in node.inputs]
        function = _FLOAT_FORMS.get(type(node))
        # Nodes without numbers are evaluated alike in float and integer graphs.
        values[node.name] = (
            function(node, inputs) if function else evaluator(type(node))(node, inputs, Context())
        )
    return values


def teacher_of(graph: Graph) -> Callable[[NDArray[np.floating]], dict[str, NDArray[np.uint8]]]:
    """Return a function from input to the spikes of a float graph's LIFs, ``(T, B, *shape)``."""

    def spikes(x: NDArray[np.floating]) -> dict[str, NDArray[np.uint8]]:
        frames = to_time_first(x, graph.input_shape, graph.timesteps).astype(np.float64)
        values = evaluate(graph, torch.from_numpy(frames))
        return {name: values[name].numpy() for name in graph.lif_names}

    return spikes


def _bias(values: Any, ndim: int) -> Tensor | float:
    if values is None:
        return 0.0
    vector = torch.from_numpy(np.array(values, np.float64))
    return vector.reshape(-1, *(1,) * (ndim - 1)) if vector.ndim else vector


@float_form(Lif)
def _lif(node: Lif, arriving: list[Tensor]) -> Tensor:
    currents = sum(arriving[1:], arriving[0]).double()
    state_u = torch.zeros(currents.shape[1:], dtype=torch.float64)
    voltage = torch.zeros_like(state_u)
    retained_u, retained_v = (
        1 - node.current_decay / DECAY_UNITY,
        1 - node.voltage_decay / DECAY_UNITY,
    )
    bias = _bias(node.bias, currents.ndim - 2)
    spikes = torch.empty(currents.shape, dtype=torch.uint8)
    for step, current in enumerate(currents):
        state_u = state_u * retained_u + current
        voltage = voltage * retained_v + state_u + bias
        spikes[step] = fired = voltage >= node.threshold
        voltage = voltage.masked_fill(fired, 0.0)
    return spikes


@float_form(CubaLif)
def _cuba(node: CubaLif, arriving: list[Tensor]) -> Tensor:
    currents = sum(arriving[1:], arriving[0]).double()
    shape, axes = currents.shape[1:], currents.ndim - 2
    state_u, voltage = (torch.zeros(shape, dtype=torch.float64) for _ in range(2))
    retained_u, retained_v = (
        1 - _bias(values, axes) / DECAY_UNITY for values in (node.current_decay, node.voltage_decay)
    )
    threshold, bias = _bias(node.threshold, axes), _bias(node.bias, axes)
    weight_rec = _matrix(node.weight_rec)
    spikes = torch.zeros(currents.shape, dtype=torch.uint8)
    for step, current in enumerate(currents):
        if weight_rec is not None and step:
            # A spike arrives at recurrent connections one step later.
            feedback = spikes[step - 1].flatten(1).double()
            current = current + functional.linear(feedback, weight_rec).reshape(shape)
        state_u = state_u * retained_u + current
        voltage = voltage * retained_v + state_u + bias
        spikes[step] = fired = voltage >= threshold
        voltage = voltage.masked_fill(fired, 0.0)
    return _delayed(spikes, node.delay)


def _matrix(weight: Any) -> Tensor | None:
    return None if weight is None else torch.from_numpy(np.array(weight, np.float64))


def _delayed(spikes: Tensor, delay: Any) -> Tensor:
    """Delay the spikes of each channel; those delayed beyond the end of the sample are lost."""
    delayed = torch.zeros_like(spikes)
    channels = spikes.shape[2]
    for channel, steps in enumerate(np.broadcast_to(np.asarray(delay), (channels,)).tolist()):
        remaining = max(len(spikes) - steps, 0)
        delayed[steps:, :, channel] = spikes[:remaining, :, channel]
    return delayed


@float_form(Conv)
def _conv(node: Conv, arriving: list[Tensor]) -> Tensor:
    events = arriving[0]
    weight = np.asarray(node.weight, np.float64)
    kernel = weight.shape[2], weight.shape[3]
    window = Window(kernel, node.stride, node.padding, node.dilation, node.groups)
    sums = convolve_real(events.flatten(0, 1), weight, window).unflatten(0, events.shape[:2])
    return sums + _bias(node.bias, sums.ndim - 2)


@float_form(Dense)
@float_form(Readout)
def _dense(node: Dense | Readout, arriving: list[Tensor]) -> Tensor:
    weight = torch.from_numpy(np.array(node.weight, np.float64))
    return functional.linear(arriving[0].flatten(2).double(), weight) + _bias(node.bias, 1)


@float_form(Shortcut)
def _shortcut(node: Shortcut, arriving: list[Tensor]) -> Tensor:
    return sum(arriving[1:], arriving[0])


@float_form(TokenMean)
def _token_mean(node: TokenMean, arriving: list[Tensor]) -> Tensor:
    return arriving[0].mean(dim=(-2, -1))


@float_form(MaxPool)
def _max_pool(node: MaxPool, arriving: list[Tensor]) -> Tensor:
    lowest = float("-inf")
    return largest_in_windows(arriving[0], node.kernel, node.stride, node.padding, lowest)
