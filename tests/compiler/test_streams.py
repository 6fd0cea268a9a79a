"""Streams that are unrolled: what lies between a producer and a reader."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdt_lava.backends.deployment import compile_network
from sdt_lava.compiler import streams
from sdt_lava.compiler.streams import forced_relays, stream_names
from sdt_lava.errors import CompileError
from sdt_lava.ir import (
    Conv,
    Dense,
    Gate,
    Lif,
    Relay,
    Shortcut,
    Sparse,
    Subsample,
    TokenMean,
)
from tests.compiler.lowerings import DOWNSAMPLINGS, assert_same, graded, random_ways
from tests.graphs import GraphMaker, random_sdt_graph


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


def test_copies_share_their_weights():
    graph = random_sdt_graph(np.random.default_rng(18), image=(2, 4, 4), channels=4, blocks=2)
    compiled = compile_network(graph, shortcut="unrolled")
    copies = [n for n in compiled.graph.of_type(Sparse) if n.origin == "patch.conv1"]
    plain = [n for n in copies if n.shape == graph.shapes["patch.conv1"]]
    assert len(plain) == 5 and len({id(node.weight) for node in plain}) == 1
