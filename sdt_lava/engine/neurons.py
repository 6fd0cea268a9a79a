"""Neurons with memory, exactly, whatever their parameters."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sdt_lava.engine.arithmetic import align, decay, total, wrap, wrap_int32
from sdt_lava.engine.registry import Context, evaluates
from sdt_lava.ir import Lif
from sdt_lava.ir.bounds import Extremes
from sdt_lava.ir.numerics import ACTIVATION_SHIFT, DECAY_UNITY, STATE_LIMIT, channel_vector


@evaluates(Lif)
def _lif(node: Lif, currents: list[Tensor], context: Context) -> Tensor:
    activation = total(currents)
    steps = activation.shape[0]
    bias = 0 if node.bias is None else channel_vector(node.bias, activation.ndim - 2)
    offset = context.constant(bias) << node.bias_exponent
    threshold = int(node.threshold) << ACTIVATION_SHIFT
    rest = np.zeros(activation.shape[1:], np.int64)
    current, voltage = map(context.constant, context.states.get(node.name, (rest, rest)))
    spikes = torch.empty(activation.shape, dtype=torch.uint8, device=context.device)
    seen = Extremes(0, 0)
    for step in range(steps):
        driven = decay(current, node.current_decay) + align(activation[step])
        current = wrap(wrap_int32(driven))
        peak = decay(voltage, node.voltage_decay) + current + offset
        memory = driven if node.current_decay < DECAY_UNITY else None
        seen = context.seen(node.name, step, seen, activation[step], memory, peak)
        voltage = wrap_int32(peak).clamp(-STATE_LIMIT, STATE_LIMIT)
        fired = voltage > threshold
        voltage = voltage.masked_fill(fired, 0)
        spikes[step] = fired
    context.states[node.name] = current.cpu().numpy(), voltage.cpu().numpy()
    context.note(node.name, seen)
    return spikes
