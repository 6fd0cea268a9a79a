"""The engine on a GPU: exact against the CPU where there is one, refused where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.nn import functional

import sdt_lava
from sdt_lava.errors import ConfigError, HardwareUnavailableError
from sdt_lava.simulate.engine import EngineOptions
from sdt_lava.simulate.engine.arithmetic import unfolded_conv
from tests.cuba_graphs import random_cuba_chain
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.simulate.engine.layers import CASES, assert_exact

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@settings(max_examples=25, deadline=None)
@given(case=CASES)
def test_a_convolution_as_matrix_products(case):
    graph = case.graph()
    node = graph.nodes["conv"]
    images = torch.from_numpy(case.frames(graph)).flatten(0, 1).double()
    weight = torch.from_numpy(node.weight).double()
    expected = functional.conv2d(
        images, weight, None, node.stride, node.padding, node.dilation, node.groups
    )
    assert torch.equal(unfolded_conv(node, images, weight), expected)
    if expected.abs().max() < 2**24:
        found = unfolded_conv(node, images.float(), weight.float())
        assert torch.equal(found.double(), expected)


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
