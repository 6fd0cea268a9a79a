"""Rules on weights: the range, the step and the exponents that synapses store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from sdt_lava.backends.deployment import compile_network
from sdt_lava.compiler.passes.split_convolutions import split_convolutions
from sdt_lava.engine import Engine
from sdt_lava.hardware.rules import WARNING
from sdt_lava.ir import Conv, Sparse
from sdt_lava.ir.numerics import lava_weights
from tests.graphs import random_frames
from tests.hardware.rules.cases import LOIHI2, UNLIMITED, conv, dense, found, target


@pytest.mark.parametrize(
    ("weights", "fits"),
    [
        ([-256, 254], True),
        ([-257, 254], False),
        ([-256, 255], True),
        ([-256, 256], False),
        ([0, 255], True),
        ([0, 256], False),
        ([-255, 0], True),
        ([-256, 0], True),  # halved, with a weight exponent of 1
        ([-257, 0], False),
        ([-256, -1], False),
    ],
)
def test_weight_range(weights, fits):
    assert bool(found("weight_range", dense([weights]), LOIHI2)) is not fits


def test_weight_range_of_every_kind_of_connection():
    assert not found("weight_range", conv(), target(weight_min=-254, weight_max=254))
    net = conv()
    largest = int(net.nodes["conv"].weight.max())
    chip = target(weight_min=-254, weight_max=largest - 1)
    for convolutions in ("conv", "sparse"):
        compiled = compile_network(net, chip, convolutions=convolutions)
        assert [v.node for v in found("weight_range", net, compiled=compiled)] == ["conv"]


@pytest.mark.parametrize(
    ("weights", "fits"),
    [
        ([-254, 254], True),
        ([-2, 253], False),
        ([-127, 3], True),  # doubled, with a weight exponent of -1
        ([-128, 127], True),
        ([-129, 3], False),
        ([1, 253], True),
        ([-1, -253], True),
    ],
)
def test_mixed_weight_step(weights, fits):
    assert bool(found("mixed_weight_step", dense([weights]), LOIHI2)) is not fits


def test_convolutions_have_no_exponent_to_double_weights_with():
    net = conv()
    odd = replace(net.nodes["conv"], weight=net.nodes["conv"].weight // 2)
    net = net.rebuild([odd if node.name == "conv" else node for node in net])
    assert [v.node for v in found("mixed_weight_step", net, LOIHI2)] == ["conv"]
    compiled = compile_network(net, LOIHI2, convolutions="sparse")
    assert not found("mixed_weight_step", net, compiled=compiled)


def drawn_weights(seed):
    rng = np.random.default_rng(seed)
    low, high = sorted(rng.integers(-257, 258, 2))
    return rng.integers(low, high + 1, (3, 4)) // rng.integers(1, 3) * rng.integers(1, 3)


@pytest.mark.parametrize("seed", range(40))
def test_weights_that_pass_are_those_that_the_compiler_stores(seed):
    weights = drawn_weights(seed)
    net = dense(weights)
    passes = not (found("weight_range", net, LOIHI2) + found("mixed_weight_step", net, LOIHI2))
    assert passes == (lava_weights(weights) is not None)


@pytest.mark.lava
@pytest.mark.parametrize("seed", range(40))
def test_lavas_functions_keep_the_weights_that_the_compiler_stores(seed):
    from lava.utils.weightutils import (
        clip_weights,
        determine_sign_mode,
        optimize_weight_bits,
        truncate_weights,
    )

    weights = drawn_weights(seed)
    stored = lava_weights(weights)
    if stored is not None:
        matrix, exponent = stored
        mode = determine_sign_mode(matrix)
        kept = truncate_weights(clip_weights(matrix, mode, 8), mode, 8)
        optimized = optimize_weight_bits(kept, mode)
        total = optimized.weight_exp + exponent
        assert np.array_equal(optimized.weights * 2.0**total, weights)
        assert optimized.num_weight_bits <= 8


def test_zero_weights():
    (violation,) = found("zero_weights", dense([[0, 0]]), LOIHI2)
    assert violation.node == "fc" and violation.severity == WARNING
    assert not found("zero_weights", dense([[0, 1]]), LOIHI2)
    empty = Sparse(
        name="fc", inputs=("input",), weight=csr_matrix((1, 2), dtype=int), shape=(1,), role="x"
    )
    net = dense([[0, 1]])
    net = net.rebuild([empty if node.name == "fc" else node for node in net])
    assert found("zero_weights", net, LOIHI2)


def test_weight_exponent():
    net = dense([[2, -4]], exponent=3)
    assert not found("weight_exponent", net, target(weight_exponent_min=0, weight_exponent_max=3))
    assert found("weight_exponent", net, target(weight_exponent_min=0, weight_exponent_max=2))
    assert found("weight_exponent", net, target(weight_exponent_min=4, weight_exponent_max=7))
    # Odd weights are stored doubled, with an exponent one lower.
    chip = target(LOIHI2, weight_exponent_min=0)
    assert not found("weight_exponent", dense([[2, -4]]), chip)
    assert [v.found for v in found("weight_exponent", dense([[3, -4]]), chip)] == ["-1"]


@pytest.mark.parametrize("exponent", [1, 3, np.array([0, 4, 2, 1])])
def test_conv_exponent(exponent):
    net = conv(exponent=exponent)
    compiled = compile_network(net, UNLIMITED)
    chip = target(conv_exponent_max=int(np.max(exponent)))
    assert not found("conv_exponent", net, compiled=replace(compiled, target=chip))
    chip = target(conv_exponent_max=int(np.max(exponent)) - 1)
    assert found("conv_exponent", net, compiled=replace(compiled, target=chip))
    # The compiler knows the limit, and splits.
    assert not found("conv_exponent", net, target(conv_exponent_max=0))


@pytest.mark.parametrize("exponent", [0, 2, 7, np.array([0, 5, 1, 0])])
def test_split_convolutions_add_up(exponent):
    net = conv(exponent=exponent)
    split = split_convolutions(net)
    parts = split.of_type(Conv)
    assert all(np.abs(part.weight).max() <= 254 and part.exponent == 0 for part in parts)
    assert len(parts) == 1 if np.max(exponent) == 0 else len(parts) > 1
    frames = random_frames(np.random.default_rng(0), net)
    expected, actual = (Engine(graph, strict=False).run(frames, ("lif",)) for graph in (net, split))
    assert np.array_equal(expected["lif"], actual["lif"])
    assert 0 < expected["lif"].mean() < 1
