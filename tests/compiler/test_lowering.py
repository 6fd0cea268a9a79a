"""Every lowering of streams and columns: the same spikes at the right machine steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava.backends.deployment import compile_network
from sdt_lava.compiler import Lowering, lower
from sdt_lava.compiler.columns import WAYS
from sdt_lava.errors import CompileError
from tests.compiler.lowerings import DOWNSAMPLINGS, assert_same, random_ways
from tests.graphs import random_sdt_graph


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sides=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    channels=st.integers(1, 4),
    blocks=st.integers(1, 3),
    timesteps=st.integers(1, 3),
    downsampling=st.sampled_from(DOWNSAMPLINGS),
    heads=st.integers(0, 2),
)
def test_any_choice_gives_the_same_spikes(
    seed, sides, channels, blocks, timesteps, downsampling, heads
):
    rng = np.random.default_rng(seed)
    graph = random_sdt_graph(
        rng, image=(2, *sides), channels=channels * max(heads, 1), blocks=blocks,
        timesteps=timesteps, downsampling=downsampling, dilation_heads=heads, mlp_ratio=1,
    )  # fmt: skip
    shortcut, sdsa = random_ways(rng, graph)
    for way in (shortcut, "unrolled"):
        compiled = compile_network(graph, shortcut=way, sdsa=sdsa, convolutions="conv")
        assert_same(graph, compiled, seed)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shortcut": "relays"}, "relays"),
        ({"shortcut": {"nowhere": "relay"}}, "stream 'nowhere'.*patch.shortcut"),
        ({"shortcut": {"patch.shortcut": "graded"}}, "shortcut of 'patch.shortcut'.*graded"),
        ({"sdsa": "or"}, "'or'.*columnless"),
        ({"sdsa": {"block.9.attn.attn_lif": "and"}}, "column 'block.9.attn.attn_lif'"),
        ({"sdsa": {"block.0.attn.attn_lif": "none"}}, "sdsa of 'block.0.attn.attn_lif'"),
        ({"sdsa": "single-gate"}, "16 spikes a column.*columnless"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(options, said):
    graph = random_sdt_graph(np.random.default_rng(5), image=(2, 8, 8), channels=2)
    with pytest.raises(CompileError, match=said):
        compile_network(graph, **options)


def test_auto_takes_the_cheaper_by_the_rates():
    graph = random_sdt_graph(np.random.default_rng(14), image=(2, 6, 6), channels=6, blocks=2)
    busy = compile_network(graph, shortcut="auto", rates=0.5)
    # The last stream, which the token mean alone reads, is cheaper without neurons.
    assert busy.lowering.shortcut["patch.shortcut"] == "relay"
    assert busy.lowering.shortcut["block.1.mlp.shortcut"] == "unrolled"
    thin = random_sdt_graph(
        np.random.default_rng(14), image=(2, 6, 6), channels=1, blocks=1, mlp_ratio=1
    )
    quiet = compile_network(thin, shortcut="auto", rates=0.01)
    often = compile_network(thin, shortcut="auto", rates=0.5)
    assert quiet.lowering.shortcut["patch.conv1"] == "unrolled"
    assert often.lowering.shortcut["patch.conv1"] == "relay"
    for net, compiled in ((graph, busy), (thin, quiet)):
        assert_same(net, compiled)


def test_auto_makes_no_relay_for_a_target_without_graded_spikes():
    graph = random_sdt_graph(np.random.default_rng(15), image=(2, 4, 4), channels=6)
    # A readout's sums would stay in membranes there.
    graph = graph.rebuild([node for node in graph if node.name != "head.fc"])
    compiled = compile_network(graph, "loihi1", shortcut="auto", rates=0.5)
    assert set(compiled.lowering.shortcut.values()) == {"unrolled"}
    assert_same(graph, compiled)


def test_auto_is_not_worse_than_any_single_way():
    from sdt_lava.compiler.cost import count_lowering, estimated_rates, lowering_cost

    def price(lowering):
        lowered = lower(graph, lowering)
        return lowering_cost(count_lowering(lowered, estimated_rates(lowered, 0.05)))

    graph = random_sdt_graph(
        np.random.default_rng(16), image=(2, 1, 1), channels=3, blocks=2, downsampling="none"
    )
    compiled = compile_network(graph, shortcut="auto", sdsa="auto", rates=0.05)
    prices = {
        (shortcut, sdsa): price(Lowering.choose(graph, shortcut, sdsa))
        for shortcut in ("relay", "unrolled")
        for sdsa in WAYS
    }
    assert price(compiled.lowering) <= min(prices.values())
    assert set(compiled.lowering.sdsa.values()) == {"single-gate"}
    assert_same(graph, compiled)


def test_parts_of_a_choice_can_be_left_to_auto():
    graph = random_sdt_graph(np.random.default_rng(17), image=(2, 4, 4), channels=6)
    compiled = compile_network(
        graph, shortcut={"patch.shortcut": "unrolled", "patch.conv1": "auto"}, rates=0.5
    )
    assert compiled.lowering.shortcut["patch.shortcut"] == "unrolled"
    assert compiled.lowering.shortcut["patch.conv1"] == "relay"
