"""Networks without a plan: any node that accepts what is there may come next."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np

from sdt_lava.ir import (
    And,
    CubaLif,
    Flatten,
    Graph,
    GroupSum,
    MaxPool,
    Node,
    OrPool,
    Readout,
    SpikingNeurons,
    Subsample,
    TokenDilate,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.numerics import THRESHOLD_LIMIT
from tests.cuba_graphs import random_cuba_fields
from tests.graphs import GraphMaker, random_window

# Words of spikes have 64 channels, tiles of kernels 32, 64 and 128.
CHANNELS = (1, 1, 2, 3, 5, 8, 16, 31, 32, 33, 63, 64, 65, 128, 130)
# Larger layers would make cases slow and find nothing else.
_MOST_VALUES = 6000
_MOST_WEIGHTS = 40_000
_MOST_RECURRENT = 48


class WebMaker:
    """Adds random nodes to a network.

    Parameters
    ----------
    rng : numpy Generator
        Source of all that is random.
    maker : GraphMaker
        With its input.
    """

    def __init__(self, rng: np.random.Generator, maker: GraphMaker) -> None:
        self.rng, self.maker = rng, maker
        binary = maker.nodes[0].high == 1 and maker.nodes[0].low == 0
        self.spikes = ["input"] if binary else []
        self.graded = [] if binary else ["input"]
        self.currents: list[str] = []
        self._steps: tuple[Callable[[], bool], ...] = (
            self._conv, self._conv, self._conv, self._dense, self._dense, self._lif, self._lif,
            self._lif, self._lif, self._cuba, self._shortcut, self._shortcut, self._of_current,
            self._of_spikes, self._and, self._token_sum, self._token_mean, self._flatten,
        )  # fmt: skip

    def grow(self, nodes: int) -> None:
        """Add some nodes."""
        for _ in range(20 * nodes):
            if len(self.maker.nodes) > nodes:
                return
            self._steps[self.rng.integers(len(self._steps))]()

    def end(self) -> None:
        """Add neurons, if there are none, and a readout or sums over groups of neurons."""
        vectors = [name for name in self.spikes if len(self.maker.shape[name]) == 1]
        if not vectors:
            self._lif_on(self._add_dense(self._pick([*self.spikes, *self.graded])))
            vectors = self.spikes[-1:]
        source = self._pick(vectors)
        if self.rng.random() < 0.2 and not self._is_input(source):
            neurons = self.maker.shape[source][0]
            groups = [count for count in range(1, neurons + 1) if neurons % count == 0]
            number = int(self.rng.choice(groups))
            self.maker.add(GroupSum(name="sums", inputs=(source,), groups=number))
            return
        classes = int(self.rng.choice([1, 2, 10]))
        weight = self.maker.weights(classes, self.maker.shape[source][0])
        bias = self.rng.integers(-5000, 5001, classes) if self.rng.random() < 0.5 else None
        exponent = self._exponent(classes)
        self.maker.add(
            Readout(name="readout", inputs=(source,), weight=weight, bias=bias, exponent=exponent)
        )

    def _is_input(self, name: str) -> bool:
        nodes = {node.name: node for node in self.maker.nodes}
        while isinstance(nodes[name], Flatten):
            (name,) = nodes[name].inputs
        return name == "input"

    def _pick(self, names: list[str]) -> str:
        # The latest ones most of the time, so that networks become deep.
        start = max(0, len(names) - 3) if self.rng.random() < 0.7 else 0
        return names[self.rng.integers(start, len(names))]

    def _name(self, kind: str) -> str:
        return f"{kind}{len(self.maker.nodes)}"

    def _exponent(self, outputs: int):
        kind = self.rng.integers(3)
        if kind == 0:
            return 0
        return int(self.rng.integers(-3, 3)) if kind == 1 else self.rng.integers(-3, 3, outputs)

    def _outputs(self, most: float) -> int:
        fitting = [channels for channels in CHANNELS if channels <= max(most, 1)]
        return int(self.rng.choice(fitting))

    def _image(self, names: list[str]) -> str | None:
        images = [name for name in names if len(self.maker.shape[name]) == 3]
        return self._pick(images) if images else None

    def _conv(self) -> bool:
        source = self._image([*self.spikes, *self.graded])
        if source is None:
            return False
        channels, height, width = shape = self.maker.shape[source]
        most = min(_MOST_VALUES / (height * width), _MOST_WEIGHTS / (9 * channels))
        outputs = self._outputs(most)
        window = random_window(self.rng, shape, outputs)
        self.currents.append(
            self.maker.conv(
                self._name("conv"), source, outputs, exponent=self._exponent(outputs), **window
            )
        )
        return True

    def _dense(self) -> bool:
        self._add_dense(self._pick([*self.spikes, *self.graded]))
        return True

    def _add_dense(self, source: str) -> str:
        inputs = prod(self.maker.shape[source])
        outputs = self._outputs(_MOST_WEIGHTS / inputs)
        name = self.maker.dense(
            self._name("dense"), source, outputs, exponent=self._exponent(outputs)
        )
        self.currents.append(name)
        return name

    def _alike(self, most: int) -> tuple[str, ...]:
        """Return some currents of one shape."""
        first = self._pick(self.currents)
        shape = self.maker.shape[first]
        others = [n for n in self.currents if n != first and self.maker.shape[n] == shape]
        number = int(self.rng.integers(0, min(len(others), most - 1) + 1))
        return first, *(others[i] for i in self.rng.permutation(len(others))[:number])

    def _lif(self) -> bool:
        if not self.currents:
            return False
        self._lif_on(*self._alike(3))
        return True

    def _lif_on(self, *currents: str) -> None:
        rng = self.rng
        fields = {}
        if rng.random() < 0.5:
            fields["voltage_decay"] = int(rng.choice([2048, 0, 4096, 1024, 123, 3968]))
            fields["current_decay"] = int(rng.choice([4096, 4096, 2048, 77, 0]))
        if rng.random() < 0.1:
            fields["threshold"] = int(rng.choice([-5, 0, 1, THRESHOLD_LIMIT]))
        self.spikes.append(self.maker.lif(self._name("lif"), *currents, **fields))

    def _cuba(self) -> bool:
        maker, rng = self.maker, self.rng
        sources = [self._alike(2)] if self.currents else []
        sources += [(name,) for name in [*self.graded, *self.spikes[:1]]]
        inputs = sources[rng.integers(len(sources))]
        shape = maker.shape[inputs[0]]
        spread = sqrt(sum(maker.power[name] for name in inputs))
        threshold = int(np.clip(spread, 1, THRESHOLD_LIMIT // 2))
        delay, shift = int(rng.integers(0, 4)), int(rng.choice([0, 0, 1, 3]))
        fields = random_cuba_fields(rng, shape[0], threshold, delay=delay, shift=shift)
        fields["bias"] = np.clip(fields["bias"], -4096, 4095)
        if prod(shape) <= _MOST_RECURRENT and rng.random() < 0.4:
            fields["weight_rec"] = 2 * rng.integers(-60, 61, (prod(shape),) * 2)
        self.spikes.append(maker.add(CubaLif(name=self._name("cuba"), inputs=inputs, **fields)))
        return True

    def _shortcut(self) -> bool:
        inputs = self._alike(3) if self.currents else ()
        if len(inputs) < 2:
            return False
        self.currents.append(self.maker.shortcut(self._name("shortcut"), *inputs))
        return True

    def _pooled(self, kind: type[Node], source: str) -> bool:
        height, width = self.maker.shape[source][1:]
        kernel = int(self.rng.integers(1, 4))
        padding = int(self.rng.integers(0, kernel // 2 + 1))
        if min(height, width) + 2 * padding < kernel:
            return False
        stride = int(self.rng.integers(1, 4))
        fields = {"kernel": kernel, "stride": stride, "padding": padding}
        self._same(kind, source, **fields)
        return True

    def _same(self, kind: type[Node], source: str, **fields) -> None:
        node = kind(name=self._name(kind.kind), inputs=(source,), **fields)
        is_current = source in self.currents
        name = self.maker.add(node, self.maker.power[source])
        (self.currents if is_current else self.spikes).append(name)

    def _of_current(self) -> bool:
        source = self._image(self.currents)
        if source is None:
            return False
        if self.rng.random() < 0.5:
            self._same(Subsample, source, stride=int(self.rng.integers(1, 4)))
            return True
        return self._pooled(MaxPool, source)

    def _of_spikes(self) -> bool:
        source = self._image(self.spikes)
        if source is None:
            return False
        if self.rng.random() < 0.7:
            return self._pooled(OrPool, source)
        channels = self.maker.shape[source][0]
        heads = [n for n in range(1, channels + 1) if channels % n == 0]
        self._same(TokenDilate, source, heads=int(self.rng.choice(heads)))
        return True

    def _and(self) -> bool:
        if not self.spikes:
            return False
        left = self._pick(self.spikes)
        shape = self.maker.shape[left]
        fitting = [
            name
            for name in self.spikes
            if name != left and self.maker.shape[name] in (shape, shape[:1])
        ]
        if not fitting:
            return False
        node = And(name=self._name("and"), inputs=(left, self._pick(fitting)))
        self.spikes.append(self.maker.add(node))
        return True

    def _token_sum(self) -> bool:
        source = self._image(self.spikes)
        if source is None:
            return False
        weight = int(self.rng.choice([1, 2, 2, 64, -2]))
        tokens = prod(self.maker.shape[source][1:])
        node = TokenSum(name=self._name("sum"), inputs=(source,), weight=weight)
        self.currents.append(self.maker.add(node, float(weight * tokens) ** 2 / 10))
        return True

    def _token_mean(self) -> bool:
        source = self._image(self.currents)
        if source is None:
            return False
        tokens = prod(self.maker.shape[source][1:])
        shift = int(np.ceil(np.log2(tokens))) + int(self.rng.integers(0, 3))
        node = TokenMean(name=self._name("mean"), inputs=(source,), shift=shift)
        self.currents.append(self.maker.add(node, self.maker.power[source] / 4))
        return True

    def _flatten(self) -> bool:
        source = self._image(self.spikes)
        if source is None:
            return False
        self._same(Flatten, source)
        return True


def random_web(
    rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int, timesteps: int
) -> Graph:
    """Return a network of random nodes.

    Parameters
    ----------
    rng : numpy Generator
        Source of all that is random.
    shape : tuple of int
        Of the input.
    low, high : int
        Range of the input.
    timesteps : int
        Steps of one sample.
    """
    maker = GraphMaker(rng, biases=bool(rng.random() < 0.7), spread_limit=1500)
    maker.input(shape, low, high)
    web = WebMaker(rng, maker)
    web.grow(int(rng.integers(3, 18)))
    web.end()
    _leave_out_unread(maker)
    return maker.graph(timesteps)


def _leave_out_unread(maker: GraphMaker) -> None:
    """Remove currents and events that nobody reads, which cannot be compiled; neurons stay."""
    while True:
        read = {name for node in maker.nodes for name in node.inputs}
        ends = (SpikingNeurons, Readout, GroupSum)
        kept = [node for node in maker.nodes if node.name in read or isinstance(node, ends)]
        if len(kept) == len(maker.nodes):
            return
        maker.nodes = kept
