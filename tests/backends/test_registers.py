"""Values that do not fit their registers: the same on every back end, form and lowering.

Without strict, all wrap and saturate as Lava's own processes do; with it, all raise the same error,
or none.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sdt_lava
from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.host import network_outputs
from sdt_lava.backends.machine.run import run_machine
from sdt_lava.engine import Engine
from sdt_lava.engine.options import EngineOptions
from sdt_lava.errors import NumericOverflowError
from sdt_lava.ir import Conv, Dense, Graph, Input, Lif, Readout, Shortcut, TokenMean
from sdt_lava.ir.bounds import bound
from sdt_lava.ir.proof import unproved
from sdt_lava.ir.reference import run_reference
from sdt_lava.ir.watch import SUM24, Watch
from tests.needs import runnable
from tests.overflow_graphs import random_overflow_frames, random_overflow_graph

# The first is nothing but Lava.
_ALL_FORMS = (
    ("lava-inprocess", {"models": "lava"}),
    ("reference", {}),
    ("engine", {}),
    ("lava-inprocess", {"models": "accelerated"}),
    ("lava-inprocess", {"models": "fused"}),
    ("lava-inprocess", {"models": "fused-blocks"}),
    ("machine", {}),
    ("machine", {"shortcut": "unrolled"}),
    ("engine", {"shortcut": "relay"}),
    ("reference", {"shortcut": "unrolled"}),
)
_FORMS = runnable(_ALL_FORMS)
# Lava adds convolutions up in float64, and casts what is too large for an int32.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in cast")


def _simulated(graph, frames, form, **options):
    backend, fields = form
    return sdt_lava.simulate(graph, np.swapaxes(frames, 0, 1), backend, **fields, **options)


def _assert_all_wrap_alike(graph, frames, **options):
    judge, *others = (_simulated(graph, frames, form, strict=False, **options) for form in _FORMS)
    for form, found in zip(_FORMS[1:], others, strict=True):
        np.testing.assert_array_equal(found.logits, judge.logits, err_msg=str(form))
        for name, spikes in judge.spikes.items():
            np.testing.assert_array_equal(found.spikes[name], spikes, err_msg=f"{form} {name}")


def _complaint(run):
    try:
        run()
    except NumericOverflowError as error:
        return str(error)
    return ""


def _assert_all_raise_alike(graph, frames, **options):
    said = {
        form[0] + str(form[1]): _complaint(lambda f=form: _simulated(graph, frames, f, **options))
        for form in _FORMS
    }
    assert len(set(said.values())) == 1, said
    return next(iter(said.values()))


@pytest.mark.parametrize("seed", [2, 3, 5, 8, 13, 17])
def test_random_networks_overflow_alike_everywhere(seed):
    rng = np.random.default_rng(seed)
    graph = random_overflow_graph(rng, layers=2)
    frames = random_overflow_frames(rng, graph, 2)
    reset = bool(seed % 3)
    _assert_all_wrap_alike(graph, frames, reset=reset)
    assert _assert_all_raise_alike(graph, frames, reset=reset)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["interpreter", "auto", "event", "float64"]))
@settings(max_examples=60, deadline=None)
def test_every_kernel_wraps_and_raises_as_the_reference(seed, kernels):
    rng = np.random.default_rng(seed)
    graph = random_overflow_graph(rng)
    frames = random_overflow_frames(rng, graph, 2)
    options = EngineOptions(kernels=kernels)
    expected = run_reference(graph, frames, strict=False)
    found = Engine(graph, strict=False, tracked=False, options=options).run(frames)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    said = _complaint(lambda: run_reference(graph, frames))
    strict = Engine(graph, tracked=False, options=options)
    assert _complaint(lambda: strict.run(frames)) == said
    assert not said or unproved(graph, bound(graph))


def _cancelling():
    """Two convolutions that leave 24 bits and cancel at the neurons."""
    fields = {"plus": 254, "minus": -126, "minus2": -128, "c": 2}
    convs = [
        Conv(name=name, inputs=("input",), weight=np.full((1, 1, 1, 1), weight))
        for name, weight in fields.items()
    ]
    nodes = [
        Input(name="input", shape=(1, 4, 4), high=40_000),
        *convs,
        Lif(name="out", inputs=tuple(fields), threshold=60_000),
    ]
    frames = np.random.default_rng(0).integers(20_000, 40_001, (2, 3, 1, 4, 4))
    return Graph.build(nodes, 2), frames


def test_sums_that_cancel_are_seen_where_they_overflow():
    graph, frames = _cancelling()
    assert _assert_all_raise_alike(graph, frames).startswith("'plus', step 0: sum of ")
    _assert_all_wrap_alike(graph, frames)


@pytest.mark.lava
@pytest.mark.parametrize("models", ["lava", "accelerated", "fused"])
@pytest.mark.parametrize("convolutions", ["auto", "sparse", "conv"])
def test_a_convolution_of_lava_wraps_at_24_bits(convolutions, models):
    from sdt_lava.backends.lava.run import run_lava

    graph, frames = _cancelling()
    expected = run_reference(graph, frames, strict=False)["out"]
    compiled = compile_network(graph, convolutions=convolutions, timesteps=2)
    recorded, _ = run_lava(compiled, frames, models=models, executor="in-process")
    np.testing.assert_array_equal(network_outputs(compiled, recorded)["out"], expected)


@pytest.mark.parametrize("convolutions", ["auto", "sparse", "conv"])
def test_a_convolution_wraps_at_24_bits_whatever_it_is_compiled_to(convolutions):
    graph, frames = _cancelling()
    expected = run_reference(graph, frames, strict=False)["out"]
    compiled = compile_network(graph, convolutions=convolutions, timesteps=2)
    np.testing.assert_array_equal(run_machine(compiled, frames).outputs["out"], expected)


@pytest.mark.parametrize("high", [1, 2_000_000])
def test_a_convolution_that_waits_stays_one_where_it_may_wrap(high):
    rng = np.random.default_rng(1)
    weight = 2 * rng.integers(-127, 128, (2, 2, 3, 3))
    nodes = [
        Input(name="input", shape=(2, 4, 3), low=-(high > 1) * high, high=high),
        Conv(name="first", inputs=("input",), weight=weight, padding=(1, 1)),
        Lif(name="lif", inputs=("first",), threshold=50),
        Conv(name="second", inputs=("lif",), weight=weight[::-1], padding=(1, 1)),
        # It waits for the other branch.
        Conv(name="around", inputs=("input",), weight=weight[:, ::-1], padding=(1, 1)),
        Lif(name="out", inputs=("second", "around"), threshold=100),
    ]
    graph = Graph.build(nodes, 3)
    frames = random_overflow_frames(rng, graph, 2)
    compiled = compile_network(graph, convolutions="conv")
    kind = compiled.graph.nodes["around"].kind
    assert (kind, len(compiled.splits)) == (("sparse", 0) if high == 1 else ("conv", 1))
    expected = run_reference(graph, frames, strict=False)
    np.testing.assert_array_equal(run_machine(compiled, frames).outputs["out"], expected["out"])
    _assert_all_wrap_alike(graph, frames)
    assert bool(_assert_all_raise_alike(graph, frames)) is (high > 1)


def test_current_that_leaves_its_register_behind_a_small_membrane():
    """v is kept small by a bias; u, which has memory, leaves 24 bits all the same."""
    nodes = [
        Input(name="input", shape=(1,), low=-100, high=100),
        Dense(name="fc", inputs=("input",), weight=np.array([[254]])),
        Lif(
            name="out",
            inputs=("fc",),
            threshold=0,
            voltage_decay=4096,
            current_decay=0,
            bias=np.array([-4096]),
            bias_exponent=7,
        ),
    ]
    graph = Graph.build(nodes, 6)
    frames = np.full((6, 1, 1), 100)
    said = _assert_all_raise_alike(graph, frames)
    assert said.startswith("'out', step 5: current of ")
    _assert_all_wrap_alike(graph, frames)


def test_payloads_and_sums_over_tokens_have_registers():
    nodes = [
        Input(name="input", shape=(1, 3, 3), low=-40_000, high=40_000),
        Conv(name="conv", inputs=("input",), weight=np.full((1, 1, 1, 1), 200)),
        Conv(name="other", inputs=("input",), weight=np.full((1, 1, 1, 1), 100)),
        Shortcut(name="stream", inputs=("conv", "other")),
        TokenMean(name="mean", inputs=("stream",), shift=12),
        Lif(name="out", inputs=("mean",), threshold=10),
    ]
    graph = Graph.build(nodes, 2)
    frames = np.full((2, 1, 1, 3, 3), 30_000)
    assert _assert_all_raise_alike(graph, frames).startswith("'stream', step 0: payload of 9000000")
    _assert_all_wrap_alike(graph, frames)
    assert not _assert_all_raise_alike(graph, frames // 2)


@pytest.mark.parametrize("weight", [[200, -4], [127, -3], [0, 255]])
def test_the_readout_has_a_payload(weight):
    nodes = [
        Input(name="input", shape=(2,), low=-(2**23) + 1, high=2**23 - 1),
        Readout(name="head", inputs=("input",), weight=np.array([weight]), bias=np.array([5])),
    ]
    graph = Graph.build(nodes, 1)
    frames = np.array([[[70_000, 70_000], [1, 2]]])
    assert _assert_all_raise_alike(graph, frames).startswith("'head', step 0: payload of ")
    # At the end of the range, also the sum of 32 bits overflows.
    for low in (70_000, 2**23 - 1):
        _assert_all_wrap_alike(graph, np.array([[[low, -(2**23) + 1], [1, 2]]]))


def test_a_current_at_the_end_of_a_network_has_a_payload():
    weight = np.full((1, 1, 1, 1), 255)
    nodes = [
        Input(name="input", shape=(1, 2, 2), low=-40_000, high=40_000),
        Conv(name="one", inputs=("input",), weight=weight),
        Conv(name="two", inputs=("input",), weight=weight),
        Shortcut(name="end", inputs=("one", "two")),
    ]
    graph = Graph.build(nodes, 1)
    frames = np.full((1, 2, 1, 2, 2), 30_000)
    assert _assert_all_raise_alike(graph, frames).startswith("'end', step 0: payload of 15300000")
    _assert_all_wrap_alike(graph, frames)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_first_overflow_does_not_depend_on_batches(batch_size):
    """Sample 3 overflows in the last layer, sample 4 in the first."""
    nodes = [
        Input(name="input", shape=(2,), low=-20_000, high=20_000),
        Dense(name="fc0", inputs=("input",), weight=np.array([[2, 0]])),
        Lif(name="lif0", inputs=("fc0",), threshold=100, voltage_decay=0),
        Dense(name="fc1", inputs=("input",), weight=np.array([[0, 254]])),
        Dense(name="fc2", inputs=("lif0",), weight=np.array([[2]])),
        Lif(name="lif1", inputs=("fc1", "fc2"), threshold=131_071),
    ]
    graph = Graph.build(nodes, 3)
    x = np.zeros((5, 3, 2), int)
    x[3, 1, 1] = 20_000
    x[4, :] = -20_000
    for backend in ("reference", "engine"):
        with pytest.raises(NumericOverflowError, match="'lif1', step 1: activation of 5080000"):
            sdt_lava.simulate(graph, x, backend, batch_size=batch_size)


@pytest.mark.parametrize("seed", range(4))
def test_counts_and_streams_survive_an_overflow(seed):
    rng = np.random.default_rng(seed)
    graph = random_overflow_graph(rng, largest=30_000)
    x = np.swapaxes(random_overflow_frames(rng, graph, 4), 0, 1)
    plain = sdt_lava.simulate(graph, x, "engine", strict=False)
    counted = sdt_lava.simulate(graph, x, "engine", strict=False, count=True, batch_size=3)
    assert counted.synops.total == plain.synops.total
    for batch_size in (1, 4):
        options = {"strict": False, "reset": False, "batch_size": batch_size}
        expected = sdt_lava.simulate(graph, x, "reference", **options)
        found = sdt_lava.simulate(graph, x, "engine", **options)
        for name, spikes in expected.spikes.items():
            np.testing.assert_array_equal(found.spikes[name], spikes, err_msg=name)


def test_the_earliest_overflow_is_the_first():
    watch = Watch(("a", "b"))
    values = np.zeros((3, 2, 1), int)
    values[1, 1] = values[2, 0] = SUM24.high + 1
    assert not watch.look("b", "sum", values, SUM24)
    assert watch.first == (0, 2, 1)
    assert not watch.look("a", "sum", values, SUM24)
    assert watch.first == (0, 2, 0)
    assert watch.look("a", "sum", values * 0 + SUM24.low, SUM24)
    values[0, 0] = SUM24.low - 1
    assert not watch.look("b", "sum", values, SUM24)
    assert watch.first == (0, 0, 1)
