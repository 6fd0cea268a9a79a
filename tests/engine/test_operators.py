"""Operators of other libraries against integers: a grid of geometries, and what probes refuse."""

from __future__ import annotations

import itertools
from contextlib import contextmanager, nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava.engine import KERNELS, exact
from sdt_lava.engine.arithmetic import largest_in_windows
from sdt_lava.engine.dense import DENSE_KERNELS, Float32, Float64, Loops, OneDnn
from sdt_lava.engine.exact import ExactSums, choose_dense
from sdt_lava.engine.probe import difference
from sdt_lava.engine.products import convolve, convolve_real, linear
from sdt_lava.engine.synapses import Weights, Window
from sdt_lava.ir import Conv, Dense, Flatten, Graph, Input, Lif
from sdt_lava.ir.reference import run_reference
from sdt_lava.quantize.float_run import evaluate
from tests.cuba_graphs import random_cuba_chain
from tests.engine.layers import assert_exact, layer, run
from tests.graphs import random_chain, random_frames, random_sdt_graph

# Channels and outputs of a group, and groups.
CHANNELS = [(1, 1, 1), (1, 16, 1), (3, 5, 1), (16, 16, 1), (64, 1, 1), (65, 70, 1)]
CHANNELS += [(1, 1, 4), (1, 2, 16), (2, 3, 3)]
SIDES = [(1, 1), (1, 3), (3, 1), (3, 3), (5, 2), (13, 11)]
STRIDES = [(1, 1), (1, 5), (4, 1), (2, 2)]
OUTPUTS = [(1, 1), (4, 1), (1, 5), (3, 4)]
# Lowest and highest event, and largest magnitude of weights.
RANGES = [(0, 1, 127), (0, 255, 127), (-128, 127, 255), (0, 127, 128)]


def exact_sums(images, weight, window):
    """A convolution in NumPy's 64-bit integers, tap by tap."""
    (down, right), (stride_h, stride_w), (dilation_h, dilation_w) = (
        window.padding, window.stride, window.dilation,
    )  # fmt: skip
    padded = np.pad(images, ((0, 0), (0, 0), (down, down), (right, right)))
    outputs, per_group, kernel_h, kernel_w = weight.shape
    reach_h, reach_w = window.reach
    height = (padded.shape[2] - reach_h) // stride_h + 1
    width = (padded.shape[3] - reach_w) // stride_w + 1
    sums = np.zeros((len(images), outputs, height, width), np.int64)
    share = outputs // window.groups
    for group, i, j in itertools.product(range(window.groups), range(kernel_h), range(kernel_w)):
        top, left = i * dilation_h, j * dilation_w
        seen = padded[
            :, group * per_group : (group + 1) * per_group,
            top : top + (height - 1) * stride_h + 1 : stride_h,
            left : left + (width - 1) * stride_w + 1 : stride_w,
        ]  # fmt: skip
        own = slice(group * share, (group + 1) * share)
        sums[:, own] += np.einsum("oc,nchw->nohw", weight[own, :, i, j], seen)
    return sums


def in_memory(values, order):
    """The same values as a tensor in some order in memory, with other values around."""
    images, channels, height, width = values.shape
    room = torch.full((images, height + 2, width + 3, channels + 5), 77, dtype=torch.int64)
    if order == "C order":
        return torch.from_numpy(np.ascontiguousarray(values))
    if order == "channels last":
        rows_first = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
        return torch.from_numpy(rows_first).permute(0, 3, 1, 2)
    inside = room[:, 1 : height + 1, 2 : width + 2, :channels].permute(0, 3, 1, 2)
    return inside.copy_(torch.from_numpy(values))


ORDERS = ("C order", "channels last", "slice")


def layer_of(rng, channels, outputs, window, low, high, most, saturated=False):
    """Weights with the largest magnitudes among them."""
    shape = outputs * window.groups, channels, *window.kernel
    weight = rng.integers(-most, min(most, 127) + 1, shape)
    if saturated:
        weight = np.where(weight < 0, -most, min(most, 127))
    return Weights(weight, window, (low, high))


@pytest.mark.slow
@pytest.mark.parametrize("sizes", CHANNELS)
def test_every_operator_on_a_grid_of_geometries(sizes):
    channels, outputs, groups = sizes
    rng = np.random.default_rng(channels)
    grid = itertools.product(SIDES, STRIDES, [(1, 1), (2, 3)], OUTPUTS)
    for number, (kernel, stride, dilation, sides) in enumerate(grid):
        window = Window(kernel, stride, (0, 0), dilation, groups)
        low, high, most = RANGES[int(rng.integers(len(RANGES)))]
        saturated = number % 3 == 0
        weights = layer_of(rng, channels, outputs, window, low, high, most, saturated)
        wide = zip(sides, stride, window.reach, strict=True)
        # What is left over behind the last window is not looked at.
        size = [(out - 1) * step + reach + step - 1 for out, step, reach in wide]
        images = rng.integers(low, high + 1, ((1, 3)[number % 2], channels * groups, *size))
        if number % 5 == 0:
            images[:] = high
        expected = exact_sums(images, weights.mantissa, window)
        events = in_memory(images, ORDERS[number % len(ORDERS)])
        for name, kind in DENSE_KERNELS.items():
            if kind.obstacle(weights):
                continue
            dense = choose_dense(weights, "layer", name)
            found = dense.sums(events).numpy()
            assert np.array_equal(found, expected), (dense.name, window, size, low, high)
            # An operator that is refused differs, and the others do not.
            own = kind(weights)
            if not difference(partial(kind, weights), images.shape):
                found = own.sums(own.bring(events)).numpy()
                assert np.array_equal(found, expected), (name, window, size, low, high)


GEOMETRIES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31),
        "channels": st.sampled_from([1, 1, 2, 3, 15, 64]),
        "outputs": st.sampled_from([1, 2, 8, 17, 64]),
        "groups": st.sampled_from([1, 1, 1, 2, 5]),
        "kernel": st.tuples(st.integers(1, 6), st.integers(1, 6)),
        "stride": st.tuples(st.integers(1, 6), st.integers(1, 6)),
        "dilation": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "padding": st.tuples(st.integers(0, 9), st.integers(0, 9)),
        "sides": st.tuples(st.integers(1, 9), st.integers(1, 9)),
        "images": st.integers(1, 5),
        "events": st.sampled_from([(0, 1), (0, 255), (-128, 127), (-(2**15), 2**15 - 1), (0, 0)]),
        "order": st.sampled_from(ORDERS),
        "name": st.sampled_from(tuple(DENSE_KERNELS)),
    }
)


@settings(max_examples=150, deadline=None)
@given(case=GEOMETRIES)
def test_any_geometry(case):
    rng = np.random.default_rng(case["seed"])
    fields = (case[key] for key in ("kernel", "stride", "padding", "dilation", "groups"))
    window = Window(*fields)
    shape = case["outputs"] * case["groups"], case["channels"], *case["kernel"]
    weight = rng.choice([-255, -128, -127, 0, 1, 127, 254], shape)
    wide = zip(case["sides"], window.reach, window.padding, strict=True)
    sides = [max(side, reach - 2 * pad) for side, reach, pad in wide]
    low, high = case["events"]
    size = (case["images"], case["channels"] * case["groups"], *sides)
    images = rng.integers(low, high + 1, size)
    expected = exact_sums(images, weight, window)
    events = in_memory(images, case["order"])
    largest = int(np.abs(images).max())
    assert np.array_equal(convolve("layer", events, weight, window, largest).numpy(), expected)
    down, right = window.padding
    padded = np.pad(images, ((0, 0), (0, 0), (down, down), (right, right)))
    dense = choose_dense(Weights(weight, window, (low, high)), "layer", case["name"])
    found = dense.sums(in_memory(padded, case["order"])).numpy()
    assert np.array_equal(found, expected), dense.name
    # In float64 nothing is rounded here, so that real weights can be compared like integers.
    halves = convolve_real(events.double() / 2, weight / 4, window).numpy()
    assert np.array_equal(halves * 8, expected)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    rows=st.integers(1, 9),
    size=st.tuples(st.integers(1, 200), st.integers(1, 90)),
    largest=st.sampled_from([1, 255, 2**24 - 1, 2**31]),
    most=st.sampled_from([1, 255, 2**20]),
)
def test_products_with_a_matrix(seed, rows, size, largest, most):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-most, most + 1, size[::-1])
    events = rng.integers(-largest, largest + 1, (rows, size[0]))
    product = linear("layer", matrix, largest, torch.device("cpu"))
    assert np.array_equal(product(torch.from_numpy(events)).numpy(), events @ matrix.T)


def test_sums_beyond_float64_are_exact():
    weight = np.full((1, 1, 1, 3), 2**40 + 1)
    images = np.array([2**13 - 1, -(2**13) + 2, 2**13 - 1]).reshape(1, 1, 1, 3)
    found = convolve("layer", torch.from_numpy(images), weight, Window((1, 3)), 2**13 - 1)
    assert found.item() == int((weight * images).sum()) > 2**53


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    window=st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(0, 4)),
    sides=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    order=st.sampled_from(ORDERS),
)
def test_largest_in_windows(seed, window, sides, order):
    kernel, stride, padding = window[0], window[1], min(window[2], window[0] // 2)
    rng = np.random.default_rng(seed)
    sides = [max(side, kernel - 2 * padding) for side in sides]
    values = rng.integers(-(2**24), 2**24, (2, 3, *sides))
    lowest = np.iinfo(np.int64).min
    padded = np.pad(
        values, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), constant_values=lowest
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))
    expected = windows[:, :, ::stride, ::stride].max(axis=(-2, -1))
    found = largest_in_windows(in_memory(values, order), kernel, stride, padding, lowest)
    assert np.array_equal(found.numpy(), expected)
    spikes = (values > 0).astype(np.uint8)
    pooled = largest_in_windows(torch.from_numpy(spikes), kernel, stride, padding, 0)
    assert np.array_equal(pooled.numpy(), expected > 0)


@pytest.mark.lava
@pytest.mark.parametrize("number", range(12))
def test_the_convolution_of_lava(number):
    from lava.proc.conv import utils as lava_conv

    rng = np.random.default_rng(number)
    groups, per_group, share = [(1, 1, 3), (1, 4, 2), (3, 1, 1), (2, 2, 2)][number % 4]
    kernel, stride, dilation, padding = (
        tuple(int(x) for x in rng.integers(low, high, 2))
        for low, high in ((1, 5), (1, 4), (1, 3), (0, 6))
    )
    window = Window(kernel, stride, padding, dilation, groups)
    weight = rng.choice([-256, -255, -1, 0, 254], (groups * share, per_group, *kernel))
    images = rng.choice([-(2**23), -1, 0, 1, 2**23 - 1], (1, groups * per_group, 9, 10))
    # Lava's order is (W, H, C), and it turns kernels around.
    found = lava_conv.conv(
        images[0].transpose(2, 1, 0), weight.transpose(0, 3, 2, 1)[:, ::-1, ::-1], kernel[::-1],
        stride[::-1], padding[::-1], dilation[::-1], groups,
    )  # fmt: skip
    assert np.array_equal(found.transpose(2, 1, 0), exact_sums(images, weight, window)[0])


# What operators have been seen to do, or may do.


class Saturating(Loops):
    """Two 8-bit products are added in 16 bits, as without VNNI."""

    name = "saturating"

    def sums(self, events):
        weight = self.weights.mantissa
        parts = events.numpy()[:, :, None] * weight[:, :, 0, 0].T[None, :, :, None, None]
        pairs = parts.reshape(len(parts), -1, 2, *parts.shape[2:]).sum(axis=2)
        return torch.from_numpy(np.clip(pairs, -(2**15), 2**15 - 1).sum(axis=1))


class Rounding(Float32):
    """Sums lose bits, as in TF32 and bfloat16."""

    name = "rounding"

    def sums(self, events):
        return super().sums(events).bfloat16().float()


class TooFar(Loops):
    """The input behind the last one is added."""

    name = "too far"

    def sums(self, events):
        size = int(np.prod(events.shape))
        end = events.storage_offset() + size
        behind = events.as_strided((1,), (1,), end) if end < events.untyped_storage().size() else 0
        sums = super().sums(events).clone()
        sums[-1, -1, -1, -1] += (behind.item() != 0) if torch.is_tensor(behind) else 0
        return sums


class OneOff(Loops):
    """One single sum is 1 too large."""

    name = "one off"

    def sums(self, events):
        sums = super().sums(events).clone()
        sums[-1, -1, -1, -1] += 1
        return sums


class Exchanged(Loops):
    """Two columns are exchanged."""

    name = "exchanged"

    def sums(self, events):
        sums = super().sums(events).clone()
        return sums.flip(3)


class Unwritten(Float64):
    """One sum is never written."""

    name = "unwritten"

    def sums(self, events):
        sums = super().sums(events).clone()
        sums[0, 0, 0, 0] = float("nan")
        return sums


class Fractions(Float64):
    """Sums are almost right."""

    name = "fractions"

    def sums(self, events):
        return super().sums(events) + 1e-3


class Missing(Float64):
    """The operator has no code for these inputs."""

    name = "missing"

    def sums(self, events):
        raise RuntimeError("could not create a primitive")


class Impossible(Float64):
    """Weights cannot be prepared."""

    name = "impossible"

    def __init__(self, weights, device=None):
        raise NotImplementedError("no such layout")


class Misshapen(Loops):
    """A row is missing."""

    name = "misshapen"

    def sums(self, events):
        return super().sums(events)[:, :, 1:]


FAULTY = (
    Saturating, Rounding, TooFar, OneOff, Exchanged, Unwritten, Fractions, Missing, Impossible,
    Misshapen,
)  # fmt: skip


@pytest.mark.parametrize("kind", FAULTY)
@pytest.mark.parametrize("images", [1, 5])
def test_an_operator_that_differs_is_refused(kind, images, caplog):
    rng = np.random.default_rng(images)
    weight = rng.choice([-127, 126, 127], (6, 4, 1, 1))
    weights = Weights(weight, Window((1, 1), (1, 2)), (0, 255))
    events = rng.integers(0, 256, (images, 4, 3, 7))
    dense = ExactSums(weights, "some layer", (kind, Float64, Loops))
    found = dense.sums(torch.from_numpy(events)).numpy()
    assert np.array_equal(found, exact_sums(events, weight, weights.window))
    assert dense.name == "float64"
    assert f"some layer: {kind.name}" in caplog.text and "float64 is used instead" in caplog.text
    assert not difference(lambda: Float64(weights), events.shape)


def test_saturation_that_the_weights_cannot_reach_is_no_obstacle():
    weight = np.full((6, 4, 1, 1), 64)
    assert not difference(
        lambda: Saturating(
            Weights(weight, Window((1, 1)), (0, 255)),
        ),
        (2, 4, 3, 3),
    )
    assert difference(
        lambda: Saturating(Weights(weight + 1, Window((1, 1)), (0, 255))), (2, 4, 3, 3)
    )


class ByStride(Float32):
    """What torch takes for its order in memory, left as it is: one channel is last and first."""

    name = "by stride"

    def bring(self, events):
        images, channels, height, width = events.shape
        values = events.to(self.events).contiguous()
        return values.as_strided(values.shape, (channels * height * width, 1, width, 1))


def test_one_channel_whose_stride_looks_like_channels_last():
    """torch 2.3.1: one channel, stride (1, s), one output column."""
    rng = np.random.default_rng(0)
    weights = Weights(rng.integers(-9, 9, (16, 1, 3, 3)), Window((3, 3), (1, 5)), (0, 255))
    wrong = difference(lambda: ByStride(weights), (5, 1, 12, 6))
    assert wrong == "gives other sums" or torch.__version__ != "2.3.1"
    for name in ("onednn", "float32"):
        dense = choose_dense(weights, "layer", name)
        events = rng.integers(0, 256, (5, 1, 12, 6))
        for order in ORDERS:
            found = dense.sums(in_memory(events, order)).numpy()
            assert np.array_equal(found, exact_sums(events, weights.mantissa, weights.window))


def test_a_network_of_one_channel_and_one_output_column():
    rng = np.random.default_rng(0)
    for channels, low, high in ((1, -128, 127), (1, 0, 255), (1, 0, 1), (2, -128, 127)):
        graph = Graph.build(
            [
                Input(name="input", shape=(channels, 17, 12), low=low, high=high),
                Conv(
                    name="conv", inputs=("input",), stride=(1, 4),
                    weight=2 * rng.integers(-60, 61, (8, channels, 13, 11)),
                ),
                Lif(name="lif", inputs=("conv",), threshold=5000 if high > 1 else 60),
                Flatten(name="flat", inputs=("lif",)),
                Dense(name="dense", inputs=("flat",), weight=2 * rng.integers(-60, 61, (10, 40))),
                Lif(name="out", inputs=("dense",), threshold=300),
            ],
            4,
        )  # fmt: skip
        frames = rng.integers(low, high + 1, (4, 6, *graph.input_shape))
        assert run_reference(graph, frames, strict=False)["lif"].any()
        for kernels in ("auto", "onednn", "float32", "interpreter"):
            assert_exact(graph, frames, kernels=kernels)


@pytest.mark.parametrize("largest", [2**15 - 1, 2**15, 70_001])
@pytest.mark.parametrize("high", [1, 255])
def test_weights_beyond_16_bits(largest, high):
    rng = np.random.default_rng(largest)
    weight = rng.choice([-largest, largest - 1, 1], (8, 2, 3, 3))
    graph = layer(weight, high=high, padding=(1, 1))
    frames = rng.integers(0, high + 1, (2, 3, *graph.input_shape))
    for kernels in KERNELS:
        assert_exact(graph, frames, kernels=kernels)


def test_frames_in_any_order_in_memory():
    rng = np.random.default_rng(3)
    graph = random_chain(rng, high=255)
    frames = random_frames(rng, graph, batch=3)
    for order in ([0, 1, 3, 4, 2], [4, 3, 2, 1, 0], [1, 0, 2, 3, 4]):
        moved = np.ascontiguousarray(frames.transpose(order)).transpose(np.argsort(order))
        assert np.array_equal(moved, frames) and moved.strides != frames.strides
        for kernels in ("auto", "interpreter"):
            assert_exact(graph, moved, kernels=kernels)


def test_a_verdict_holds_for_its_settings_only(monkeypatch):
    monkeypatch.setattr(exact, "_VERDICTS", {})
    asked = []
    monkeypatch.setattr(exact, "difference", lambda make, shape: asked.append(shape) or "")
    weights = Weights(np.full((2, 3, 1, 1), 5), Window((1, 1)), (0, 1))
    events = torch.ones((2, 3, 4, 4), dtype=torch.uint8)
    ExactSums(weights, "a", (Float32, Loops)).sums(events)
    same = Weights(weights.mantissa.copy(), Window((1, 1)), (0, 1))
    ExactSums(same, "b", (Float32, Loops)).sums(events)
    assert len(asked) == 1, "what is known is not asked again"
    ExactSums(same, "b", (Float32, Loops)).sums(events[:1])
    ExactSums(same, "b", (Float64, Loops)).sums(events)
    with torch.backends.mkldnn.flags(enabled=False):
        ExactSums(same, "b", (Float32, Loops)).sums(events)
    other = Weights(weights.mantissa + 1, Window((1, 1)), (0, 1))
    ExactSums(other, "b", (Float32, Loops)).sums(events)
    assert len(asked) == 5


def test_onednn_itself_is_asked_whether_it_saturates(monkeypatch, caplog):
    weights = Weights(np.full((2, 15, 3, 3), 2), Window((3, 3)), (0, 255))
    monkeypatch.setattr(exact, "_VERDICTS", {})
    own = OneDnn.sums
    monkeypatch.setattr(OneDnn, "sums", lambda self, events: own(self, events).clamp(max=2**14))
    with caplog.at_level("DEBUG"):
        assert choose_dense(weights, "layer").name == "float32"
    assert "saturates" in caplog.text


def test_no_memory_is_no_verdict():
    class Large(Float64):
        def sums(self, events):
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    weights = Weights(np.full((2, 3, 1, 1), 5), Window((1, 1)), (0, 1))
    with pytest.raises(RuntimeError, match="allocate"):
        difference(lambda: Large(weights), (1, 3, 2, 2))


# What the user's program may have told torch before.


@contextmanager
def flag(set_flag, value, before):
    set_flag(value)
    try:
        yield
    finally:
        set_flag(before)


SETTINGS = {
    "as it is": nullcontext,
    "no oneDNN": lambda: torch.backends.mkldnn.flags(enabled=False),
    "medium": lambda: flag(torch.set_float32_matmul_precision, "medium", "highest"),
    "TF32": lambda: flag(
        lambda v: setattr(torch.backends.cuda.matmul, "allow_tf32", v), True, False
    ),
    "float64": lambda: flag(torch.set_default_dtype, torch.float64, torch.float32),
    "float16": lambda: flag(torch.set_default_dtype, torch.float16, torch.float32),
    "deterministic": lambda: flag(torch.use_deterministic_algorithms, True, False),
    "flush denormals": lambda: flag(torch.set_flush_denormal, True, False),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference": torch.inference_mode,
    "another device": lambda: torch.device("meta"),
    "two threads": lambda: flag(torch.set_num_threads, 2, 1),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_torch_change_nothing(name):
    rng = np.random.default_rng(5)
    for graph in (
        random_sdt_graph(rng, image=(2, 9, 8), channels=16),
        random_chain(rng, high=255),
        random_cuba_chain(rng),
    ):
        frames = random_frames(rng, graph, batch=2)
        expected = run_reference(graph, frames, strict=False)
        assert any(expected[name].any() for name in graph.lif_names)
        with SETTINGS[name]():
            for kernels in ("auto", "onednn", "float32", "matmul32", "interpreter"):
                found, _ = run(graph, frames, kernels=kernels)
                for node, values in found.items():
                    assert np.array_equal(values, expected[node]), (node, kernels)


@pytest.mark.parametrize("name", ["medium", "autocast", "no oneDNN"])
def test_settings_of_torch_do_not_reach_the_quantizer(name):
    rng = np.random.default_rng(6)
    weight = rng.normal(size=(8, 3, 3, 3))
    graph = Graph.build(
        [Input(name="input", shape=(3, 6, 6)), Conv(name="conv", inputs=("input",), weight=weight)],
        1,
    )
    frames = torch.from_numpy(rng.normal(size=(1, 2, 3, 6, 6)))
    expected = evaluate(graph, frames)["conv"]
    with SETTINGS[name]():
        assert torch.equal(evaluate(graph, frames)["conv"], expected)


def test_networks_on_every_operator():
    """Compact, for runs under other limits of the processor."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        for graph in (
            random_sdt_graph(rng, image=(2, 9, 8), channels=(16, 66, 8)[seed]),
            random_chain(rng, high=(255, 1, 127)[seed]),
        ):
            frames = random_frames(rng, graph, batch=2)
            for kernels in KERNELS:
                assert_exact(graph, frames, kernels=kernels)
