"""Operators of other libraries against integers, on a grid of geometries."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_lava.engine import KERNELS
from sdt_lava.engine.arithmetic import largest_in_windows
from sdt_lava.engine.dense import DENSE_KERNELS
from sdt_lava.engine.exact import choose_dense
from sdt_lava.engine.probe import difference
from sdt_lava.engine.products import convolve, convolve_real, linear
from sdt_lava.engine.synapses import Weights, Window
from tests.engine.layers import assert_exact, layer
from tests.engine.operators import ORDERS, exact_sums, in_memory, layer_of
from tests.graphs import random_chain, random_frames, random_sdt_graph

# Channels and outputs of a group, and groups.
CHANNELS = [(1, 1, 1), (1, 16, 1), (3, 5, 1), (16, 16, 1), (64, 1, 1), (65, 70, 1)]
CHANNELS += [(1, 1, 4), (1, 2, 16), (2, 3, 3)]
SIDES = [(1, 1), (1, 3), (3, 1), (3, 3), (5, 2), (13, 11)]
STRIDES = [(1, 1), (1, 5), (4, 1), (2, 2)]
OUTPUTS = [(1, 1), (4, 1), (1, 5), (3, 4)]
# Lowest and highest event, and largest magnitude of weights.
RANGES = [(0, 1, 127), (0, 255, 127), (-128, 127, 255), (0, 127, 128)]


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
