"""NIR's equations by Euler's method in float64: what any other simulator of the file would do.

Written from the definitions in NIR's documentation; knows neither our graph nor our metadata.
"""

from __future__ import annotations

import nir
import numpy as np


def run_nir(graph, frames, dt):
    """Return what each node emits, ``(T, B, *shape)``, for input ``(T, B, *shape)``."""
    sources = {name: [a for a, b in graph.edges if b == name] for name in graph.nodes}
    values, waiting = {}, list(graph.nodes)
    while waiting:
        name = next(n for n in waiting if all(s in values for s in sources[n]))
        waiting.remove(name)
        node, read = graph.nodes[name], [values[source] for source in sources[name]]
        arriving = frames.astype(np.float64) if isinstance(node, nir.Input) else sum(read)
        values[name] = RULES[type(node)](node, arriving, dt)
    return values


def same(node, x, dt):
    return x


def linear(node, x, dt):
    y = x @ np.asarray(node.weight, np.float64).T
    return y + node.bias if isinstance(node, nir.Affine) else y


def flatten(node, x, dt):
    return x.reshape(*x.shape[:2], -1)


def convolve(node, x, dt):
    weight = np.asarray(node.weight, np.float64)
    strides, steps = (np.broadcast_to(sides, 2) for sides in (node.stride, node.dilation))
    if isinstance(node.padding, str):
        assert node.padding == "same"
        pads = [step * (side - 1) // 2 for step, side in zip(steps, weight.shape[2:], strict=True)]
    else:
        pads = np.broadcast_to(node.padding, 2)
    x = np.pad(x, [(0, 0)] * 3 + [(int(p), int(p)) for p in pads])
    out, per_group, *kernel = weight.shape
    sides = [
        (side - step * (width - 1) - 1) // stride + 1
        for side, step, width, stride in zip(x.shape[3:], steps, kernel, strides, strict=True)
    ]
    y = np.zeros((*x.shape[:2], out, *sides))
    for o in range(out):
        first = o * int(node.groups) // out * per_group
        for c in range(per_group):
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    rows = i * steps[0] + strides[0] * np.arange(sides[0])
                    columns = j * steps[1] + strides[1] * np.arange(sides[1])
                    part = x[:, :, first + c][:, :, rows][:, :, :, columns]
                    y[:, :, o] += weight[o, c, i, j] * part
    return y + np.reshape(node.bias, (-1, 1, 1))


def fire(membrane, node):
    spikes = membrane > node.v_threshold
    return spikes.astype(np.float64), np.where(spikes, node.v_reset, membrane)


def lif(node, x, dt):
    v, spikes = np.zeros(x.shape[1:]), []
    for current in x:
        v = v + dt / node.tau * (node.v_leak - v + node.r * current)
        fired, v = fire(v, node)
        spikes.append(fired)
    return np.array(spikes)


def integrate(node, x, dt):
    v, spikes = np.zeros(x.shape[1:]), []
    for current in x:
        v = v + dt * node.r * current
        fired, v = fire(v, node)
        spikes.append(fired)
    return np.array(spikes)


def cuba(node, x, dt):
    current, v, spikes = np.zeros(x.shape[1:]), np.zeros(x.shape[1:]), []
    for arriving in x:
        current = current + dt / node.tau_syn * (node.w_in * arriving - current)
        v = v + dt / node.tau_mem * (node.v_leak - v + node.r * current)
        fired, v = fire(v, node)
        spikes.append(fired)
    return np.array(spikes)


RULES = {
    nir.Input: same,
    nir.Output: same,
    nir.Linear: linear,
    nir.Affine: linear,
    nir.Flatten: flatten,
    nir.Conv2d: convolve,
    nir.LIF: lif,
    nir.IF: integrate,
    nir.CubaLIF: cuba,
}
