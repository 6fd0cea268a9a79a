"""Back end 'machine': what Lava computes, without Lava and torch."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

import sdt_lava
from sdt_lava.backends.board import HardwareOptions
from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.machine.run import run_machine, suitable_lanes
from sdt_lava.backends.result import spike_differences
from sdt_lava.compiler.compile import CONVOLUTIONS
from sdt_lava.errors import ConfigError, NumericOverflowError
from sdt_lava.ir import Conv, Dense, Graph, GroupSum, Input, Lif, Sparse
from sdt_lava.ir.reference import evaluate
from sdt_lava.ir.weighted_sums import magnitude, weighted_sums
from tests.cuba_graphs import random_cuba_chain
from tests.graphs import random_chain, random_frames, random_sdt_graph, random_window
from tests.overflow_graphs import random_overflow_frames, random_overflow_graph
from tests.sigma_delta_graphs import random_sigma_delta_chain
from tests.without import run_without

NETWORKS = {
    "transformer": lambda rng: random_sdt_graph(rng, image=(2, 5, 3), channels=4, blocks=2),
    "max-pool": lambda rng: random_sdt_graph(
        rng, image=(2, 5, 4), channels=2, downsampling="max", timesteps=2
    ),
    "subsampled": lambda rng: random_sdt_graph(
        rng, image=(2, 6, 5), channels=3, downsampling="subsample"
    ),
    "dilations": lambda rng: random_sdt_graph(rng, image=(2, 4, 3), channels=4, dilation_heads=2),
    "one step": lambda rng: random_sdt_graph(
        rng, image=(2, 3, 3), channels=3, downsampling="none", timesteps=1
    ),
    "chain": random_chain,
    "recurrence and delays": lambda rng: random_cuba_chain(rng, delay=3, shift=1),
    "sigma-delta": random_sigma_delta_chain,
}
CHOICES = (
    {},
    {"shortcut": "unrolled"},
    {"shortcut": "auto", "sdsa": "auto"},
    {"sdsa": "columnless"},
    {"sdsa": "column-gate"},
)


def as_input(graph, frames):
    return np.swapaxes(frames, 0, 1) / graph.input.scale


def network_and_input(name, seed=0, samples=3):
    rng = np.random.default_rng(seed)
    graph = NETWORKS[name](rng)
    return graph, as_input(graph, random_frames(rng, graph, batch=samples))


def assert_same(left, right):
    assert set(left.sent) == set(right.sent)
    assert spike_differences(left, right) == 0
    assert np.array_equal(left.logits, right.logits)
    assert set(left.membranes) == set(right.membranes)
    for name, values in left.membranes.items():
        assert np.array_equal(values, right.membranes[name])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("network", NETWORKS)
def test_every_layer_and_step_is_the_references_and_the_engines(network, seed):
    graph, x = network_and_input(network, seed)
    reset = seed != 3
    options = {"strict": False, "reset": reset}
    expected = sdt_lava.simulate(graph, x, "reference", **options)
    engine = sdt_lava.simulate(graph, x, "engine", **options)
    found = sdt_lava.simulate(graph, x, "machine", batch_size=(None, 1, 2)[seed % 3], **options)
    assert_same(found, expected)
    assert_same(found, engine)
    assert sum(int(np.count_nonzero(sent)) for sent in found.sent.values()) > 0
    assert found.compiled is not None and found.backend == "machine"
    assert found.timing.steps == found.compiled.schedule.machine_steps(len(x))


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("network", list(NETWORKS)[:4])
def test_every_lowering(network, choice):
    graph, x = network_and_input(network, 1)
    expected = sdt_lava.simulate(graph, x, "reference")
    for reset in (True, False):
        expected = sdt_lava.simulate(graph, x, "reference", reset=reset)
        assert_same(sdt_lava.simulate(graph, x, "machine", reset=reset, **choice), expected)


@pytest.mark.parametrize("convolutions", CONVOLUTIONS)
@pytest.mark.parametrize("target", ["lava-cpu", "loihi2", "loihi1"])
def test_every_target_and_choice_of_convolutions(target, convolutions):
    rng = np.random.default_rng(5)
    graph = random_sdt_graph(rng, image=(2, 4, 3), channels=2, downsampling="or")
    x = as_input(graph, random_frames(rng, graph, batch=2))
    hardware = HardwareOptions(target, convolutions=convolutions)
    found = sdt_lava.simulate(graph, x, "machine", hardware=hardware)
    assert found.compiled.target.name == target
    kinds = {node.kind for node in found.compiled.graph}
    assert ("conv" in kinds) == (convolutions == "conv")
    expected = sdt_lava.simulate(graph, x, "reference")
    assert_same(found, expected)
    # Without graded spikes the host reads membranes.
    assert found.compiled.lowering.membranes == (target == "loihi1")
    assert expected.logits.any()
    stream = sdt_lava.simulate(graph, x, "reference", reset=False)
    assert_same(sdt_lava.simulate(graph, x, "machine", hardware=hardware, reset=False), stream)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_values_that_do_not_fit_wrap_or_raise_as_in_the_reference(seed, reset):
    rng = np.random.default_rng(seed)
    graph = random_overflow_graph(rng, layers=2)
    x = np.swapaxes(random_overflow_frames(rng, graph, 2), 0, 1)
    expected = sdt_lava.simulate(graph, x, "reference", strict=False, reset=reset)
    assert_same(sdt_lava.simulate(graph, x, "machine", strict=False, reset=reset), expected)
    said = []
    for backend in ("reference", "machine"):
        try:
            sdt_lava.simulate(graph, x, backend, reset=reset)
            said.append("")
        except NumericOverflowError as error:
            said.append(str(error))
    assert said[0] == said[1]


@pytest.mark.parametrize("network", ["transformer", "recurrence and delays", "sigma-delta"])
def test_lanes_and_chunks_do_not_matter(network):
    graph, x = network_and_input(network, 2, samples=5)
    frames = sdt_lava.simulate(graph, x, "reference", strict=False).frames
    compiled = compile_network(graph, timesteps=len(frames))
    expected = run_machine(compiled, frames)
    for lanes, chunk in ((1, 1), (1, 7), (2, None), (3, 1), (4, 5), (5, 3), (9, 1000)):
        found = run_machine(compiled, frames, lanes=lanes, chunk=chunk)
        assert set(found.outputs) == set(expected.outputs)
        for name, values in expected.outputs.items():
            assert np.array_equal(found.outputs[name], values), (name, lanes, chunk)
        if lanes == 1:
            for name, counts in expected.events.items():
                assert np.array_equal(found.events[name], counts), (name, chunk)
    assert any(np.count_nonzero(values) for values in expected.outputs.values())


def test_a_stream_has_one_lane():
    graph, x = network_and_input("chain")
    compiled = compile_network(graph, reset=False)
    frames = sdt_lava.simulate(graph, x, "reference").frames
    with pytest.raises(ConfigError, match="lanes.*one continuous stream"):
        run_machine(compiled, frames, lanes=2)
    expected = sdt_lava.simulate(graph, x, "reference", reset=False)
    assert_same(sdt_lava.simulate(graph, x, "machine", reset=False, batch_size=2), expected)


def test_small_networks_have_several_lanes():
    small, large = (
        Graph.build([Input(name="x", shape=(size,), high=1)], 1) for size in (100, 10**6)
    )
    assert suitable_lanes(small, 1000) > 100
    assert suitable_lanes(small, 3) == 3
    assert suitable_lanes(large, 1000) == 1


def test_progress_and_counts():
    graph, x = network_and_input("transformer", samples=7)
    done = []
    result = sdt_lava.simulate(
        graph, x, "machine", count=True, on_progress=lambda *said: done.append(said)
    )
    assert done[-1] == (7, 7) and done == sorted(done)
    expected = sdt_lava.simulate(graph, x, "engine", count=True)
    for row, other in zip(result.counts.layers, expected.counts.layers, strict=True):
        assert row.name == other.name and np.array_equal(row.events, other.events)
    assert result.counts.synops == expected.counts.synops == result.compiled_counts.synops


def test_group_sums_and_membranes():
    rng = np.random.default_rng(3)
    dense = Dense(name="d", inputs=("x",), weight=2 * rng.integers(-60, 60, (6, 5)))
    entry = Input(name="x", shape=(5,), high=1)
    x = rng.integers(0, 2, (4, 3, 5))
    groups = GroupSum(name="groups", inputs=("lif",), groups=3)
    fires = Graph.build([entry, dense, Lif(name="lif", inputs=("d",), threshold=40), groups], 3)
    never = Graph.build([entry, dense, Lif(name="lif", inputs=("d",), threshold=2**17 - 1)], 3)
    for graph in (fires, never):
        expected = sdt_lava.simulate(graph, x, "reference")
        found = sdt_lava.simulate(graph, x, "machine")
        assert_same(found, expected)
        assert found.logits.any() and found.is_membrane == (graph is never)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 255, 2**15, 2**23]))
def test_sums_are_the_references(seed, high):
    rng = np.random.default_rng(seed)
    shape = tuple(int(side) for side in rng.integers(1, 6, 3))
    low = -high if high > 1 and rng.random() < 0.5 else 0
    events = rng.integers(low, high + 1, (3, 2, *shape))
    wide = 2 ** int(rng.integers(1, 9))
    size = int(np.prod(shape))
    flat = events.reshape(3, 2, -1)
    matrix = rng.integers(-wide, wide, (4, size)) * (rng.random((4, size)) < 0.6)
    exponent = int(rng.integers(-8, 8))
    window = random_window(rng, shape, 2)
    kernel = (2, shape[0] // window["groups"], *window.pop("kernel"))
    kernels = rng.integers(-wide, wide, kernel)
    conv = Conv(name="c", inputs=("x",), weight=kernels, exponent=exponent, **window)
    grouped = Conv(
        name="g", inputs=("x",), weight=rng.integers(-9, 9, (2 * shape[0], 1, 2, 2)),
        groups=shape[0], padding=(1, 1),
    )  # fmt: skip
    dense = Dense(name="d", inputs=("x",), weight=matrix, exponent=exponent)
    sparse = Sparse(
        name="s", inputs=("x",), weight=csr_matrix(matrix.astype(np.int32)), shape=(4,),
        role="synapse", exponent=exponent,
    )  # fmt: skip
    for node, sent in ((conv, events), (grouped, events), (dense, flat), (sparse, flat)):
        expected = evaluate(node, [sent])
        found = weighted_sums(node, sent, magnitude(node))
        assert np.array_equal(found, expected), node


def test_sums_too_large_for_floats_are_exact():
    weight = np.array([[255, 254, 1]])
    dense = Dense(name="d", inputs=("x",), weight=weight)
    sent = np.array([[[2**45 + 1, 2**45 - 1, 1]]])
    assert magnitude(dense) * sent.max() > 2**53
    assert np.array_equal(weighted_sums(dense, sent, magnitude(dense)), evaluate(dense, [sent]))


def test_memory_does_not_grow_with_the_number_of_steps():
    """Two hundred times the samples in the same chunks, of which only the output is kept."""
    graph, x = network_and_input("transformer", samples=1)
    frames = sdt_lava.simulate(graph, x, "reference").frames
    compiled = compile_network(graph)
    peaks = []
    for samples in (2, 200):
        many = np.broadcast_to(frames, (frames.shape[0], samples, *frames.shape[2:]))
        run_machine(compiled, many[:, :1], chunk=4)
        tracemalloc.start()
        run_machine(compiled, many, names=[compiled.output_name], chunk=4)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 100_000


def test_a_wrong_schedule_gives_other_spikes():
    """The back end has the delays of the schedule, not those that would be right."""
    graph, x = network_and_input("transformer")
    frames = sdt_lava.simulate(graph, x, "reference").frames
    compiled = compile_network(graph)
    schedule = compiled.schedule
    waits = next(name for name, delay in schedule.delay.items() if delay)
    wrong = replace(schedule, delay={**schedule.delay, waits: 0})
    right = run_machine(compiled, frames, lanes=3).outputs
    found = run_machine(replace(compiled, schedule=wrong), frames, lanes=3).outputs
    assert any(not np.array_equal(found[name], right[name]) for name in graph.lif_names)


@pytest.mark.lava
@pytest.mark.parametrize("network", ["transformer", "max-pool", "dilations", "chain"])
def test_lava_computes_the_same(network):
    for seed, reset in ((7, True), (8, False)):
        graph, x = network_and_input(network, seed)
        options = {"strict": False, "reset": reset}
        expected = sdt_lava.simulate(graph, x, "lava-inprocess", models="lava", **options)
        assert_same(sdt_lava.simulate(graph, x, "machine", **options), expected)


PROGRAM = """
import json, sys
import numpy as np
import sdt_lava

net = sdt_lava.load_network(sys.argv[1])
x = np.load(sys.argv[2])
found = sdt_lava.simulate(net, x, "machine", count=True)
print(json.dumps({
    "logits": found.logits.tolist(), "synops": found.synops.total,
    "membranes": sorted(found.membranes), "latency": found.timing.latency,
    "loaded": sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "lava"}),
}))
"""


def test_neither_lava_nor_torch_is_needed(tmp_path):
    rng = np.random.default_rng(0)
    graph = random_sdt_graph(rng, image=(2, 5, 3), channels=4)
    x = as_input(graph, random_frames(rng, graph, batch=2))
    sdt_lava.save_network(graph, tmp_path / "net.h5")
    np.save(tmp_path / "x.npy", x)
    done = run_without(("torch", "lava"), PROGRAM, tmp_path / "net.h5", tmp_path / "x.npy")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = sdt_lava.simulate(graph, x, "reference")
    assert found["logits"] == expected.logits.tolist()
    assert found["synops"] == expected.synops.total
    assert found["loaded"] == []
