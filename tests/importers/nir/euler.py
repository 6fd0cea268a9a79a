"""NIR's equations by Euler's method in float64: what any other simulator of the file would do.

Written from the definitions in NIR's documentation; knows neither our graph nor our metadata.
Integrators have no unit of time there, and take one step; what goes round a loop comes one step
later.
"""

from __future__ import annotations

import nir
import numpy as np


def run_nir(graph, frames, dt):
    """Return what each node emits, ``(T, B, *shape)``, for input ``(T, B, *shape)``."""
    nodes, edges = written_out(graph)
    sources = {name: [a for a, b in edges if b == name] for name in nodes}
    behind = {name: reached(name, edges) for name in nodes}
    units = {name: UNITS[type(node)](node, dt) for name, node in nodes.items()}
    last, emitted = {}, {name: [] for name in nodes}
    for frame in frames.astype(np.float64):
        present, waiting = {}, list(nodes)
        while waiting:
            # Neurons in a loop hear from the others in it what they said one step before.
            late = {
                n: {s for s in sources[n] if units[s].fires and s in behind[n] and n in behind[s]}
                for n in waiting
            }
            name = next(n for n in waiting if all(s in present or s in late[n] for s in sources[n]))
            waiting.remove(name)
            heard = [
                last.get(s, np.zeros((len(frame), *np.shape(getattr(nodes[s], "v_threshold", 0)))))
                if s in late[name]
                else present[s]
                for s in sources[name]
            ]
            present[name] = units[name](frame if not sources[name] else sum(heard))
            emitted[name].append(present[name])
        last = present
    return {name: np.array(values) for name, values in emitted.items()}


def written_out(graph, prefix=""):
    """Return nodes and edges without graphs inside."""
    nodes, edges = {}, []
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            inner_nodes, inner_edges = written_out(node, f"{prefix}{name}.")
            nodes.update(inner_nodes)
            edges += inner_edges
        else:
            nodes[f"{prefix}{name}"] = node

    def end(name, kind):
        node = graph.nodes[name]
        if not isinstance(node, nir.NIRGraph):
            return f"{prefix}{name}"
        inner = next(n for n, part in node.nodes.items() if isinstance(part, kind))
        return f"{prefix}{name}.{inner}"

    edges += [(end(a, nir.Output), end(b, nir.Input)) for a, b in graph.edges]
    return nodes, edges


def reached(name, edges):
    """Return the nodes behind one."""
    found, waiting = set(), [name]
    while waiting:
        present = waiting.pop()
        for a, b in edges:
            if a == present and b not in found:
                found.add(b)
                waiting.append(b)
    return found


def linear(node, dt):
    def step(x):
        y = x.reshape(len(x), -1) @ np.asarray(node.weight, np.float64).T
        return y + node.bias if isinstance(node, nir.Affine) else y

    return Unit(step)


class Unit:
    """A function of one step."""

    def __init__(self, step, fires=False):
        self.step, self.fires = step, fires

    def __call__(self, x):
        return self.step(x)


def same(node, dt):
    return Unit(lambda x: x)


def flatten(node, dt):
    return Unit(lambda x: x.reshape(len(x), -1))


def scale(node, dt):
    return Unit(lambda x: x * node.scale)


def convolve(node, dt):
    weight = np.asarray(node.weight, np.float64)
    strides, steps = (np.broadcast_to(sides, 2) for sides in (node.stride, node.dilation))
    if isinstance(node.padding, str):
        assert node.padding == "same"
        zeros = [step * (side - 1) for step, side in zip(steps, weight.shape[2:], strict=True)]
        # As PyTorch: the odd one comes last.
        pads = [(n // 2, n - n // 2) for n in zeros]
    else:
        pads = np.broadcast_to(node.padding, 2)
    bias = np.reshape(node.bias, (-1, 1, 1))
    return Unit(lambda x: window_sums(x, weight, strides, steps, pads, int(node.groups)) + bias)


def convolve_rows(node, dt):
    weight = np.asarray(node.weight, np.float64)[:, :, None]
    strides, steps = ((1, int(np.squeeze(values))) for values in (node.stride, node.dilation))
    if isinstance(node.padding, str):
        zeros = steps[1] * (weight.shape[3] - 1)
        pads = 0, (zeros // 2, zeros - zeros // 2)
    else:
        pads = 0, int(np.squeeze(node.padding))
    bias = np.reshape(node.bias, (-1, 1))

    def step(x):
        rows = window_sums(x[:, :, None], weight, strides, steps, pads, int(node.groups))
        return rows[:, :, 0] + bias

    return Unit(step)


def window_sums(x, weight, strides, steps, pads, groups):
    x = np.pad(x, [(0, 0)] * 2 + [tuple(map(int, np.broadcast_to(p, 2))) for p in pads])
    out, per_group, *kernel = weight.shape
    sides = [
        (side - step * (width - 1) - 1) // stride + 1
        for side, step, width, stride in zip(x.shape[2:], steps, kernel, strides, strict=True)
    ]
    y = np.zeros((len(x), out, *sides))
    for o in range(out):
        first = o * groups // out * per_group
        for c in range(per_group):
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    rows = i * steps[0] + strides[0] * np.arange(sides[0])
                    columns = j * steps[1] + strides[1] * np.arange(sides[1])
                    part = x[:, first + c][:, rows][:, :, columns]
                    y[:, o] += weight[o, c, i, j] * part
    return y


def pool(node, dt):
    kernel, strides, pads = (
        [int(side) for side in np.broadcast_to(sides, 2)]
        for sides in (node.kernel_size, node.stride, node.padding)
    )
    share = 1 / np.prod(kernel) if isinstance(node, nir.AvgPool2d) else 1.0

    def step(x):
        weight = np.full((x.shape[1], 1, *kernel), share)
        return window_sums(x, weight, strides, (1, 1), pads, x.shape[1])

    return Unit(step)


class Neurons(Unit):
    """Neurons with a state: the rate of change, and what is reset."""

    def __init__(self, node, rate, threshold):
        super().__init__(None, fires=True)
        self.node, self.rate, self.threshold = node, rate, threshold
        self.v = self.current = 0.0

    def __call__(self, x):
        self.v = self.rate(self, x)
        spikes = self.v > self.threshold
        self.v = np.where(spikes, getattr(self.node, "v_reset", 0.0), self.v)
        return spikes.astype(np.float64)


class Membranes(Unit):
    """Leaky integrators, which emit their state."""

    def __init__(self, rate):
        super().__init__(None)
        self.rate = rate
        self.v = self.current = 0.0

    def __call__(self, x):
        self.v = self.rate(self, x)
        return self.v


def lif_rate(node, dt):
    def rate(unit, x):
        return unit.v + dt / node.tau * (node.v_leak - unit.v + node.r * x)

    return rate


def lif(node, dt):
    return Neurons(node, lif_rate(node, dt), node.v_threshold)


def integrate(node, dt):
    return Neurons(node, lambda unit, x: unit.v + node.r * x, node.v_threshold)


def cuba_rate(node, dt):
    def rate(unit, x):
        unit.current = unit.current + dt / node.tau_syn * (node.w_in * x - unit.current)
        return unit.v + dt / node.tau_mem * (node.v_leak - unit.v + node.r * unit.current)

    return rate


def cuba(node, dt):
    return Neurons(node, cuba_rate(node, dt), node.v_threshold)


def threshold(node, dt):
    return Unit(lambda x: (x > node.threshold).astype(np.float64))


def leak(node, dt):
    return Membranes(lif_rate(node, dt))


def leak_current(node, dt):
    return Membranes(cuba_rate(node, dt))


def accumulate(node, dt):
    unit = Unit(None)
    unit.v = 0.0

    def step(x):
        unit.v = unit.v + node.r * x
        return unit.v

    unit.step = step
    return unit


def delay(node, dt):
    """A delay by whole steps, the same or another for each value."""
    said = []

    def step(x):
        said.append(x)
        steps = np.broadcast_to(np.rint(node.delay / dt).astype(int), x.shape[1:])
        sent = np.zeros_like(x)
        for back in np.unique(steps):
            if back < len(said):
                sent = np.where(steps == back, said[-1 - back], sent)
        return sent

    return Unit(step)


UNITS = {
    nir.Input: same,
    nir.Output: same,
    nir.Linear: linear,
    nir.Affine: linear,
    nir.Scale: scale,
    nir.Flatten: flatten,
    nir.Conv1d: convolve_rows,
    nir.Conv2d: convolve,
    nir.SumPool2d: pool,
    nir.AvgPool2d: pool,
    nir.LIF: lif,
    nir.IF: integrate,
    nir.CubaLIF: cuba,
    nir.LI: leak,
    nir.CubaLI: leak_current,
    nir.Threshold: threshold,
    nir.I: accumulate,
    nir.Delay: delay,
}
