"""Settings of torch that a program may have chosen change no result."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch

from sdt_lava.ir import Conv, Graph, Input
from sdt_lava.ir.reference import run_reference
from sdt_lava.quantize.float_run import evaluate
from tests.cuba_graphs import random_cuba_chain
from tests.engine.layers import run
from tests.graphs import random_chain, random_frames, random_sdt_graph

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
