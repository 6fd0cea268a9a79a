"""One way to run the engine: what a request asks for, and what its result holds."""

from __future__ import annotations

import numpy as np
import pytest

from sdt_lava.engine import Engine, EngineOptions, RunRequest
from sdt_lava.ir.reference import run_reference
from tests.graphs import random_chain, random_frames, random_sdt_graph


@pytest.mark.parametrize("kernels", ["auto", "interpreter"])
def test_names_alone_are_a_request(kernels):
    rng = np.random.default_rng(0)
    graph = random_sdt_graph(rng)
    frames = random_frames(rng, graph, batch=3)
    expected = run_reference(graph, frames, strict=False)
    engine = Engine(graph, strict=False, options=EngineOptions(kernels=kernels, batch_size=2))
    assert list(engine.run(frames)) == list(graph.order)
    names = graph.lif_names[::-1]
    for want in (names, RunRequest(names), RunRequest(iter(names))):
        found = engine.run(frames, want)
        # In the order of the network, whatever the order of the request.
        assert list(found) == list(graph.lif_names) and len(found) == len(names)
        for name in names:
            assert np.array_equal(found[name], expected[name]) and found[name] is found[name]
    assert dict(engine.run(frames, ())) == {}


def test_a_part_of_a_result_stands_alone():
    rng = np.random.default_rng(1)
    graph = random_sdt_graph(rng)
    frames = random_frames(rng, graph, batch=2)
    expected = run_reference(graph, frames, strict=False)
    found = Engine(graph, strict=False).run(frames)
    first, second, *_ = graph.lif_names
    assert found[first] is found.only([first, second])[first]
    part = found.only([first, second])
    assert list(part) == [first, second]
    assert np.array_equal(part[second], expected[second])
    assert np.array_equal(found[second], expected[second])


def test_what_is_no_spike_ends_a_run_on_raw_input():
    rng = np.random.default_rng(3)
    graph = random_chain(rng, high=1)
    values = random_frames(rng, graph, batch=6).astype(np.float32)
    names = (graph.output_name, graph.input.name)
    engine, done = Engine(graph, strict=False, options=EngineOptions(batch_size=2)), []
    request = RunRequest(names, is_raw=True, on_batch=done.append)
    assert engine.can_pack(values, request)
    found = engine.run(values, request)
    expected = run_reference(graph, values.astype(np.int64), strict=False)
    assert found.is_binary and done == [2, 4, 6]
    assert all(np.array_equal(found[name], expected[name]) for name in names)
    values[0, 3] = 0.5
    done.clear()
    assert not engine.run(values, request).is_binary and done == [2]
    # Without the input among what is wanted, nothing would pack it.
    assert not engine.can_pack(values, RunRequest((graph.output_name,)))
    assert not engine.can_pack(values.astype(np.float16), request)
