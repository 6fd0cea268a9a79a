"""Columns of attention as neurons, gates, or neither: the same spikes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.machine.run import run_machine
from sdt_lava.compiler import Lowering, lower
from sdt_lava.compiler.columns import WAYS, MaskWeights
from sdt_lava.errors import CompileError
from sdt_lava.ir import (
    And,
    Conv,
    Dense,
    Gate,
    Graph,
    Input,
    Lif,
    Signal,
    TokenSum,
)
from sdt_lava.ir.numerics import WEIGHT_LIMIT
from sdt_lava.ir.reference import run_reference
from tests.compiler.lowerings import assert_same
from tests.graphs import random_sdt_graph


def test_circuits_of_a_column():
    graph = random_sdt_graph(np.random.default_rng(8), image=(2, 4, 6), channels=3)
    tokens, channels = 6, 3
    assert graph.shapes["block.0.attn.kv"] == (channels, 2, 3)
    made = {way: lower(graph, Lowering.choose(graph, sdsa=way)) for way in WAYS[:3]}
    column = "block.0.attn.attn_lif"
    assert isinstance(made["and"].nodes[column], Lif)
    assert isinstance(made["column-gate"].nodes[column], Gate)
    assert column not in made["columnless"].nodes
    neurons = {
        way: sum(
            int(np.prod(shape))
            for name, shape in lowered.shapes.items()
            if lowered.signals[name] is not Signal.CURRENT
        )
        for way, lowered in made.items()
    }
    assert neurons["columnless"] == neurons["and"] - channels
    synapses = made["columnless"].nodes["block.0.attn.mask.column"].weight
    assert synapses.nnz == channels * tokens**2


def test_a_dilation_before_a_column_needs_no_neurons():
    graph = random_sdt_graph(
        np.random.default_rng(9), image=(2, 5, 4), channels=6, dilation_heads=2
    )
    dilation = "block.0.attn.kv_dilate"
    for way in ("column-gate", "columnless"):
        compiled = compile_network(graph, sdsa=way)
        assert dilation in graph.nodes and dilation not in compiled.graph.nodes
        assert_same(graph, compiled, batch=4)


def test_one_token_needs_one_gate():
    graph = random_sdt_graph(
        np.random.default_rng(10), image=(2, 1, 1), channels=5, downsampling="none", timesteps=4
    )
    compiled = compile_network(graph, sdsa="single-gate")
    assert "block.0.attn.kv" not in compiled.graph.nodes
    assert compiled.implied == ("block.0.attn.attn_lif",)
    assert compile_network(graph).schedule.depth - compiled.schedule.depth == 2
    assert_same(graph, compiled, batch=8)
    alone = attention_alone(1, 4)
    run = assert_same(alone, compile_network(alone, sdsa="single-gate"), batch=8)
    assert 0 < run.outputs["mask"].mean() < 1 and run.outputs["end"].any()


def attention_alone(tokens, channels):
    """SDSA on an input that is q, k and v: neurons that pass every spike on."""
    one = np.zeros((channels, 3 * channels, 1, 1), int)
    nodes = [Input(name="x", shape=(3 * channels, 1, tokens), low=0, high=1)]
    for index, part in enumerate("qkv"):
        weight = one.copy()
        weight[range(channels), range(index * channels, (index + 1) * channels)] = 2
        nodes.append(Conv(name=f"{part}_conv", inputs=("x",), weight=weight))
        nodes.append(Lif(name=part, inputs=(f"{part}_conv",), threshold=1))
    nodes.append(And(name="kv", inputs=("k", "v")))
    nodes.append(TokenSum(name="sum", inputs=("kv",), weight=2))
    nodes.append(Lif(name="column", inputs=("sum",), threshold=1))
    nodes.append(And(name="mask", inputs=("q", "column")))
    weight = 2 * np.ones((channels, channels, 1, 1), int)
    nodes.append(Conv(name="proj", inputs=("mask",), weight=weight))
    return Graph.build([*nodes, Lif(name="end", inputs=("proj",), threshold=1)], 8)


@pytest.mark.parametrize("tokens", [1, 2, 63, 64, 132, 900, 2032])
def test_columnless_masks_for_few_and_many_tokens(tokens):
    """From 64 tokens on gates keep residues, and the weight of q needs an exponent."""
    channels = 2 if tokens < 1000 else 1
    graph = attention_alone(tokens, channels)
    rng = np.random.default_rng(tokens)
    # From silent columns over single spikes to full ones, one after the other.
    size = (8, 5, 3 * channels, 1, 1)
    density = rng.choice([0, 0.5 / tokens**0.5, 0.5, 1], size)
    frames = (rng.random((*size[:4], tokens)) < density).astype(np.int64)
    expected = run_reference(graph, frames)
    assert 0 < expected["column"].mean() < 1 and 0 < expected["mask"].mean() < 1
    for way in ("columnless", "column-gate", "and"):
        compiled = compile_network(graph, sdsa=way, convolutions="sparse")
        run = run_machine(compiled, frames)
        for name in ("mask", "end"):
            assert np.array_equal(run.outputs[name], expected[name]), (way, name)


def test_columns_of_too_many_tokens_are_refused():
    with pytest.raises(CompileError, match="2040 spikes a gate.*4097: above 4095"):
        compile_network(attention_alone(2040, 1), sdsa="columnless")


@settings(max_examples=100, deadline=None)
@given(fan_in=st.integers(1, 2032))
def test_mask_weights_separate(fan_in):
    weights = MaskWeights.of(fan_in)
    query, threshold = weights.mantissa << weights.exponent, weights.threshold
    assert weights.mantissa % 2 == 0 and weights.mantissa <= WEIGHT_LIMIT
    assert 0 <= weights.exponent <= 7
    assert query < threshold and 2 * fan_in < threshold < query + 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threshold": 2}, "threshold 2 on spikes of weight 2"),
        ({"threshold": -1}, "threshold -1"),
        ({"bias": np.array([0, 1])}, "a bias"),
        ({"current_decay": 1024}, "a current decay of 1024/4096"),
    ],
)
def test_a_column_with_memory_is_refused_by_name(changes, said):
    graph = random_sdt_graph(np.random.default_rng(12), image=(1, 4, 4), channels=2)
    column = "block.0.attn.attn_lif"
    graph = graph.rebuild(
        replace(node, **changes) if node.name == column else node for node in graph
    )
    for way in WAYS[1:]:
        with pytest.raises(CompileError, match=f"{way}.*{column}.*{said}"):
            compile_network(graph, sdsa=way)
    assert_same(graph, compile_network(graph, sdsa="auto"))
    assert compile_network(graph, sdsa="auto").lowering.sdsa == {column: "and"}


def test_a_column_that_others_read_keeps_its_neurons():
    graph = random_sdt_graph(np.random.default_rng(13), image=(1, 4, 4), channels=2)
    column = "block.0.attn.attn_lif"
    synapses = Dense(name="extra", inputs=(column,), weight=np.array([[20, -40]] * 2))
    graph = graph.rebuild([*graph, synapses, Lif(name="other", inputs=("extra",), threshold=10)])
    for way in ("columnless", "single-gate"):
        with pytest.raises(CompileError, match="read by extra"):
            compile_network(graph, sdsa=way)
    run = assert_same(graph, compile_network(graph, sdsa="column-gate"))
    assert run.outputs["other"].any()
