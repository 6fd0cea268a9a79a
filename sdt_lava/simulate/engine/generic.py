"""Exact evaluation of every kind of node without memory, whatever its shape."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sdt_lava.graph import (
    And,
    Conv,
    Dense,
    Flatten,
    Gate,
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
from sdt_lava.simulate.engine.arithmetic import (
    exact_dtype,
    largest,
    largest_event,
    power_shift,
    total,
    unfolded_conv,
)
from sdt_lava.simulate.engine.registry import Context, evaluates
from sdt_lava.simulate.reference import check_payload


@evaluates(Conv)
def _conv(node: Conv, inputs: list[Tensor], context: Context) -> Tensor:
    events = inputs[0]
    dtype = exact_dtype(node.weight, largest_event(events))
    weight = context.constant(node.weight).to(dtype)
    images = events.flatten(0, 1).to(dtype)
    if context.device.type != "cpu":
        sums = unfolded_conv(node, images, weight)
    else:
        sums = functional.conv2d(
            images,
            weight,
            stride=node.stride,
            padding=node.padding,
            dilation=node.dilation,
            groups=node.groups,
        )
    return power_shift(sums.to(torch.int64).unflatten(0, events.shape[:2]), node.exponent)


def _linear(node: Dense | Readout, events: Tensor, context: Context) -> Tensor:
    dtype = exact_dtype(node.weight, largest_event(events))
    matrix = context.constant(node.weight).to(dtype)
    sums = functional.linear(events.to(dtype), matrix).to(torch.int64)
    return power_shift(sums, node.exponent)


@evaluates(Dense)
def _dense(node: Dense, inputs: list[Tensor], context: Context) -> Tensor:
    return _linear(node, inputs[0].flatten(2), context)


@evaluates(Readout)
def _readout(node: Readout, inputs: list[Tensor], context: Context) -> Tensor:
    sums = _linear(node, inputs[0], context)
    return sums if node.bias is None else sums + context.constant(node.bias)


@evaluates(Flatten)
def _flatten(node: Flatten, inputs: list[Tensor], context: Context) -> Tensor:
    return inputs[0].flatten(2)


@evaluates(Shortcut)
def _shortcut(node: Shortcut, inputs: list[Tensor], context: Context) -> Tensor:
    return total(inputs)


@evaluates(Subsample)
def _subsample(node: Subsample, inputs: list[Tensor], context: Context) -> Tensor:
    return inputs[0][..., :: node.stride, :: node.stride]


@evaluates(And)
def _and(node: And, inputs: list[Tensor], context: Context) -> Tensor:
    left, right = inputs
    return left & right.reshape(right.shape + (1,) * (left.ndim - right.ndim))


@evaluates(TokenSum)
def _token_sum(node: TokenSum, inputs: list[Tensor], context: Context) -> Tensor:
    return inputs[0].sum(dim=(-2, -1), dtype=torch.int64) * node.weight


@evaluates(TokenMean)
def _token_mean(node: TokenMean, inputs: list[Tensor], context: Context) -> Tensor:
    if context.strict:
        check_payload(node.name, np.array(largest(inputs[0])))
    return inputs[0].sum(dim=(-2, -1)) >> node.shift


@evaluates(OrPool)
def _or_pool(node: OrPool, inputs: list[Tensor], context: Context) -> Tensor:
    pooled = functional.max_pool2d(
        inputs[0].flatten(0, 1).to(torch.float32), node.kernel, node.stride, node.padding
    )
    return pooled.to(torch.uint8).unflatten(0, inputs[0].shape[:2])


@evaluates(MaxPool)
def _max_pool(node: Pool, inputs: list[Tensor], context: Context) -> Tensor:
    # float64 holds every 24-bit current exactly.
    pooled = functional.max_pool2d(
        inputs[0].flatten(0, 1).to(torch.float64), node.kernel, node.stride, node.padding
    )
    return pooled.to(torch.int64).unflatten(0, inputs[0].shape[:2])


@evaluates(TokenDilate)
def _token_dilate(node: TokenDilate, inputs: list[Tensor], context: Context) -> Tensor:
    steps, batch, channels = inputs[0].shape[:3]
    grid = inputs[0].reshape(steps * batch * node.heads, 1, channels // node.heads, -1)
    dilated = functional.max_pool2d(grid.to(torch.float32), 3, 1, 1)
    return dilated.to(torch.uint8).reshape(inputs[0].shape)


@evaluates(MaxRelay)
def _max_relay(node: MaxRelay, inputs: list[Tensor], context: Context) -> Tensor:
    return _max_pool(node, [total(inputs)], context)


@evaluates(Sparse)
def _sparse(node: Sparse, inputs: list[Tensor], context: Context) -> Tensor:
    steps, batch = inputs[0].shape[:2]
    events = inputs[0].reshape(steps * batch, -1).cpu().numpy().astype(np.int64)
    sums = (node.weight.astype(np.int64) @ events.T).T.reshape(steps, batch, *node.shape)
    return power_shift(context.constant(np.ascontiguousarray(sums)), node.exponent)


@evaluates(Gate)
def _gate(node: Gate, inputs: list[Tensor], context: Context) -> Tensor:
    return (total(inputs) > node.threshold).to(torch.uint8)


@evaluates(Relay)
def _relay(node: Relay, inputs: list[Tensor], context: Context) -> Tensor:
    sums = total(inputs)
    if context.strict:
        check_payload(node.name, np.array(largest(sums)))
    return sums
