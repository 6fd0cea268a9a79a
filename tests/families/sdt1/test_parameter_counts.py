"""The sizes that the paper gives for its networks."""

from __future__ import annotations

import pytest

from sdt_lava.families.sdt1.tensors import expected_tensors
from sdt_lava.model import PRESETS, SpikeDrivenTransformer

# Table 1 of arXiv 2307.01694, in millions.
PAPER = {"8-384": 16.81, "6-512": 23.37, "8-512": 29.68, "10-512": 36.01, "8-768": 66.34}


def learned(config):
    """Number of learned values: no running statistics."""
    total = 0
    for name, shape in expected_tensors(config).items():
        if "running_" in name or "num_batches" in name:
            continue
        size = 1
        for side in shape:
            size *= side
        total += size
    return total


def unused_or_absorbed(config):
    """Values of the published networks that ours do not have.

    The convolutions before a BatchNorm have biases there (proj, fc1, fc2), which BatchNorm's own
    bias absorbs, and every block has a `talking_heads` convolution that is never used.
    """
    biases = config.dim + config.hidden_dim + config.dim
    return config.depth * (biases + config.num_heads**2)


@pytest.mark.parametrize("name", PAPER)
def test_paper_counts(name):
    config = PRESETS[name]
    published = learned(config) + unused_or_absorbed(config)
    # Within one unit of the last printed digit: the paper rounds some and truncates others.
    assert published / 1e6 == pytest.approx(PAPER[name], abs=0.01)


@pytest.mark.parametrize("name", ["digits", "cifar-2-256", "gesture-2-256"])
def test_expected_tensors_are_those_of_the_module(name):
    model = SpikeDrivenTransformer(PRESETS[name])
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert shapes == expected_tensors(PRESETS[name])
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert trained == learned(PRESETS[name])
