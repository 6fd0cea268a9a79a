"""Single layers of any geometry, and what runs them on every kernel."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import numpy as np
from hypothesis import strategies as st

from sdt_lava.engine import Engine, EngineOptions
from sdt_lava.ir import Conv, Graph, Input, Lif
from sdt_lava.ir.reference import run_reference
from tests.graphs import GraphMaker


@dataclass(frozen=True)
class Case:
    """A convolution with neurons, and its input.

    Parameters
    ----------
    seed : int
        Of weights and input.
    channels, outputs : int
        For each group.
    sides, kernel, stride, padding, dilation : tuple of int
        Geometry.
    groups, steps, batch : int
        Sizes.
    low, high : int
        Range of the input; 0 and 1 are spikes.
    rate : float
        Share of the input that is not 0; 1 is saturated.
    pointwise : bool
        Whether another layer, with neurons, follows.
    decay : int
        Leak of the first neurons' v, in 1/4096.
    """

    seed: int
    channels: int
    outputs: int
    sides: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    steps: int
    batch: int
    low: int
    high: int
    rate: float
    pointwise: bool
    decay: int = 2048

    def graph(self) -> Graph:
        """Return the network."""
        rng = np.random.default_rng(self.seed)
        maker = GraphMaker(rng)
        shape = (self.channels * self.groups, *self._height_and_width())
        maker.input(shape, self.low, self.high)
        outputs = self.outputs * self.groups
        fields = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        exponent = rng.integers(-3, 4, outputs)
        conv = maker.conv(
            "conv", "input", outputs, self.kernel, groups=self.groups, exponent=exponent, **fields
        )  # fmt: skip
        spikes = maker.lif("lif", conv, voltage_decay=self.decay)
        if self.pointwise:
            maker.lif("lif2", maker.pointwise("conv2", spikes, 3))
        return maker.graph(self.steps)

    def _height_and_width(self) -> tuple[int, int]:
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        wide = zip(self.sides, reach, self.padding, strict=True)
        height, width = (max(side, reach - 2 * pad, 1) for side, reach, pad in wide)
        return height, width

    def frames(self, graph: Graph) -> np.ndarray:
        """Return its input."""
        rng = np.random.default_rng(self.seed + 1)
        size = (self.steps, self.batch, *graph.input_shape)
        values = rng.integers(self.low, self.high, size, endpoint=True)
        if self.rate == 1:
            return np.full(size, self.high, np.int64)
        return np.where(rng.random(size) < self.rate, values, 0)


def always_threads(monkeypatch) -> None:
    """Let several threads compute however little there is."""
    # The package has a function of the name of a module.
    engine = import_module("sdt_lava.engine.engine")
    monkeypatch.setattr(engine, "_WORTH_THREADS", 0)


def pairs(*values: int) -> st.SearchStrategy[tuple[int, int]]:
    """Rows and columns."""
    return st.tuples(st.sampled_from(values), st.sampled_from(values))


CASES = st.builds(
    Case,
    seed=st.integers(0, 2**31),
    channels=st.sampled_from([1, 2, 5, 64, 65]),
    outputs=st.sampled_from([1, 3, 64, 70, 130]),
    sides=st.tuples(st.integers(1, 7), st.integers(1, 40)),
    kernel=pairs(1, 1, 2, 3, 5),
    stride=pairs(1, 1, 2, 3),
    padding=pairs(0, 1, 2),
    dilation=pairs(1, 1, 2),
    groups=st.sampled_from([1, 1, 2, 3]),
    steps=st.sampled_from([1, 2, 3, 4, 9]),
    batch=st.integers(1, 3),
    low=st.sampled_from([0, 0, -100, -(2**15)]),
    high=st.sampled_from([1, 1, 255, 2**15 - 1]),
    rate=st.sampled_from([0, 0.03, 0.3, 1]),
    pointwise=st.booleans(),
    decay=st.sampled_from([2048, 2048, 1024, 4096, 0, 123, 3968]),
)


def run(graph: Graph, frames: np.ndarray, keep=None, *, strict=False, tracked=False, **options):
    """Return the engine's output, and the engine."""
    engine = Engine(graph, strict=strict, tracked=tracked, options=EngineOptions(**options))
    return engine.run(frames, keep), engine


def assert_exact(graph: Graph, frames: np.ndarray, **options) -> Engine:
    """Compare every node and step with the reference; return the engine that kept all nodes."""
    expected = run_reference(graph, frames, strict=False)
    # Where nobody asks for currents, they are not stored, and layers are joined.
    for keep in ((*graph.lif_names, graph.output_name), None):
        found, engine = run(graph, frames, keep, **options)
        for name, values in found.items():
            assert values.shape == expected[name].shape, name
            assert np.array_equal(values, expected[name]), (name, options)
    return engine


def layer(weight: np.ndarray, *, low: int = 0, high: int = 1, steps: int = 2, **fields) -> Graph:
    """One convolution of an image as large as its kernel, with neurons."""
    entry = Input(name="input", shape=weight.shape[1:], low=low, high=high)
    conv = Conv(name="conv", inputs=("input",), weight=weight, **fields)
    return Graph.build([entry, conv, Lif(name="lif", inputs=("conv",), threshold=100)], steps)
