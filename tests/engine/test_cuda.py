"""The engine on a GPU: exact against the CPU where there is one, refused where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.nn import functional

import sdt_lava
from sdt_lava.engine import EngineOptions, exact
from sdt_lava.engine.arithmetic import power_shift
from sdt_lava.engine.dense import Matmul32, Matmul64
from sdt_lava.engine.exact import operators_of
from sdt_lava.engine.synapses import Weights, Window
from sdt_lava.errors import ConfigError, HardwareUnavailableError
from sdt_lava.ir.reference import run_reference
from tests.cuba_graphs import random_cuba_chain
from tests.engine.layers import CASES, assert_exact, layer
from tests.graphs import random_chain, random_frames, random_sdt_graph

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@settings(max_examples=25, deadline=None)
@given(case=CASES)
def test_a_convolution_as_matrix_products(case):
    graph = case.graph()
    frames, node = case.frames(graph), graph.nodes["conv"]
    expected = run_reference(graph, frames, strict=False)["conv"]
    window = Window(node.weight.shape[2:], node.stride, (0, 0), node.dilation, node.groups)
    weights = Weights(node.weight, window, (case.low, case.high))
    down, right = node.padding
    images = torch.from_numpy(frames).flatten(0, 1)
    padded = functional.pad(images, (right, right, down, down))
    for kind in (Matmul32, Matmul64):
        if not kind.obstacle(weights):
            kernel = kind(weights)
            sums = kernel.sums(kernel.bring(padded)).to(torch.int64)
            found = power_shift(sums.unflatten(0, frames.shape[:2]), node.exponent)
            assert np.array_equal(found.numpy(), expected)


def test_products_of_a_gpu_are_probed(monkeypatch, caplog):
    """Nothing but matrix products is used there; if they lose bits (TF32), they are refused."""
    names = operators_of(torch.device("cuda"))
    assert names == ("matmul32", "matmul64", "loops")
    matmul = torch.matmul

    def in_tf32(left, right):
        if left.dtype == torch.float32:
            left, right = (tensor.half().float() for tensor in (left, right))  # ten bits, too
        return matmul(left, right)

    monkeypatch.setattr(exact, "operators_of", lambda device: names)
    monkeypatch.setattr(exact, "_VERDICTS", {})
    monkeypatch.setattr(torch, "matmul", in_tf32)
    graph = layer(np.full((3, 2, 3, 3), 254), high=2**15 - 1)
    frames = np.random.default_rng(0).integers(0, 2**15, (2, 3, *graph.input_shape))
    assert_exact(graph, frames, kernels="interpreter")
    wide = layer(np.full((3, 2, 3, 3), 2), high=4095)
    frames = np.random.default_rng(0).integers(0, 4096, (2, 3, *wide.input_shape))
    assert "matmul32 gives other sums" not in caplog.text, "its sums are too large for float32"
    assert_exact(wide, frames, kernels="interpreter")
    assert "conv: matmul32 gives other sums" in caplog.text
    assert "matmul64 is used instead" in caplog.text

    def broken(left, right):
        raise RuntimeError("CUBLAS_STATUS_NOT_SUPPORTED")

    monkeypatch.setattr(torch, "matmul", broken)
    monkeypatch.setattr(exact, "_VERDICTS", {})
    assert_exact(wide, frames, kernels="interpreter")
    assert "conv: matmul64 fails (CUBLAS_STATUS_NOT_SUPPORTED)" in caplog.text
    assert "loops is used instead" in caplog.text


@needs_gpu
@settings(max_examples=20, deadline=None)
@given(case=CASES)
def test_layers_on_a_gpu(case):
    graph = case.graph()
    assert_exact(graph, case.frames(graph), device="cuda")


@needs_gpu
@pytest.mark.parametrize("seed", range(4))
def test_networks_on_a_gpu(seed):
    rng = np.random.default_rng(seed)
    kind = ("or", "max", "stride", "subsample")[seed]
    for graph in (
        random_sdt_graph(rng, channels=10, downsampling=kind, dilation_heads=seed % 3),
        random_chain(rng, high=255),
        random_cuba_chain(rng),
    ):
        frames = random_frames(rng, graph, batch=3)
        assert_exact(graph, frames, device="cuda")
        x = np.swapaxes(frames, 0, 1) / graph.input.scale
        for reset in (True, False):
            cpu, gpu = (
                sdt_lava.simulate(graph, x, strict=False, device=device, reset=reset)
                for device in ("cpu", "cuda")
            )
            assert np.array_equal(cpu.logits, gpu.logits)
            for name in graph.lif_names:
                assert np.array_equal(cpu.spikes[name], gpu.spikes[name]), name


def test_no_gpu_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    graph = random_sdt_graph(np.random.default_rng(0))
    with pytest.raises(HardwareUnavailableError, match="no GPU"):
        sdt_lava.simulate(graph, np.zeros((1, *graph.input_shape)), device="cuda")


def test_kernels_of_the_processor_are_not_on_a_gpu():
    with pytest.raises(ConfigError, match="kernels"):
        EngineOptions(device="cuda", kernels="onednn")
