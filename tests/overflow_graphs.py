"""Random networks that reach, or leave, the registers that Lava holds values in.

Everything may be negative or large: inputs, weights, exponents, biases; several connections end
at one neuron; streams have relays, token means and maxima. All of it is legal in a file.
"""

from __future__ import annotations

import numpy as np

from sdt_lava.ir import (
    And,
    Conv,
    CubaLif,
    Dense,
    Flatten,
    Graph,
    Input,
    Lif,
    MaxPool,
    Node,
    OrPool,
    Readout,
    Shortcut,
    Subsample,
    TokenMean,
    TokenSum,
)

_LIMITS = (1, 100, 2000, 30_000, 500_000, 2_000_000, 2**23 - 1)
_WEIGHTS = (
    lambda rng, shape: 2 * rng.integers(-128, 128, shape),
    lambda rng, shape: rng.integers(-128, 128, shape),
    lambda rng, shape: rng.integers(-255, 1, shape),
    lambda rng, shape: rng.integers(0, 256, shape),
    lambda rng, shape: -2 * rng.integers(0, 129, shape),
    lambda rng, shape: 2 * rng.integers(-9, 10, shape),
)


class OverflowMaker:
    """Collects random nodes.

    Parameters
    ----------
    rng : numpy Generator
        Source of all random values.
    largest : int
        Magnitude of the input; a random one if 0.
    exponents : bool
        Give layers weight exponents.
    """

    def __init__(self, rng: np.random.Generator, largest: int = 0, exponents: bool = True) -> None:
        self.rng, self.exponents = rng, exponents
        self.nodes: list[Node] = []
        self.shape: dict[str, tuple[int, ...]] = {}
        self.largest = largest or int(rng.choice(_LIMITS))

    def add(self, node: Node) -> str:
        self.nodes.append(node)
        self.shape[node.name] = node.output_shape([self.shape[name] for name in node.inputs])
        return node.name

    def name(self, kind: str) -> str:
        return f"{kind}{len(self.nodes)}"

    def input(self, shape: tuple[int, ...]) -> str:
        low = int(self.rng.choice([0, -1, -1])) * self.largest
        high = self.largest if low == 0 or self.rng.integers(3) else 0
        if low == 0 and high == 1 and self.rng.integers(2):
            low = -1
        return self.add(Input(name="input", shape=shape, low=low, high=high))

    def weights(self, *shape: int) -> np.ndarray:
        make = _WEIGHTS[int(self.rng.integers(len(_WEIGHTS)))]
        return make(self.rng, shape)

    def exponent(self, channels: int) -> object:
        kind = int(self.rng.integers(6)) if self.exponents else 0
        if kind < 3:
            return 0
        low, high = ((0, 7), (-8, 3), (-8, 7))[kind - 3]
        if self.rng.integers(2):
            return int(self.rng.integers(low, high + 1))
        return self.rng.integers(low, high + 1, channels)

    def conv(self, source: str, out: int, *, keeps_size: bool = False) -> str:
        rng, (channels, height, width) = self.rng, self.shape[source]
        kernel = tuple(int(k) for k in rng.choice([1, 1, 2, 3], 2))
        stride, dilation, padding = (1, 1), (1, 1), (0, 0)
        if keeps_size:
            kernel, padding = ((3, 3), (1, 1)) if rng.integers(2) else ((1, 1), (0, 0))
        else:
            stride = tuple(int(s) for s in rng.integers(1, 3, 2))
            dilation = tuple(int(d) for d in rng.integers(1, 3, 2))
            padding = tuple(int(p) for p in rng.integers(0, 2, 2))
            fits = all(
                side + 2 * pad >= dil * (k - 1) + 1
                for side, pad, dil, k in zip(
                    (height, width), padding, dilation, kernel, strict=True
                )
            )
            kernel = kernel if fits else (1, 1)
        groups = int(rng.choice([n for n in (1, 2, 3) if not channels % n and not out % n]))
        return self.add(
            Conv(
                name=self.name("conv"),
                inputs=(source,),
                weight=self.weights(out, channels // groups, *kernel),
                exponent=self.exponent(out),
                stride=stride,
                dilation=dilation,
                padding=padding,
                groups=groups,
            )
        )

    def dense(self, source: str, out: int) -> str:
        if len(self.shape[source]) > 1:
            source = self.add(Flatten(name=self.name("flat"), inputs=(source,)))
        weight = self.weights(out, self.shape[source][0])
        fields = {"weight": weight, "exponent": self.exponent(out)}
        return self.add(Dense(name=self.name("dense"), inputs=(source,), **fields))

    def neurons(self, *currents: str) -> str:
        rng, channels = self.rng, self.shape[currents[0]][0]
        fields: dict = {
            "threshold": int(rng.choice([0, 1, 300, 20_000, 131_071])),
            "voltage_decay": int(rng.choice([0, 1, 128, 2048, 2048, 4095, 4096])),
            "current_decay": int(rng.choice([4096, 4096, 2048, 7, 0])),
            "bias_exponent": int(rng.integers(0, 8)),
        }
        if rng.integers(2):
            fields["bias"] = rng.integers(-4096, 4096, channels)
        if rng.integers(4):
            return self.add(Lif(name=self.name("lif"), inputs=currents, **fields))
        size = int(np.prod(self.shape[currents[0]]))
        if rng.integers(2):
            fields["threshold"] = rng.integers(0, 131_072, channels)
        if rng.integers(2):
            fields["drive_shift"] = int(rng.integers(-3, 9))
        if rng.integers(2):
            fields["delay"] = rng.integers(0, 3, channels)
        if rng.integers(2) and size < 60:
            fields["weight_rec"] = 2 * rng.integers(-127, 128, (size, size))
        return self.add(CubaLif(name=self.name("cuba"), inputs=currents, **fields))

    def graph(self, timesteps: int) -> Graph:
        return Graph.build(self.nodes, timesteps)


def random_overflow_graph(
    rng: np.random.Generator,
    *,
    timesteps: int = 3,
    largest: int = 0,
    layers: int = 3,
    exponents: bool = True,
) -> Graph:
    """Return a random network of the kinds that the module's description names."""
    make = OverflowMaker(rng, largest, exponents)
    sides = tuple(int(side) for side in rng.integers(1, 5, 3))
    events = make.input(sides if rng.integers(5) else (int(rng.integers(1, 9)),))
    for _ in range(int(rng.integers(1, layers + 1))):
        is_image = len(make.shape[events]) == 3
        part = _image_layer if is_image and rng.integers(6) else _vector_layer
        events = part(make, events)
    if rng.integers(2):
        events = _as_vector(make, events)
        classes, features = int(rng.integers(1, 4)), make.shape[events][0]
        bias = rng.integers(-(2**20), 2**20, classes) if rng.integers(2) else None
        make.add(
            Readout(
                name="readout",
                inputs=(events,),
                weight=make.weights(classes, features),
                bias=bias,
                exponent=make.exponent(classes),
            )
        )
    return make.graph(timesteps)


def _as_vector(make: OverflowMaker, events: str) -> str:
    if len(make.shape[events]) == 1:
        return events
    return make.add(Flatten(name=make.name("flat"), inputs=(events,)))


def _vector_layer(make: OverflowMaker, events: str) -> str:
    out = int(make.rng.integers(1, 6))
    currents = [make.dense(events, out) for _ in range(int(make.rng.integers(1, 4)))]
    if len(currents) > 1 and make.rng.integers(2):
        stream = make.add(Shortcut(name=make.name("sum"), inputs=tuple(currents)))
        first = make.neurons(stream)
        if make.rng.integers(2):
            return first
        branch = make.dense(first, out)
        return make.neurons(make.add(Shortcut(name=make.name("sum"), inputs=(stream, branch))))
    return make.neurons(*currents)


def _image_layer(make: OverflowMaker, events: str) -> str:
    rng, out = make.rng, int(make.rng.choice([1, 2, 3, 6]))
    if rng.integers(3) == 0 and make.shape[events][1:] != (1, 1):
        return make.neurons(make.conv(events, out))
    currents = [make.conv(events, out, keeps_size=True) for _ in range(int(rng.integers(1, 4)))]
    stream = currents[0]
    if len(currents) > 1:
        if rng.integers(3) == 0:
            return make.neurons(*currents)
        stream = make.add(Shortcut(name=make.name("sum"), inputs=tuple(currents)))
    for _ in range(int(rng.integers(0, 3))):
        stream = _along(make, stream)
    last = make.neurons(stream)
    return _after(make, last)


def _along(make: OverflowMaker, stream: str) -> str:
    """Continue a stream: a branch that is added, a choice of positions, or a maximum."""
    rng, (channels, height, width) = make.rng, make.shape[stream]
    kind = int(rng.integers(4))
    if kind == 0:
        return make.add(Subsample(name=make.name("sub"), inputs=(stream,), stride=2))
    if kind == 1 and min(height, width) > 1:
        window = {"kernel": 2, "stride": int(rng.integers(1, 3)), "padding": 0}
        return make.add(MaxPool(name=make.name("max"), inputs=(stream,), **window))
    branch = make.conv(make.neurons(stream), channels, keeps_size=True)
    return make.add(Shortcut(name=make.name("sum"), inputs=(stream, branch)))


def _after(make: OverflowMaker, spikes: str) -> str:
    """Go on from spikes: as they are, pooled, masked, or as a sum or mean over tokens."""
    rng, (_, height, width) = make.rng, make.shape[spikes]
    kind = int(rng.integers(6))
    if kind == 0 and min(height, width) > 1:
        window = {"kernel": 2, "stride": 1, "padding": 0}
        return make.add(OrPool(name=make.name("or"), inputs=(spikes,), **window))
    if kind == 1:
        other = make.neurons(make.conv(spikes, make.shape[spikes][0], keeps_size=True))
        return make.add(And(name=make.name("and"), inputs=(spikes, other)))
    if kind == 2:
        weight = int(rng.integers(-254, 255)) or 1
        summed = make.add(TokenSum(name=make.name("tokens"), inputs=(spikes,), weight=weight))
        return make.neurons(summed)
    if kind == 3:
        stream = make.conv(spikes, make.shape[spikes][0], keeps_size=True)
        shift = int(rng.integers(0, 4))
        mean = make.add(TokenMean(name=make.name("mean"), inputs=(stream,), shift=shift))
        return make.neurons(mean)
    return spikes


def random_overflow_frames(rng: np.random.Generator, graph: Graph, samples: int) -> np.ndarray:
    """Return frames ``(T, B, *shape)``, ends of the range among them."""
    entry = graph.input
    shape = (graph.timesteps, samples, *graph.input_shape)
    frames = rng.integers(entry.low, entry.high, shape, endpoint=True)
    ends = rng.choice([entry.low, entry.high], shape)
    return np.where(rng.random(shape) < rng.random(), ends, frames).astype(np.int64)
