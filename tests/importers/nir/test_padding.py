"""Paddings that a file says in a word, against PyTorch's."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

from sdt_lava.nir import NirOptions, from_nir
from tests.importers.nir.structures import (
    DT,
    STEPS,
    chain,
    check,
    fire,
    frames_for,
    whole,
)


def image(rng, kernel, dilation, groups=1, side=(7, 5)):
    weight = whole(rng, 4, 2 // groups, *kernel)
    layer = nir.Conv2d(side, weight, 1, "same", dilation, groups, np.zeros(4))
    return chain(nir.Input(np.array([2, *side])), layer, fire(4, *side))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1), (3, 2), (1, 3)])
@pytest.mark.parametrize("kernel", [(2, 2), (4, 3), (3, 2), (1, 4), (2, 5)])
def test_same_is_that_of_pytorch(kernel, dilation, groups):
    rng = np.random.default_rng(7)
    built = image(rng, kernel, dilation, groups)
    net, report = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
    frames = frames_for(built)
    check(built, net, frames)
    ours = next(node for node in net if node.kind == "conv")
    layer = next(node for node in built.nodes.values() if isinstance(node, nir.Conv2d))
    x = torch.from_numpy(frames[0]).double()
    expected = torch.nn.functional.conv2d(
        x, torch.from_numpy(layer.weight), padding="same", dilation=dilation, groups=groups
    )
    scale = next(row.scale for row in report.quantization.synapses if row.name == ours.name)
    found = torch.nn.functional.conv2d(
        x, torch.from_numpy(ours.weight * 2.0**ours.exponent / scale), stride=ours.stride,
        padding=ours.padding, dilation=ours.dilation, groups=ours.groups,
    )  # fmt: skip
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert expected.abs().max() > 0


@pytest.mark.parametrize(("kernel", "dilation"), [(2, 1), (4, 3), (4, 2), (3, 1)])
def test_rows_too(kernel, dilation):
    rng = np.random.default_rng(3)
    layer = nir.Conv1d(11, whole(rng, 3, 2, kernel), 1, "same", dilation, 1, np.zeros(3))
    built = chain(nir.Input(np.array([2, 11])), layer, fire(3, 11))
    net, _ = from_nir(built, NirOptions(timesteps=STEPS, dt=DT))
    check(built, net, frames_for(built))
