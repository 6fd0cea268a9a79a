"""Memory, threads and other options: what they decide, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import sdt_lava
from sdt_lava.engine import Engine, EngineOptions, RunRequest
from sdt_lava.engine.dense import DENSE_KERNELS
from sdt_lava.engine.options import DENSE_KERNELS as NAMES
from sdt_lava.engine.options import parse_memory
from sdt_lava.errors import ConfigError
from tests.graphs import random_frames, random_sdt_graph


def sizes(graph, frames, **options):
    engine = Engine(graph, tracked=False, options=EngineOptions(**options))
    ends: list[int] = []
    engine.run(frames, RunRequest((graph.output_name,), on_batch=ends.append))
    return np.diff([0, *ends]).tolist()


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 2**32), ("4 gb", 4 * 10**9), ("1.5Mi", 3 * 2**19), ("100", 100), (7, 7)],
)
def test_sizes_of_memory(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "many", "4 gigs", "-1", "4GiB4"])
def test_what_is_no_size_of_memory(text):
    with pytest.raises(ConfigError, match="4GiB"):
        parse_memory(text)


@pytest.mark.parametrize(
    "options",
    [{"memory": 0}, {"threads": 0}, {"batch_size": 0}, {"kernels": "fast"}, {"device": "tpu"}],
)
def test_bad_options_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        EngineOptions(**options)


def needs_memory(kernels):
    """Return a network, frames, and the bytes that 1, 2, 3 and 4 samples take."""
    rng = np.random.default_rng(0)
    graph = random_sdt_graph(rng, image=(2, 16, 16), channels=64)
    frames = random_frames(rng, graph, batch=8)
    engine = Engine(graph, tracked=False, options=EngineOptions(kernels=kernels))
    names = (graph.output_name,)
    return graph, frames, [engine.bytes_needed(frames[:, :size], names) for size in (1, 2, 3, 4)]


@pytest.mark.parametrize("kernels", ["auto", "interpreter"])
def test_memory_decides_the_batch(kernels):
    graph, frames, needed = needs_memory(kernels)
    assert sizes(graph, frames, kernels=kernels) == [8]
    assert sizes(graph, frames, kernels=kernels, batch_size=3) == [3, 3, 2]
    assert needed == sorted(set(needed))
    assert sizes(graph, frames, kernels=kernels, memory=needed[1]) == [2] * 4
    assert sizes(graph, frames, kernels=kernels, memory=needed[2] - 1) == [2] * 4
    assert sizes(graph, frames, kernels=kernels, memory=needed[3]) == [4] * 2


def test_memory_that_one_sample_does_not_fit_in():
    """Kernels know what they need and refuse; the interpreter, which estimates, goes on."""
    graph, frames, needed = needs_memory("auto")
    with pytest.raises(ConfigError, match="one sample"):
        sizes(graph, frames, memory=needed[0] - 1)
    graph, frames, needed = needs_memory("interpreter")
    assert sizes(graph, frames, kernels="interpreter", memory=needed[0] - 1) == [1] * 8


def test_options_of_simulate():
    rng = np.random.default_rng(1)
    graph = random_sdt_graph(rng)
    x = np.swapaxes(random_frames(rng, graph, batch=4), 0, 1) / graph.input.scale
    done = []
    expected = sdt_lava.simulate(graph, x, on_progress=lambda *pair: done.append(pair))
    found = sdt_lava.simulate(graph, x, memory="1GiB", threads=1, device="cpu", batch_size=3)
    assert done == [(4, 4)]
    assert np.array_equal(expected.logits, found.logits)
    for option, value in (("memory", "1GiB"), ("threads", 2), ("device", "cpu")):
        with pytest.raises(ConfigError, match=option):
            sdt_lava.simulate(graph, x, "reference", **{option: value})


def test_names_of_dense_kernels():
    assert tuple(DENSE_KERNELS) == NAMES
