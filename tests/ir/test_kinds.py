"""Every kind says what it means, and one that does not is told so."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import pytest

from sdt_lava.engine import Engine
from sdt_lava.errors import CompileError, GraphError, KindError
from sdt_lava.io.netx.schema import LAYER_OF_NODE, Layer, Scalar, register_layer
from sdt_lava.ir import (
    NODE_KINDS,
    And,
    Conv,
    CubaLif,
    Graph,
    Input,
    Lif,
    MaxPool,
    MessageNeurons,
    Node,
    OrPool,
    Shortcut,
    Signal,
    Subsample,
    TokenDilate,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.base import CURRENTS, SPIKES
from sdt_lava.ir.biases import gather_biases
from sdt_lava.ir.bounds import bound
from sdt_lava.ir.reference import run_reference
from sdt_lava.quantize.reachable import reaches
from tests.graphs import random_frames

# Those of the library: tests add some of their own.
KINDS = [kind for kind in NODE_KINDS.values() if kind.__module__.startswith("sdt_lava.")]
# Those that files hold.
STORED = [kind for kind in KINDS if not kind.is_compiled_only]


def says(kind: type[Node], member: str) -> bool:
    return getattr(kind, member) is not getattr(Node, member)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_nothing_is_missing(kind):
    if kind is not Input:
        computes = ("run", "state_shapes") if kind.has_memory else ("equation",)
        for member in (*computes, "relation"):
            assert says(kind, member), member
    if issubclass(kind, MessageNeurons):
        assert kind.message_bound is not MessageNeurons.message_bound
    else:
        assert says(kind, "interval")
    if kind.holds_sums and kind is not TokenMean:  # a mean has no weights
        assert says(kind, "doublings")
    assert kind.is_compiled_only != (kind in LAYER_OF_NODE)
    assert kind.is_mappable or not kind.is_population


@pytest.mark.parametrize("kind", STORED, ids=lambda kind: kind.kind)
def test_a_file_has_every_field(kind):
    """Apart from the names, and biases of synapses: only float graphs have those."""
    layer = LAYER_OF_NODE[kind]
    stored = {field.name for field in (*layer.scalars, *layer.arrays, *layer.per_channel)}
    own = {field.name for field in fields(kind)} - {"name", "inputs", "block", "origin"}
    left_out = {
        Lif: {"drive_shift", "delay", "weight_rec"},
        **{one: {"bias"} for one in KINDS if one.kind in ("conv", "dense")},
    }
    assert own - stored == left_out.get(kind, set())


def test_a_constant_passes_where_a_kind_says_so():
    assert {kind for kind in KINDS if kind.carries_bias} == {
        Shortcut, Subsample, MaxPool, TokenMean,
    }  # fmt: skip


@pytest.fixture
def new_kinds():
    """Forget the kinds that a test makes."""
    known = dict(NODE_KINDS)
    yield
    NODE_KINDS.clear()
    NODE_KINDS.update(known)


def network(kind: type[Node], *, bias: bool = False) -> Graph:
    weight = np.full((2, 1, 1, 1), 2)
    given = {"bias": np.array([0.5, 1.0])} if bias else {}
    reads_spikes = kind.accepts == SPIKES
    nodes = [
        Input(name="x", shape=(1, 2, 2)),
        Conv(name="c", inputs=("x",), weight=weight, **given),
    ]
    if reads_spikes:
        nodes += [Lif(name="n", inputs=("c",), threshold=1), kind(name="k", inputs=("n",))]
    else:
        nodes += [kind(name="k", inputs=("c",)), Lif(name="n", inputs=("k",), threshold=1)]
    return Graph.build(nodes, 2)


def make_kind(accepts: frozenset[Signal], emits: Signal) -> type[Node]:
    @dataclass(frozen=True, kw_only=True, eq=False)
    class Bare(Node):
        kind: ClassVar[str] = "bare"

    Bare.accepts, Bare.emits = accepts, emits
    return Bare


def test_what_a_kind_lacks_is_told(new_kinds):
    graph = network(make_kind(SPIKES, Signal.SPIKE))
    frames = random_frames(np.random.default_rng(0), graph, batch=1)
    for ask in (
        lambda: run_reference(graph, frames),
        lambda: Engine(graph).run(frames),
        lambda: bound(graph),
        lambda: graph.nodes["k"].relation([(2, 2, 2)]),
        lambda: graph.nodes["k"].state_shapes((1, 2)),
    ):
        with pytest.raises(KindError, match=r"'k' \(bare\).*define Bare\.\w+"):
            ask()


def test_a_kind_that_does_not_pass_biases_on_stops_them(new_kinds):
    kind = make_kind(CURRENTS, Signal.CURRENT)
    with pytest.raises(KindError, match=r"bias.*Bare\.carries_bias"):
        gather_biases(network(kind, bias=True))
    assert gather_biases(network(kind)).nodes["n"].bias is None
    kind.carries_bias = True
    assert gather_biases(network(kind, bias=True)).nodes["n"].bias.tolist() == [0.5, 1.0]


def test_a_kind_that_nothing_lowers_cannot_be_compiled(new_kinds):
    from sdt_lava.compiler import lower

    with pytest.raises(CompileError, match="kind bare"):
        lower(network(make_kind(SPIKES, Signal.SPIKE)))


def test_a_table_without_a_kind_says_so(new_kinds):
    graph = network(make_kind(CURRENTS, Signal.CURRENT))
    with pytest.raises(KindError, match=r"'k' \(bare\).*add Bare to sdt_lava.quantize.reachable"):
        reaches(graph)


def test_an_equation_is_enough_for_the_engine(new_kinds):
    kind = make_kind(SPIKES, Signal.SPIKE)
    kind.equation = lambda self, inputs: 1 - inputs[0]
    kind.interval = OrPool.interval
    graph = network(kind)
    frames = random_frames(np.random.default_rng(1), graph, batch=3)
    assert np.array_equal(Engine(graph).run(frames)["k"], run_reference(graph, frames)["k"])


@pytest.mark.parametrize(
    "kind", [OrPool, TokenDilate, TokenSum, Subsample, MaxPool, TokenMean], ids=lambda k: k.kind
)
def test_relations_are_what_the_equations_read(kind):
    """An output changes if and only if an input changes that reaches it."""
    node, shape = kind(name="k", inputs=("x",)), (4, 5, 3)
    matrix = node.relation([shape]).matrix(1).toarray()
    for index in range(matrix.shape[1]):
        event = np.zeros((1, 1, *shape), np.int64)
        event.flat[index] = 1
        reached = node.equation([event]).ravel() != 0
        if kind is MaxPool:  # everything else is 0, and the border below it
            reached = node.equation([event]).ravel() > 0
        assert np.array_equal(reached, matrix[:, index] != 0)
    assert np.array_equal(node.relation([shape]).fan_out, matrix.sum(axis=0))
    assert np.array_equal(node.relation([shape]).fan_in, matrix.sum(axis=1))


def test_masks_relate_each_operand():
    node = And(name="m", inputs=("q", "a"))
    shapes = [(2, 2, 3), (2,)]
    both = [node.relation(shapes, operand).matrix(1).toarray() for operand in (0, 1)]
    assert np.array_equal(both[0], np.eye(12))
    assert np.array_equal(both[1], np.repeat(np.eye(2), 6, axis=0))


@pytest.mark.parametrize(
    "fields", [{"drive_shift": 1}, {"delay": 1}, {"weight_rec": np.zeros((4, 4))}]
)
def test_what_only_cuba_neurons_have_is_refused_in_others(fields):
    shapes = [(4,)]
    CubaLif(name="n", threshold=1, voltage_decay=0, **fields).output_shape(shapes)
    with pytest.raises(GraphError, match="cuba_lif"):
        Lif(name="n", threshold=1, **fields).output_shape(shapes)


@pytest.mark.parametrize("name", ["lif", "conv", "concat", "more_than_ten", ""])
def test_layer_types_are_new_and_short(name):
    with pytest.raises(ValueError, match="layer type"):
        register_layer(Layer(Conv, name, (Scalar("a", 0, 1),)))
