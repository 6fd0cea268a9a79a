"""Evaluate sigma-delta neurons exactly, which send changes as graded messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdt_lava.engine.arithmetic import largest, total
from sdt_lava.engine.registry import Context, evaluates
from sdt_lava.ir import Delta, Sigma, SigmaDelta
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.numerics import STATE_LIMIT, channel_vector
from sdt_lava.ir.watch import STATE

_SPAN = 1 << 32


@evaluates(SigmaDelta)
def _sigma_delta(node: SigmaDelta, currents: list[Tensor], context: Context) -> Tensor:
    arriving = _total(currents)
    shift = node.spike_exponent + node.state_exponent
    bias = 0 if node.bias is None else channel_vector(node.bias, arriving.ndim - 2)
    offset = context.constant(bias) << shift
    sigma, activation, residue = _start(node, arriving, 3, context)
    sent, watch = torch.empty_like(arriving), _Watch(node.name, context)
    for step, current in enumerate(arriving):
        summed = sigma + current
        sigma = _wrap(summed)
        biased = sigma + offset
        value = _wrap(biased)
        if node.rectified:
            value = value.clamp(min=0)
        changed = value - activation + residue
        watch.look(step, summed, biased, changed)
        delta = _wrap(changed)
        sent[step], residue = _encode(delta, node)
        activation = value
    _end(node, (sigma, activation, residue), context)
    return sent


@evaluates(Delta)
def _delta(node: Delta, currents: list[Tensor], context: Context) -> Tensor:
    values = _total(currents) << (node.spike_exponent + node.state_exponent)
    activation, residue = _start(node, values, 2, context)
    sent, watch = torch.empty_like(values), _Watch(node.name, context)
    for step, shifted in enumerate(values):
        value = _wrap(shifted)
        changed = value - activation + residue
        watch.look(step, shifted, changed)
        sent[step], residue = _encode(_wrap(changed), node)
        activation = value
    _end(node, (activation, residue), context)
    return sent


@evaluates(Sigma)
def _sigma(node: Sigma, currents: list[Tensor], context: Context) -> Tensor:
    arriving = _total(currents)
    (sigma,) = _start(node, arriving, 1, context)
    sent, watch = torch.empty_like(arriving), _Watch(node.name, context)
    for step, current in enumerate(arriving):
        summed = sigma + current
        watch.look(step, summed)
        sent[step] = sigma = _wrap(summed)
    _end(node, (sigma,), context)
    return sent


class _Watch:
    """Recorder of the largest states, which reports states beyond 24 bits."""

    def __init__(self, name: str, context: Context) -> None:
        self._name, self._context = name, context

    def look(self, step: int, *states: Tensor) -> None:
        peak = max(map(largest, states))
        self._context.note(self._name, Extremes(0, peak))
        if peak > STATE_LIMIT:
            exact = np.stack([state.cpu().numpy() for state in states], axis=1)
            self._context.watch.look(self._name, "state", exact[None], STATE, step)


def _total(currents: list[Tensor]) -> Tensor:
    return total([values.to(torch.int64) for values in currents])


def _wrap(values: Tensor) -> Tensor:
    """Wrap to 32 bits, the width of these states in Lava."""
    half = _SPAN // 2
    return ((values + half) & (_SPAN - 1)) - half


def _encode(delta: Tensor, node: SigmaDelta | Delta) -> tuple[Tensor, Tensor]:
    threshold = int(node.threshold) << (node.spike_exponent + node.state_exponent)
    # The magnitude of -2^31 also wraps in 32 bits.
    sent = torch.where(_wrap(delta.abs()) >= threshold, delta, 0)
    return sent >> node.state_exponent, _wrap(delta - sent)


def _start(node: Any, arriving: Tensor, parts: int, context: Context) -> list[Tensor]:
    shape = tuple(arriving.shape[1:])
    rest = (np.zeros(shape, np.int64),) * parts
    states = context.states.get(node.name, context.starts.get(node.name, rest))
    return [context.constant(np.array(np.broadcast_to(part, shape))) for part in states]


def _end(node: Any, states: tuple[Tensor, ...], context: Context) -> None:
    context.states[node.name] = tuple(part.cpu().numpy().astype(np.int32) for part in states)
