"""Evaluate every kind of node without memory exactly, for any shape."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sdt_lava.engine.arithmetic import largest_event, largest_in_windows, total, wrap_int32
from sdt_lava.engine.products import convolve, linear
from sdt_lava.engine.registry import Context, evaluates
from sdt_lava.engine.synapses import Window
from sdt_lava.ir import (
    And,
    Conv,
    Dense,
    Flatten,
    Gate,
    GroupSum,
    MaxPool,
    MaxRelay,
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


@evaluates(Conv)
def _conv(node: Conv, inputs: list[Tensor], context: Context) -> Tensor:
    events = inputs[0]
    weight = np.asarray(node.weight, np.int64)
    kernel = weight.shape[2], weight.shape[3]
    window = Window(kernel, node.stride, node.padding, node.dilation, node.groups)
    images = events.flatten(0, 1)
    sums = convolve(node.name, images, weight, window, largest_event(events))
    return context.held(node, sums.unflatten(0, events.shape[:2]), events)


def _linear(node: Dense | Readout, inputs: list[Tensor], context: Context) -> Tensor:
    events = inputs[0].flatten(2)
    product = linear(node.name, node.weight, largest_event(events), context.device)
    sums = product(events.flatten(0, 1)).unflatten(0, events.shape[:2])
    return context.held(node, sums, inputs[0])


@evaluates(Dense)
def _dense(node: Dense, inputs: list[Tensor], context: Context) -> Tensor:
    return _linear(node, inputs, context)


@evaluates(Readout)
def _readout(node: Readout, inputs: list[Tensor], context: Context) -> Tensor:
    sums = context.carried(node, _linear(node, inputs, context))
    return sums if node.bias is None else sums + context.constant(node.bias)


@evaluates(Flatten)
def _flatten(node: Flatten, inputs: list[Tensor], context: Context) -> Tensor:
    return inputs[0].flatten(2)


@evaluates(Shortcut)
def _shortcut(node: Shortcut, inputs: list[Tensor], context: Context) -> Tensor:
    return wrap_int32(total(inputs))


@evaluates(Subsample)
def _subsample(node: Subsample, inputs: list[Tensor], context: Context) -> Tensor:
    return inputs[0][..., :: node.stride, :: node.stride]


@evaluates(And)
def _and(node: And, inputs: list[Tensor], context: Context) -> Tensor:
    left, right = inputs
    return left & right.reshape(right.shape + (1,) * (left.ndim - right.ndim))


@evaluates(TokenSum)
def _token_sum(node: TokenSum, inputs: list[Tensor], context: Context) -> Tensor:
    sums = inputs[0].sum(dim=(-2, -1), dtype=torch.int64) * node.weight
    return context.held(node, sums, inputs[0])


@evaluates(TokenMean)
def _token_mean(node: TokenMean, inputs: list[Tensor], context: Context) -> Tensor:
    return context.held(node, inputs[0].sum(dim=(-2, -1), dtype=torch.int64), inputs[0])


@evaluates(OrPool)
def _or_pool(node: OrPool, inputs: list[Tensor], context: Context) -> Tensor:
    return largest_in_windows(inputs[0], node.kernel, node.stride, node.padding, 0)


@evaluates(MaxPool)
def _max_pool(node: Pool, inputs: list[Tensor], context: Context) -> Tensor:
    values = inputs[0].to(torch.int64)
    lowest = torch.iinfo(torch.int64).min
    return largest_in_windows(values, node.kernel, node.stride, node.padding, lowest)


@evaluates(TokenDilate)
def _token_dilate(node: TokenDilate, inputs: list[Tensor], context: Context) -> Tensor:
    steps, batch, channels = inputs[0].shape[:3]
    grid = inputs[0].reshape(steps * batch * node.heads, 1, channels // node.heads, -1)
    return largest_in_windows(grid, 3, 1, 1, 0).reshape(inputs[0].shape)


@evaluates(MaxRelay)
def _max_relay(node: MaxRelay, inputs: list[Tensor], context: Context) -> Tensor:
    return context.carried(node, _max_pool(node, [wrap_int32(total(inputs))], context))


@evaluates(GroupSum)
def _group_sum(node: GroupSum, inputs: list[Tensor], context: Context) -> Tensor:
    spikes = inputs[0].to(torch.int64)
    return spikes.reshape(*spikes.shape[:2], node.groups, -1).sum(dim=3)


@evaluates(Sparse)
def _sparse(node: Sparse, inputs: list[Tensor], context: Context) -> Tensor:
    steps, batch = inputs[0].shape[:2]
    events = inputs[0].reshape(steps * batch, -1).cpu().numpy().astype(np.int64)
    sums = (node.weight.astype(np.int64) @ events.T).T.reshape(steps, batch, *node.shape)
    return context.held(node, context.constant(np.ascontiguousarray(sums)), inputs[0])


@evaluates(Gate)
def _gate(node: Gate, inputs: list[Tensor], context: Context) -> Tensor:
    return (total(inputs) > node.threshold).to(torch.uint8)


@evaluates(Relay)
def _relay(node: Relay, inputs: list[Tensor], context: Context) -> Tensor:
    return context.carried(node, total(inputs))
