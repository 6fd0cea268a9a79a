"""Networks that are legal, but that no exporter writes: every command works or says why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.deployment import compile_network
from sdt_lava.errors import GraphError, SdtLavaError
from sdt_lava.ir import (
    And,
    Conv,
    Dense,
    Flatten,
    Graph,
    Input,
    Lif,
    MaxPool,
    OrPool,
    Readout,
    Shortcut,
    Signal,
    Subsample,
    TokenMean,
    TokenSum,
)
from sdt_lava.report.lowerings import compare_lowerings
from tests.graphs import GraphMaker
from tests.needs import runnable

IMAGE = (2, 4, 3)


class Stranger(GraphMaker):
    """Adds nodes of any kind to whatever fits, read or not."""

    def random_node(self, number: int) -> str | None:
        """Add one node, if the kind that was drawn fits the source that was drawn."""
        source = self.nodes[int(self.rng.integers(len(self.nodes)))].name
        kinds = self._currents() if self.signal(source) is Signal.CURRENT else self._events()
        make = kinds[int(self.rng.integers(len(kinds)))]
        try:
            return make(f"node.{number}", source)
        except SdtLavaError:
            self.nodes = [node for node in self.nodes if node.name in self.shape]
            return None

    def signal(self, name: str) -> Signal:
        node = next(node for node in self.nodes if node.name == name)
        if isinstance(node, Input):
            return Signal.GRADED if node.high > 1 else Signal.SPIKE
        return node.output_signal([self.signal(source) for source in node.inputs])

    def alike(self, source: str) -> list[str]:
        """Return the nodes whose output has the shape and the signal of another's."""
        return [
            node.name
            for node in self.nodes
            if self.shape[node.name] == self.shape[source]
            and self.signal(node.name) is self.signal(source)
        ]

    def several(self, source: str) -> tuple[str, ...]:
        others = [name for name in self.alike(source) if name != source]
        count = int(self.rng.integers(0, min(3, len(others) + 1)))
        return (source, *map(str, self.rng.permutation(others)[:count]))

    def two(self, source: str) -> tuple[str, str]:
        others = [name for name in self.alike(source) if name != source]
        if not others:
            raise GraphError(source, "nothing like it")
        return source, others[int(self.rng.integers(len(others)))]

    def any_dense(self, name: str, source: str) -> str:
        weight = self.weights(3, int(np.prod(self.shape[source])))
        return self._synapse(Dense, source, weight, name=name)

    def _currents(self) -> list[Callable[[str, str], str]]:
        return [
            lambda name, source: self.lif(name, *self.several(source)),
            lambda name, source: self.lif(name, source),
            lambda name, source: self.shortcut(name, *self.two(source)),
            lambda name, source: self.add(Subsample(name=name, inputs=(source,), stride=2)),
            lambda name, source: self.add(TokenMean(name=name, inputs=(source,), shift=1)),
            lambda name, source: self.add(
                MaxPool(name=name, inputs=(source,), kernel=3, stride=1, padding=1)
            ),
        ]

    def _events(self) -> list[Callable[[str, str], str]]:
        return [
            lambda name, source: self.conv(name, source, 2, padding=(1, 1)),
            self.any_dense,
            lambda name, source: self.add(Flatten(name=name, inputs=(source,))),
            lambda name, source: self.add(And(name=name, inputs=self.two(source))),
            lambda name, source: self.add(TokenSum(name=name, inputs=(source,), weight=2)),
            lambda name, source: self.add(
                OrPool(name=name, inputs=(source,), kernel=3, stride=2, padding=1)
            ),
        ]


def stranger(seed: int) -> Graph | None:
    """Return a random legal graph, or None if what was drawn is none."""
    rng = np.random.default_rng(seed)
    maker = Stranger(rng, spread_limit=500)
    shape = IMAGE if rng.random() < 0.7 else (int(rng.integers(1, 6)),)
    maker.input(shape, high=1 if rng.random() < 0.5 else 255)
    for number in range(int(rng.integers(1, 14))):
        maker.random_node(number)
    events = [
        node.name
        for node in maker.nodes
        if maker.signal(node.name) is not Signal.CURRENT and len(maker.shape[node.name]) == 1
    ]
    if events and rng.random() < 0.5:
        source = events[int(rng.integers(len(events)))]
        weight = maker.weights(3, *maker.shape[source])
        maker.add(Readout(name="head", inputs=(source,), weight=weight))
    try:
        graph = maker.graph(int(rng.choice([1, 2, 5])))
        assert graph.output_name
    except SdtLavaError:
        return None
    return graph


def input_node(shape=IMAGE, high=1):
    return Input(name="input", shape=shape, high=high)


def weights(*shape):
    return np.full(shape, 2, np.int32)


def _odd_ones() -> Iterator[tuple[str, list]]:
    conv = Conv(name="c", inputs=("input",), weight=weights(2, 2, 1, 1))
    flat = Flatten(name="f", inputs=("input",))
    lif = Lif(name="l", inputs=("c",), threshold=1)
    yield "one node", [input_node()]
    yield "one node of payloads", [input_node(high=9)]
    yield "a current", [input_node(), conv]
    twice = Conv(name="d", inputs=("input",), weight=weights(2, 2, 1, 1))
    yield "a sum", [input_node(), conv, twice, Shortcut(name="s", inputs=("c", "d"))]
    yield (
        "a stream that is the output and is read",
        [
            input_node(),
            conv,
            lif,
            Readout(name="head", inputs=("f",), weight=weights(2, 24)),
            Flatten(name="f", inputs=("l",)),
        ],
    )
    yield (
        "flatten of flatten",
        [
            input_node(),
            flat,
            Flatten(name="g", inputs=("f",)),
            Dense(name="d", inputs=("g",), weight=weights(2, 24)),
            Lif(name="l", inputs=("d",), threshold=1),
        ],
    )
    yield (
        "two flattened at one gate",
        [
            input_node(),
            flat,
            Flatten(name="g", inputs=("input",)),
            And(name="a", inputs=("f", "g")),
        ],
    )
    yield (
        "a readout of the input",
        [
            input_node((5,), high=9),
            Readout(name="head", inputs=("input",), weight=weights(2, 5)),
        ],
    )
    yield (
        "a pool of the input",
        [
            input_node(),
            OrPool(name="p", inputs=("input",), kernel=2, stride=1, padding=0),
        ],
    )
    yield (
        "gates of the input",
        [
            input_node(),
            OrPool(name="p", inputs=("input",), kernel=1, stride=1, padding=0),
            And(name="a", inputs=("input", "p")),
        ],
    )
    yield (
        "tokens of the input",
        [
            input_node(),
            TokenSum(name="t", inputs=("input",), weight=2),
            Lif(name="l", inputs=("t",), threshold=1),
        ],
    )
    yield (
        "a pool of currents at the end",
        [
            input_node(),
            conv,
            MaxPool(name="p", inputs=("c",), kernel=2, stride=1, padding=0),
        ],
    )
    yield "a mean at the end", [input_node(), conv, TokenMean(name="m", inputs=("c",), shift=2)]
    yield (
        "a selection at the end",
        [input_node(), conv, Subsample(name="x", inputs=("c",), stride=2)],
    )
    yield (
        "a readout beside nodes that no other node reads",
        [
            input_node(),
            flat,
            conv,
            lif,
            Readout(name="head", inputs=("f",), weight=weights(2, 24)),
            twice,
            Shortcut(name="s", inputs=("c", "d")),
        ],
    )


ODD = dict(_odd_ones())
SEEDS = range(80)
DRAWN = {seed: graph for seed in SEEDS if (graph := stranger(seed)) is not None}


def same(found, expected):
    assert np.array_equal(found.logits, expected.logits)
    for name, spikes in expected.spikes.items():
        assert np.array_equal(found.spikes[name], spikes), name


def outcomes(graph: Graph, folder) -> dict[str, str]:
    """Do everything with a graph that commands do; return what was refused, by what was done."""
    high = graph.input.high + 1
    x = np.random.default_rng(1).integers(0, high, (2, *graph.input_shape)).astype(np.float32)
    x /= graph.input.scale
    path = folder / "net.h5"
    refused: dict[str, str] = {}

    def attempt(name, action):
        try:
            return action()
        except SdtLavaError as error:
            assert error.where and error.found
            refused[name] = str(error)
            return None

    result = attempt("simulate", lambda: sdt_lava.simulate(graph, x, count=True))
    slow = attempt("reference", lambda: sdt_lava.simulate(graph, x, "reference"))
    assert ("simulate" in refused) == ("reference" in refused)
    if result is not None and slow is not None:
        same(slow, result)
        counted = attempt("synops", lambda: result.synops)
        again = attempt("synops of the reference", lambda: slow.synops)
        assert (counted is None) == (again is None)
        if counted is not None and again is not None:
            assert counted.total == again.total
        attempt("text", lambda: str(counted))
        for way in ("relay", "unrolled"):
            lowered = attempt(
                f"run {way}",
                lambda way=way: sdt_lava.simulate(graph, x, "reference", shortcut=way),
            )
            if lowered is not None:
                same(lowered, result)
    for target in ("lava-cpu", "loihi2", "loihi1"):
        for shortcut in ("relay", "unrolled", "auto", None):
            options = {} if shortcut is None else {"shortcut": shortcut, "sdsa": "auto"}

            def build(target=target, options=options):
                compiled = compile_network(graph, target, **options)
                return str(compiled), compiled.violations, compiled.notes

            attempt(f"compile {target} {shortcut}", build)
    attempt("map", lambda: compile_network(graph, "loihi2").core_map.to_dict())
    attempt("lower", lambda: compare_lowerings(graph).to_dict())
    attempt("table", lambda: str(graph))
    attempt("save", lambda: sdt_lava.save_network(graph, path))
    if "save" not in refused:
        read = sdt_lava.load_network(path)
        assert list(read.nodes) == list(graph.order)
    return refused


@pytest.mark.parametrize("name", ODD)
def test_odd_graphs(name, tmp_path):
    graph = Graph.build(ODD[name], 2)
    assert outcomes(graph, tmp_path).keys() <= {"map"}
    x = np.ones((3, *graph.input_shape), np.float32)
    for backend in runnable(["lava-inprocess"]) if len(graph) > 1 else ():
        lava = sdt_lava.simulate(graph, x, backend)
        same(lava, sdt_lava.simulate(graph, x))


def test_a_flatten_at_the_end(tmp_path):
    nodes = [
        input_node(),
        Conv(name="c", inputs=("input",), weight=weights(2, 2, 1, 1)),
        Lif(name="l", inputs=("c",), threshold=1),
        Flatten(name="f", inputs=("l",)),
    ]
    refused = outcomes(Graph.build(nodes, 2), tmp_path)
    assert {"simulate", "reference", "map", "lower", "compile lava-cpu relay"} <= refused.keys()
    assert all("flatten that no node reads" in said for said in refused.values())


@pytest.mark.parametrize("seed", DRAWN)
def test_graphs_of_any_nodes(seed, tmp_path):
    refused = outcomes(DRAWN[seed], tmp_path)
    assert refused.keys() <= {"map", "simulate", "reference"}
    assert "activation of" in refused.get("simulate", "activation of")


def test_many_of_the_random_graphs_are_legal_and_of_every_kind():
    kinds = {node.kind for graph in DRAWN.values() for node in graph}
    assert len(DRAWN) > len(SEEDS) // 4
    assert kinds >= {"and", "conv", "dense", "flatten", "lif", "max_pool", "or_pool", "readout"}
    assert kinds >= {"shortcut", "subsample", "token_mean", "token_sum"}
