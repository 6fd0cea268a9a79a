"""Counts against syops-counter, an independent counter of the field.

syops-counter multiplies a layer's dense operations by the firing rate of its input: the formula
``T R FLOPs``. So it must give what our formula column says, and our exact count must differ from
it by the taps outside the image and by where the spikes are, and by nothing else.
"""

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.ir import Conv, Dense, Signal
from sdt_lava.ir.reference import run_reference
from sdt_lava.report.accounting import compare_accountings
from tests.graphs import random_chain, random_frames, random_sdt_graph

ops = pytest.importorskip("syops.ops", reason="needs syops-counter")


def counted_by_syops(node, events):
    """Let syops-counter count one layer on ``(T, B, *shape)`` events."""
    weight = torch.as_tensor(node.weight, dtype=torch.float64)
    if isinstance(node, Conv):
        module = torch.nn.Conv2d(
            weight.shape[1] * node.groups, weight.shape[0], tuple(weight.shape[2:]), node.stride,
            node.padding, node.dilation, node.groups, bias=False, dtype=torch.float64,
        )  # fmt: skip
        hook, shape = ops.conv_syops_counter_hook, events.shape[2:]
    else:
        module = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
        hook, shape = ops.linear_syops_counter_hook, (weight.shape[1],)
    module.__syops__ = np.zeros(4)
    x = torch.as_tensor(events, dtype=torch.float64).reshape(-1, *shape)
    hook(module, (x,), module(x))
    return module.__syops__[1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [random_sdt_graph, random_chain])
def test_formula_is_what_syops_counts(make, seed):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    batch = 3
    frames = random_frames(rng, graph, batch=batch)
    result = sdt_lava.simulate(graph, np.swapaxes(frames, 0, 1) / graph.input.scale)
    rows = {row.name: row for row in compare_accountings(result.counts).rows}
    values = run_reference(graph, frames)
    compared = 0
    for node in graph:
        if not isinstance(node, (Conv, Dense)):
            continue
        source = node.inputs[0]
        if graph.signals[source] is not Signal.SPIKE:
            continue
        row = rows[node.name]
        assert counted_by_syops(node, values[source]) == pytest.approx(row.formula * batch)
        assert row.exact == pytest.approx(row.formula - row.border - row.position)
        compared += 1
    assert compared
