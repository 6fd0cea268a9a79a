"""Every lowering of streams and columns: the same spikes at the right machine steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.host import network_outputs
from sdt_lava.backends.machine.run import run_machine
from sdt_lava.compiler import Lowering, lower, streams
from sdt_lava.compiler.columns import WAYS, MaskWeights, find_columns, obstacles
from sdt_lava.compiler.streams import forced_relays, stream_names
from sdt_lava.compiler.terms import split_weights
from sdt_lava.errors import CompileError
from sdt_lava.ir import (
    And,
    Conv,
    Dense,
    Gate,
    Graph,
    Input,
    Lif,
    MaxRelay,
    Relay,
    Shortcut,
    Signal,
    Sparse,
    Subsample,
    TokenMean,
    TokenSum,
)
from sdt_lava.ir.numerics import WEIGHT_LIMIT, lava_weights
from sdt_lava.ir.reference import run_reference
from tests.graphs import GraphMaker, random_frames, random_sdt_graph

DOWNSAMPLINGS = ("or", "max", "stride", "subsample", "none")


def assert_same(graph, compiled, seed=0, batch=2):
    """Compare every LIF and the readout, in every step, with the reference of the source graph."""
    frames = random_frames(np.random.default_rng(seed), graph, batch=batch)
    expected = run_reference(graph, frames, strict=False)
    run = run_machine(compiled, frames)
    recorded = {name: run.outputs[name] for name in compiled.observed}
    found = network_outputs(compiled, recorded)
    assert set(found) == {*graph.lif_names, graph.output_name}
    for name, values in found.items():
        assert np.array_equal(values, expected[name]), name
    return run


def graded(compiled):
    """Populations that send payloads, without the readout's relay and the input."""
    kinds = (Relay, MaxRelay)
    return [n.name for n in compiled.graph if isinstance(n, kinds) and n.name != "head.fc.relay"]


def random_ways(rng, graph):
    shortcut = {name: str(rng.choice(["relay", "unrolled"])) for name in stream_names(graph)}
    columns = find_columns(graph)
    sdsa = {}
    for name, column in columns.items():
        reasons = obstacles(graph, column)
        sdsa[name] = str(rng.choice([way for way in WAYS if not reasons[way]]))
    forced = forced_relays(graph)
    return {n: "relay" if n in forced else way for n, way in shortcut.items()}, sdsa


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


@pytest.mark.parametrize("downsampling", DOWNSAMPLINGS)
def test_unrolled_streams_send_binary_spikes_only(downsampling):
    graph = random_sdt_graph(
        np.random.default_rng(1), image=(2, 5, 4), channels=4, blocks=2, downsampling=downsampling
    )
    compiled = compile_network(graph, shortcut="unrolled")
    # A maximum over currents and a mean that is rounded have to be sent as numbers.
    # So is a stream with a branch that rounds its sums, before the mean adds them up.
    allowed = {"patch.pool"} if downsampling == "max" else set()
    allowed |= set(forced_relays(graph))
    if graph.nodes["head.mean"].shift and not forced_relays(graph):
        allowed.add("head.mean")
    assert set(graded(compiled)) == allowed
    rounds = np.min(graph.nodes["patch.conv0"].exponent) < 0
    assert bool(forced_relays(graph)) == (downsampling == "subsample" and rounds)
    usual = compile_network(graph)
    assert len(graded(usual)) >= len(stream_names(graph))
    assert compiled.schedule.depth < usual.schedule.depth
    assert_same(graph, compiled)


def test_every_producer_reaches_every_later_reader():
    graph = random_sdt_graph(np.random.default_rng(2), channels=3, blocks=3, downsampling="none")
    compiled = compile_network(graph, shortcut="unrolled", convolutions="conv")
    producers = ["patch.conv1", "patch.rpe_conv"]
    for block in range(3):
        for part, reader, producer in (
            ("attn", "lif", "proj_conv"),
            ("mlp", "fc1_lif", "fc2_conv"),
        ):
            name = f"block.{block}.{part}.{reader}"
            origins = {
                compiled.graph.nodes[c].origin or c for c in compiled.graph.nodes[name].inputs
            }
            assert origins == set(producers), name
            producers.append(f"block.{block}.{part}.{producer}")


def test_a_deep_unrolled_stack_splits_its_delays():
    graph = random_sdt_graph(
        np.random.default_rng(4), image=(1, 2, 2), channels=2, blocks=11, timesteps=2,
        downsampling="none", mlp_ratio=1,
    )  # fmt: skip
    compiled = compile_network(graph, shortcut="unrolled")
    assert max(compiled.schedule.delay.values()) <= 62
    assert compiled.splits and {split.kind for split in compiled.splits} == {"gate"}
    assert all(split.delay > 62 and len(split.through) >= 1 for split in compiled.splits)
    for split in compiled.splits:
        assert str(split) in compiled.notes
        assert all(isinstance(compiled.graph.nodes[name], Gate) for name in split.through)
    run = assert_same(graph, compiled)
    assert all(run.events[name].any() for split in compiled.splits for name in split.through)


def test_streams_are_chosen_by_name():
    graph = random_sdt_graph(np.random.default_rng(4), image=(2, 4, 4), channels=3, blocks=2)
    names = stream_names(graph)
    for name in names:
        compiled = compile_network(graph, shortcut={name: "unrolled"})
        assert compiled.lowering.shortcut == {
            other: "unrolled" if other == name else "relay" for other in names
        }
        relays = {node.origin for node in compiled.graph.of_type(Relay)}
        assert name not in relays and set(names) - {name} <= relays
        assert_same(graph, compiled)


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


# -- what lies between a producer and a reader ---------------------------------------------------


def summed_graph(rng, image=(2, 5, 4), channels=3, shift=0, stride=2, timesteps=3):
    """A stream that is subsampled twice and averaged, with a producer that arrives twice."""
    maker = GraphMaker(rng)
    frame = maker.input(image, 0, 255)
    spikes = maker.lif("lif0", maker.conv("conv0", frame, channels, padding=(1, 1)))
    first = maker.conv("conv1", spikes, channels, padding=(1, 1), exponent=2)
    second = maker.conv("conv2", spikes, channels, (1, 1))
    both = maker.shortcut("both", first, second)
    twice = maker.shortcut("twice", both, first)
    kept = maker.add(Subsample(name="kept", inputs=(twice,), stride=stride), maker.power[twice])
    again = maker.add(Subsample(name="again", inputs=(kept,), stride=2), maker.power[kept])
    maker.lif("reads_both", both)
    maker.lif("reads_twice", twice)
    maker.lif("reads_kept", kept)
    maker.lif("reads_again", again)
    for name, source in (("mean", twice), ("kept_mean", kept)):
        mean = TokenMean(name=name, inputs=(source,), shift=shift)
        maker.lif(f"reads_{name}", maker.add(mean, maker.power[source] * 20 / 4**shift))
    return maker.graph(timesteps)


def dead_ends_joined(graph):
    """Give a network of many readers one output, so that it has a result."""
    rng = np.random.default_rng(0)
    ends = [n for n in graph.lif_names if not graph.consumers[n]]
    synapses = []
    for name in ends:
        size = int(np.prod(graph.shapes[name]))
        weight = 2 * rng.integers(-40, 41, (2, size))
        synapses.append(Dense(name=f"to_end.{name}", inputs=(name,), weight=weight))
    total = Shortcut(name="ends", inputs=tuple(node.name for node in synapses))
    end = Lif(name="end", inputs=("ends",), threshold=100)
    return graph.rebuild([*graph, *synapses, total, end])


@pytest.mark.parametrize("shift", [0, 3, 6, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_selections_means_and_repeated_producers(shift, stride):
    graph = dead_ends_joined(summed_graph(np.random.default_rng(shift), shift=shift, stride=stride))
    forced = forced_relays(graph)
    assert set(forced) == ({"twice"} if shift > 6 else set())
    compiled = compile_network(graph, shortcut="unrolled")
    run = assert_same(graph, compiled, batch=3)
    for name in ("reads_twice", "reads_kept", "reads_again", "reads_mean", "reads_kept_mean"):
        assert run.outputs[name].any(), name
    means = [name for name in ("mean", "kept_mean") if name in compiled.graph.nodes]
    assert means == (["mean", "kept_mean"] if 0 < shift <= 6 else [])
    assert any("twice stays a relay" in note for note in compiled.notes) == (shift > 6)
    rng = np.random.default_rng(stride)
    for _ in range(3):
        assert_same(graph, compile_network(graph, shortcut=random_ways(rng, graph)[0]))


def test_a_stream_that_must_be_a_relay_is_refused_by_name_and_kept_by_all():
    graph = dead_ends_joined(summed_graph(np.random.default_rng(0), shift=7))
    with pytest.raises(CompileError, match="shortcut of 'twice'.*7 bits"):
        compile_network(graph, shortcut={"twice": "unrolled"})
    assert compile_network(graph, shortcut="unrolled").lowering.shortcut["twice"] == "relay"


def test_a_sum_over_tokens_that_is_too_large_keeps_a_relay(monkeypatch):
    graph = random_sdt_graph(np.random.default_rng(6), image=(2, 6, 4), channels=3)
    monkeypatch.setattr(streams, "TOKEN_SUM_LIMIT", 100)
    assert "synapses, more than 100" in forced_relays(graph)["block.0.mlp.shortcut"]
    compiled = compile_network(graph, shortcut="unrolled")
    assert "block.0.mlp.shortcut" in graded(compiled)
    assert_same(graph, compiled)


def test_channels_with_exponents_of_their_own():
    rng = np.random.default_rng(7)
    graph = random_sdt_graph(rng, image=(2, 5, 5), channels=4, downsampling="subsample")
    nodes = [
        replace(node, exponent=rng.integers(0, 3, len(node.weight)))
        if isinstance(node, Conv) and node.name.endswith(("conv1", "rpe_conv", "proj_conv"))
        else node
        for node in graph
    ]
    graph = graph.rebuild(nodes)
    for convolutions in ("conv", "sparse"):
        assert_same(graph, compile_network(graph, shortcut="unrolled", convolutions=convolutions))


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 999),
    largest=st.sampled_from([1, 2, 127, 128, 254, 256, 508, 5000]),
    step=st.sampled_from([1, 2]),
)
def test_split_weights_add_up(seed, largest, step):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-largest, largest + 1, (4, 6)) // step * step
    whole = csr_matrix(matrix)
    whole.data[:1] = 0  # a synapse whose weights cancelled out
    parts = split_weights(whole)
    assert np.array_equal(sum(part.toarray() for part in parts), whole.toarray())
    assert parts[0].nnz == whole.nnz
    for part in parts:
        assert lava_weights(part.data) is not None
    if lava_weights(whole.data) is not None:
        assert len(parts) == 1


# -- columns -------------------------------------------------------------------------------------


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


# -- auto ----------------------------------------------------------------------------------------


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


def test_copies_share_their_weights():
    graph = random_sdt_graph(np.random.default_rng(18), image=(2, 4, 4), channels=4, blocks=2)
    compiled = compile_network(graph, shortcut="unrolled")
    copies = [n for n in compiled.graph.of_type(Sparse) if n.origin == "patch.conv1"]
    plain = [n for n in copies if n.shape == graph.shapes["patch.conv1"]]
    assert len(plain) == 5 and len({id(node.weight) for node in plain}) == 1
