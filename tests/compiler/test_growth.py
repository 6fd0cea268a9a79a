"""Networks whose forms could grow without bound, and deep or wide ones.

Every test here would take minutes, or exceed Python's recursion, if work grew faster than the file.
"""

from __future__ import annotations

import numpy as np
import pytest

import sdt_lava
from sdt_lava.backends.deployment import compile_network
from sdt_lava.compiler.choose import SEARCHED_NODES, choose_lowering
from sdt_lava.compiler.lowering import lower
from sdt_lava.compiler.passes.lower_shortcuts import TooManyConnectionsError
from sdt_lava.compiler.schedule import LONGEST_PATH, make_schedule
from sdt_lava.compiler.streams import RELAY
from sdt_lava.compiler.terms import Terms
from sdt_lava.errors import CompileError
from sdt_lava.hardware.targets import load_target
from sdt_lava.io.limits import allowing
from sdt_lava.ir import (
    Conv,
    Flatten,
    Graph,
    Input,
    Lif,
    MaxPool,
    Readout,
    Shortcut,
    Subsample,
    TokenMean,
)
from sdt_lava.ir.bounds import bound_extremes
from sdt_lava.report.lowerings import compare_lowerings

DEPTH = 1500


def ones():
    return np.full((1, 1, 1, 1), 2, np.int32)


def start():
    return [
        Input(name="input", shape=(1, 1, 1)),
        Conv(name="c", inputs=("input",), weight=ones()),
    ]


def end(stream):
    return Lif(name="end", inputs=(stream,), threshold=1)


def doublings(count):
    """s[i+1] = s[i] + every position of s[i]."""
    nodes, stream = start(), "c"
    for i in range(count):
        nodes.append(Subsample(name=f"x{i}", inputs=(stream,), stride=1))
        nodes.append(Shortcut(name=f"s{i}", inputs=(stream, f"x{i}")))
        stream = f"s{i}"
    return Graph.build([*nodes, end(stream)], 2)


def residual(count, *, read=True):
    """A stream to which as many branches add, which neurons read in between or only in the end."""
    nodes, stream = start(), "c"
    for i in range(count):
        source = stream if read else "c"
        nodes.append(Lif(name=f"l{i}", inputs=(source,), threshold=1))
        nodes.append(Conv(name=f"b{i}", inputs=(f"l{i}",), weight=ones()))
        nodes.append(Shortcut(name=f"s{i}", inputs=(stream, f"b{i}")))
        stream = f"s{i}"
    return Graph.build([*nodes, end(stream)], 2)


def layers(count, *, skips=False):
    """A chain of layers; with skips, the last neurons read all of them."""
    nodes, last, read = [Input(name="input", shape=(1, 1, 1))], "input", []
    for i in range(count):
        nodes.append(Conv(name=f"c{i}", inputs=(last,), weight=ones()))
        nodes.append(Lif(name=f"l{i}", inputs=(f"c{i}",), threshold=1))
        last = f"l{i}"
        if skips:
            nodes.append(Conv(name=f"d{i}", inputs=(last,), weight=ones()))
            read.append(f"d{i}")
    return Graph.build(
        [*nodes, Lif(name="end", inputs=tuple(read), threshold=1)] if skips else nodes, 2
    )


def single(kind, count, **fields):
    """A chain of selections, poolings or the like of one current."""
    nodes, last = start(), "c"
    for i in range(count):
        nodes.append(kind(name=f"x{i}", inputs=(last,), **fields))
        last = f"x{i}"
    return Graph.build([*nodes, end(last)], 2)


@pytest.mark.parametrize("count", [20, 64, 400])
def test_doublings_are_counted_and_refused(count):
    graph = doublings(count)
    assert Terms(graph, ()).count(f"s{count - 1}") == 2**count
    with pytest.raises(TooManyConnectionsError, match="unrolled-connections") as caught:
        compile_network(graph, shortcut="unrolled")
    assert isinstance(caught.value, CompileError)
    # A target without relays has no other way.
    with pytest.raises(TooManyConnectionsError):
        compile_network(graph, "loihi1")
    comparison = compare_lowerings(graph)
    assert set(comparison.skipped) == {"unrolled"} and "16384" in comparison.skipped["unrolled"]
    assert {row.shortcut for row in comparison.rows} == {"relay", "auto"}
    assert comparison.to_dict()["skipped"] == comparison.skipped
    with pytest.raises(KeyError):
        comparison.row("unrolled", "and")
    x = np.ones((1, 1, 1, 1), np.float32)
    with pytest.raises(CompileError):
        sdt_lava.simulate(graph, x, "reference", shortcut="unrolled")


def test_few_doublings_are_the_same_unrolled():
    graph, x = doublings(6), np.ones((2, 1, 1, 1), np.float32)
    compiled = compile_network(graph, shortcut="unrolled")
    assert len(compiled.graph.nodes["end"].inputs) == 2**6
    assert len(set(compiled.graph.nodes["end"].inputs)) == 2**6
    expected = sdt_lava.simulate(graph, x)
    for way in ("relay", "unrolled", "auto"):
        found = sdt_lava.simulate(graph, x, "engine", shortcut=way)
        assert np.array_equal(found.spikes["end"], expected.spikes["end"])


def test_the_limit_of_connections_is_an_option():
    graph = doublings(6)
    with allowing(unrolled_connections=20), pytest.raises(TooManyConnectionsError):
        compile_network(graph, shortcut="unrolled")
    # Relays are not limited, however many the network has.
    with allowing(unrolled_connections=1):
        compile_network(residual(30), shortcut="relay")


def test_the_search_ends_in_a_network_of_very_many_streams():
    graph = residual(1000)
    lowering = choose_lowering(graph, load_target("lava-cpu"), "auto")
    assert len(lowering.shortcut) == 1000
    assert set(lowering.shortcut.values()) >= {RELAY}
    assert len(graph) * len(lowering.shortcut) > 10 * SEARCHED_NODES


DEEP = {
    "layers": lambda: layers(DEPTH),
    "skips": lambda: layers(DEPTH // 3, skips=True),
    "streams": lambda: residual(DEPTH // 2),
    "one long sum": lambda: residual(DEPTH // 2, read=False),
    "selections": lambda: single(Subsample, DEPTH, stride=1),
    "pools": lambda: single(MaxPool, DEPTH // 3, kernel=1, stride=1, padding=0),
}


@pytest.mark.parametrize("name", DEEP)
def test_depth_is_no_recursion_depth(name):
    graph = DEEP[name]()
    x = np.ones((1, 1, 1, 1), np.float32)
    assert len(graph.order) == len(graph)
    bound_extremes(graph)
    result, slow = sdt_lava.simulate(graph, x, count=True), sdt_lava.simulate(graph, x, "reference")
    assert np.array_equal(result.logits, slow.logits)
    compiled = compile_network(graph)
    assert str(compiled.schedule) and compiled.schedule.to_dict()
    found = sdt_lava.simulate(graph, x, "reference", shortcut="relay")
    assert np.array_equal(found.logits, slow.logits)


def test_very_long_paths_are_shown_in_part():
    schedule = make_schedule(lower(layers(2 * LONGEST_PATH, skips=True)))
    paths = [reason.longer_path for reason in schedule.delays]
    assert max(map(len, paths)) == LONGEST_PATH + 1
    assert all(path[-1] == "end" for path in paths)
    assert all((path[0] == "...") == (len(path) > LONGEST_PATH) for path in paths)


def test_means_of_one_long_stream():
    nodes, stream = start(), "c"
    for i in range(200):
        nodes.append(TokenMean(name=f"m{i}", inputs=(stream,), shift=0))
        nodes.append(Lif(name=f"l{i}", inputs=(f"m{i}",), threshold=1))
        nodes.append(Lif(name=f"k{i}", inputs=(stream,), threshold=1))
        nodes.append(Conv(name=f"b{i}", inputs=(f"k{i}",), weight=ones()))
        nodes.append(Shortcut(name=f"s{i}", inputs=(stream, f"b{i}")))
        stream = f"s{i}"
    nodes.append(end(stream))
    nodes.append(Flatten(name="flat", inputs=("end",)))
    nodes.append(Readout(name="head", inputs=("flat",), weight=np.full((2, 1), 2)))
    graph = Graph.build(nodes, 2)
    with pytest.raises(CompileError, match="unrolled"):
        compile_network(graph, shortcut="unrolled")
    assert len(compile_network(graph, "loihi2").core_map.layers) > 200
