"""A float64 evaluation of traced graphs, before anything is rounded."""

from __future__ import annotations

import torch
from torch.nn import functional

from sdt_lava.graph import Graph, Lif
from sdt_lava.simulate.engine.registry import EVALUATE, Context


def evaluate(graph: Graph, frames: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what every node emits, ``(T, B, *shape)``; neurons fire at their threshold."""
    values = {}
    for node in graph:
        arriving = [values[name] for name in node.inputs]
        if node.kind == "input":
            values[node.name] = frames.double()
        elif isinstance(node, Lif):
            values[node.name] = _lif(node, sum(arriving))
        elif node.kind in ("conv", "readout"):
            values[node.name] = _synapse(node, arriving[0])
        elif node.kind == "token_mean":
            values[node.name] = arriving[0].mean(dim=(-2, -1))
        elif node.kind == "max_pool":
            flat = functional.max_pool2d(arriving[0].flatten(0, 1), 3, 2, 1)
            values[node.name] = flat.unflatten(0, frames.shape[:2])
        else:
            values[node.name] = EVALUATE[type(node)](node, arriving, Context())
    return values


def _lif(node: Lif, currents: torch.Tensor) -> torch.Tensor:
    voltage = torch.zeros(currents.shape[1:], dtype=torch.float64)
    spikes = torch.empty(currents.shape, dtype=torch.uint8)
    for step, arriving in enumerate(currents):
        voltage = voltage * (1 - node.voltage_decay / 4096) + arriving
        spikes[step] = voltage >= node.threshold
        voltage = voltage * (1 - spikes[step].double())
    return spikes


def _synapse(node, events: torch.Tensor) -> torch.Tensor:
    weight, bias = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
    if node.kind == "readout":
        return functional.linear(events.double(), weight, bias)
    flat = events.flatten(0, 1).double()
    out = functional.conv2d(flat, weight, bias, node.stride, node.padding)
    return out.unflatten(0, events.shape[:2])
