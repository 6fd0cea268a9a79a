"""Evaluate spiking neurons exactly, with per-channel parameters, recurrence and axonal delays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdt_lava.engine.arithmetic import align, total, wrap, wrap_int32
from sdt_lava.engine.products import linear
from sdt_lava.engine.registry import Context, evaluates
from sdt_lava.ir import CubaLif, Lif, SpikingNeurons
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.numerics import (
    ACTIVATION_SHIFT,
    DECAY_SHIFT,
    DECAY_UNITY,
    STATE_LIMIT,
    channel_vector,
)


@evaluates(Lif)
@evaluates(CubaLif)
def _spiking(node: SpikingNeurons, inputs: list[Tensor], context: Context) -> Tensor:
    activation = total([values.to(torch.int64) for values in inputs])
    spikes, history = _integrate(node, activation, context)
    if not node.longest_delay:
        return spikes
    return _delayed(node, spikes, history)


def _per_channel(values: Any, activation: Tensor) -> Tensor:
    vector = torch.from_numpy(np.array(channel_vector(values, activation.ndim - 2)))
    return vector.to(activation.device)


def _integrate(node: SpikingNeurons, activation: Tensor, context: Context) -> tuple[Tensor, Tensor]:
    """Return the undelayed spikes, and those from before the first step."""
    keep_u, keep_v = (
        DECAY_UNITY - _per_channel(values, activation)
        for values in (node.current_decay, node.voltage_decay)
    )
    threshold = _per_channel(node.threshold, activation) << ACTIVATION_SHIFT
    bias = _per_channel(0 if node.bias is None else node.bias, activation) << node.bias_exponent
    current, voltage, history = _start(node, activation, context)
    feedback = None if node.weight_rec is None else _feedback(node.name, node.weight_rec, context)
    spikes = torch.empty(activation.shape, dtype=torch.uint8, device=context.device)
    last, extremes = history[0], Extremes(0, 0)
    for step, weighted in enumerate(activation):
        arriving = weighted if feedback is None else weighted + feedback(last)
        driven = _decay(current, keep_u) + align(arriving)
        current = wrap(wrap_int32(driven))
        peak = _decay(voltage, keep_v) + _divide(current + bias, node.drive_shift)
        extremes = context.seen(node.name, step, extremes, arriving, driven, peak)
        voltage = wrap_int32(peak).clamp(-STATE_LIMIT, STATE_LIMIT)
        fired = voltage > threshold
        voltage = voltage.masked_fill(fired, 0)
        spikes[step] = last = fired
    recent = torch.cat([spikes.flip(0), history])[: len(history)]
    parts = (current, voltage, recent)[: len(node.state_shapes(()))]
    context.states[node.name] = tuple(part.cpu().numpy() for part in parts)
    context.note(node.name, extremes)
    return spikes, history


def _start(node: SpikingNeurons, activation: Tensor, context: Context) -> tuple[Tensor, ...]:
    shape = activation.shape[1:]
    rest = np.zeros(shape, np.int64)
    history = np.zeros((node.longest_delay + 1, *shape), np.uint8)
    states = context.states.get(node.name, (rest, rest))
    parts = (*states, history)[:3]
    return tuple(torch.from_numpy(np.array(part)).to(context.device) for part in parts)


def _feedback(name: str, weight_rec: Any, context: Context) -> Any:
    """Return a function from the spikes of a step, ``(B, *shape)``, to recurrent currents."""
    product = linear(name, weight_rec, 1, context.device)

    def currents(spikes: Tensor) -> Tensor:
        return product(spikes.flatten(1)).reshape(spikes.shape)

    return currents


def _decay(state: Tensor, kept: Tensor) -> Tensor:
    return torch.sign(state) * ((state.abs() * kept) >> DECAY_SHIFT)


def _divide(values: Tensor, shift: int) -> Tensor:
    if shift <= 0:
        return values << -shift
    return torch.sign(values) * (values.abs() >> shift)


def _delayed(node: SpikingNeurons, spikes: Tensor, history: Tensor) -> Tensor:
    """Delay the spikes of every channel; the first ones come from before the first step."""
    longest = node.longest_delay
    # history[d] holds the spikes of d + 1 steps before step 0.
    timeline = torch.cat([history[:longest].flip(0), spikes])
    sent = torch.empty_like(spikes)
    delays = np.broadcast_to(np.asarray(node.delay), spikes.shape[2:3])
    for channel, delay in enumerate(delays.tolist()):
        start = longest - delay
        sent[:, :, channel] = timeline[start : start + len(spikes), :, channel]
    return sent
