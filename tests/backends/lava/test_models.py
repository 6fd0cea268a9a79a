"""Every choice of ProcessModels, in one process and in many: the same spikes as the reference."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sdt_lava
from sdt_lava.backends.lava.processes.fused.populations import group_class
from sdt_lava.backends.lava.processes.run_config import MODELS, run_config
from sdt_lava.backends.lava.run import run_lava
from sdt_lava.backends.result import spike_differences
from sdt_lava.compiler.compile import CONVOLUTIONS
from sdt_lava.errors import CompileError, ConfigError
from sdt_lava.ir import Conv, Dense, Graph, Input, Lif, Relay
from sdt_lava.ir.numerics import IntArray
from sdt_lava.ir.reference import run_reference
from tests.cuba_graphs import random_cuba_chain
from tests.graphs import random_chain, random_frames, random_sdt_graph

pytestmark = pytest.mark.lava

SEEDS = st.integers(0, 2**32 - 1)
LAVA_TIMEOUT = 120.0


def as_input(graph: Graph, frames: IntArray) -> np.ndarray:
    return np.swapaxes(frames, 0, 1) / graph.input.scale


def assert_models_agree(
    graph: Graph, frames: IntArray, models: tuple[str, ...], **compiling
) -> int:
    """Compare all observed populations with the reference; returns the number of spikes."""
    compiled = sdt_lava.compile(graph, timesteps=frames.shape[0], **compiling)
    expected = run_reference(compiled.graph, frames, strict=False)
    for name in models:
        outputs, ran = run_lava(compiled, frames, models=name, executor="in-process")
        assert (ran.executor, ran.models, ran.note) == ("in-process", name, "")
        for population in compiled.observed:
            assert np.array_equal(expected[population], outputs[population]), (name, population)
    return sum(int(np.count_nonzero(expected[name])) for name in compiled.observed)


@settings(max_examples=25, deadline=None)
@given(
    seed=SEEDS,
    sides=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    channels=st.integers(1, 5),
    timesteps=st.integers(1, 4),
    downsampling=st.sampled_from(["or", "max", "stride", "subsample", "none"]),
    heads=st.integers(0, 2),
    convolutions=st.sampled_from(CONVOLUTIONS),
    high=st.sampled_from([1, 255]),
)
def test_fused_transformers(
    seed, sides, channels, timesteps, downsampling, heads, convolutions, high
):
    rng = np.random.default_rng(seed)
    graph = random_sdt_graph(
        rng, image=(2, *sides), channels=channels * max(heads, 1), timesteps=timesteps,
        downsampling=downsampling, dilation_heads=heads, high=high,
    )  # fmt: skip
    frames = random_frames(rng, graph)
    assert_models_agree(graph, frames, ("fused",), convolutions=convolutions)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, convolutions=st.sampled_from(CONVOLUTIONS), high=st.sampled_from([1, 255]))
def test_fused_chains(seed, convolutions, high):
    """Random windows, groups, decays and steps."""
    rng = np.random.default_rng(seed)
    graph = random_chain(rng, timesteps=int(rng.integers(1, 6)), high=high)
    frames = random_frames(rng, graph)
    assert_models_agree(graph, frames, ("fused", "fused-blocks"), convolutions=convolutions)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, delay=st.integers(0, 7), recurrent=st.booleans(), shift=st.integers(-1, 2))
def test_recurrent_and_delayed_neurons(seed, delay, recurrent, shift):
    rng = np.random.default_rng(seed)
    graph = random_cuba_chain(rng, delay=delay, recurrent=recurrent, shift=shift)
    frames = random_frames(rng, graph, batch=3)
    assert_models_agree(graph, frames, ("accelerated", "fused"))


@pytest.mark.parametrize("convolutions", CONVOLUTIONS)
def test_all_models_on_one_network(convolutions):
    rng = np.random.default_rng(4)
    graph = random_sdt_graph(rng, image=(2, 6, 5), channels=4, blocks=2)
    frames = random_frames(rng, graph, batch=3)
    assert assert_models_agree(graph, frames, MODELS, convolutions=convolutions) > 100


@pytest.mark.parametrize(
    ("shortcut", "sdsa"),
    [("relay", "column-gate"), ("unrolled", "columnless"), ("unrolled", "and")],
)
def test_other_lowerings(shortcut, sdsa):
    rng = np.random.default_rng(5)
    graph = random_sdt_graph(rng, image=(2, 4, 4), channels=4, blocks=2)
    frames = random_frames(rng, graph, batch=2)
    models = ("accelerated", "fused", "fused-blocks")
    assert assert_models_agree(graph, frames, models, shortcut=shortcut, sdsa=sdsa) > 100


def test_weight_exponents_by_channel():
    rng = np.random.default_rng(6)
    graph = random_chain(rng, high=255)
    nodes = [
        replace(node, exponent=rng.integers(-8, 8, len(node.weight)))
        if isinstance(node, Conv | Dense)
        else node
        for node in graph
    ]
    frames = random_frames(rng, graph)
    assert_models_agree(graph.rebuild(nodes), frames, ("accelerated", "fused"))


@pytest.mark.parametrize("fill", ["zero", "saturated"])
def test_extreme_input(fill):
    rng = np.random.default_rng(7)
    graph = random_sdt_graph(rng, image=(2, 6, 6), channels=4)
    frames = random_frames(rng, graph, batch=3)
    frames[:] = graph.input.low if fill == "zero" else graph.input.high
    # A random sample between equal ones shows that nothing is carried from one to the next.
    frames[:, 1] = random_frames(rng, graph, batch=1)[:, 0]
    assert assert_models_agree(graph, frames, ("accelerated", "fused", "fused-blocks")) > 0


@pytest.mark.parametrize("models", MODELS)
@pytest.mark.parametrize("weight", [254, -254])
def test_overflow_wraps_as_in_the_reference(models, weight):
    entry = Input(name="x", shape=(3000,), low=0, high=1)
    dense = Dense(name="d", inputs=("x",), weight=np.full((2, 3000), weight), exponent=7)
    graph = Graph.build([entry, dense, Lif(name="a", inputs=("d",), threshold=9)], 3)
    assert_models_agree(graph, np.ones((3, 1, 3000), np.int64), (models,))


@pytest.mark.parametrize("models", ["accelerated", "fused"])
@pytest.mark.parametrize("payload", [1, 3, 200, 30_000, 2**23 - 1])
def test_a_convolution_that_leaves_24_or_32_bits_does_as_lavas(models, payload):
    """Lava's Conv wraps at 24 bit, which the reference's currents do not."""
    rng = np.random.default_rng(8)
    entry = Input(name="x", shape=(40, 5, 4), low=-payload, high=payload)
    weight = rng.integers(60, 128, (3, 40, 3, 3)) * 2
    conv = Conv(name="c", inputs=("x",), weight=weight, exponent=3, padding=(1, 1))
    lif = Lif(name="a", inputs=("c",), threshold=2000, voltage_decay=100)
    graph = Graph.build([entry, conv, lif], 3)
    compiled = sdt_lava.compile(graph, convolutions="conv")
    frames = rng.integers(-payload, payload + 1, (3, 2, *entry.shape))
    frames[:, 1] = payload
    expected, found = (
        run_lava(compiled, frames, models=name, executor="in-process")[0]
        for name in ("lava", models)
    )
    assert np.array_equal(expected["a"], found["a"])


def test_simulate_in_process_with_the_steps_of_the_data():
    rng = np.random.default_rng(9)
    graph = random_sdt_graph(rng, image=(2, 4, 4), channels=4, timesteps=4)
    x = as_input(graph, rng.integers(0, 256, (7, 2, *graph.input_shape)))
    engine = sdt_lava.simulate(graph, x, "engine")
    progress: list[tuple[int, int]] = []
    result = sdt_lava.simulate(
        graph, x, "lava-inprocess", timeout=60, on_progress=lambda *done: progress.append(done)
    )
    assert spike_differences(engine, result) == 0
    assert np.array_equal(engine.logits, result.logits)
    assert result.backend == "lava-inprocess"
    assert result.execution is not None and result.execution.models == "accelerated"
    assert progress[-1] == (result.timing.steps, result.timing.steps)
    assert result.timing.steps == result.compiled.schedule.machine_steps(2)
    assert "in one operating system process: compile" in str(result.execution)


@pytest.mark.parametrize("models", ["accelerated", "fused"])
def test_a_continuous_stream(models):
    rng = np.random.default_rng(10)
    graph = random_chain(rng, timesteps=3)
    x = as_input(graph, random_frames(rng, graph, batch=4))
    engine = sdt_lava.simulate(graph, x, "engine", reset=False)
    stream = sdt_lava.simulate(graph, x, "lava-inprocess", reset=False, models=models)
    assert spike_differences(engine, stream) == 0
    assert spike_differences(stream, sdt_lava.simulate(graph, x, "engine")) > 0


def test_models_that_do_not_exist_or_do_not_belong():
    graph = random_chain(np.random.default_rng(0))
    x = np.zeros((1, *graph.input_shape))
    with pytest.raises(ConfigError, match="'quick'.*one of"):
        sdt_lava.simulate(graph, x, "lava-inprocess", models="quick")
    with pytest.raises(ConfigError, match="'fused' for back end 'engine'"):
        sdt_lava.simulate(graph, x, "engine", models="fused")
    with pytest.raises(ConfigError, match="models"):
        run_config("")


def test_a_kind_without_a_fused_form_is_named():
    class Odd(Relay):
        kind = ""

    with pytest.raises(CompileError, match="'odd'.*no fused form.*accelerated"):
        group_class(Odd(name="odd", inputs=("x",)))


@pytest.mark.slow
@pytest.mark.parametrize("models", ["accelerated", "fused-blocks", "fused"])
def test_in_operating_system_processes_of_their_own(models):
    rng = np.random.default_rng(11)
    graph = random_sdt_graph(rng, image=(2, 5, 4), channels=4)
    x = as_input(graph, random_frames(rng, graph, batch=3))
    engine = sdt_lava.simulate(graph, x, "engine")
    result = sdt_lava.simulate(graph, x, "lava", models=models, timeout=LAVA_TIMEOUT)
    assert spike_differences(engine, result) == 0
    assert result.execution is not None
    assert (result.execution.executor, result.execution.models) == ("processes", models)
    blocks = {"fused": 1, "fused-blocks": 4}
    if models in blocks:
        assert result.execution.processes == blocks[models] + 2


def test_kernels_are_compiled_once_for_all_networks():
    """Whatever a network needs has been compiled, or loaded from disk, before it starts."""
    warm = vars(import_module("sdt_lava.kernels.warm_up"))
    kernels = {name: value for name, value in warm.items() if hasattr(value, "signatures")}
    assert {"integrate", "sum_windows", "propagate_network"} <= kernels.keys()

    def compiled() -> dict[str, int]:
        return {name: len(kernel.signatures) for name, kernel in kernels.items()}

    rng = np.random.default_rng(12)
    run_config("accelerated")
    before = compiled()
    for graph in (random_sdt_graph(rng, image=(2, 4, 4), channels=4), random_chain(rng)):
        assert_models_agree(graph, random_frames(rng, graph), MODELS, convolutions="conv")
    assert compiled() == before
